"""Follows grammars of llguidance byte by byte, without a model: what they admit, and expressions
that are asked about.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from llmparams_cli.constraints.limits import limits
from llmparams_cli.constraints.stack import COMPILING, with_stack

SHORT = 10_000  # characters of a grammar that needs no stack of its own


@cache
def _bytes() -> Any:
    """A tokenizer whose tokens are the bytes."""
    from llguidance import LLTokenizer, TokenizerWrapper

    class Bytes:
        eos_token_id = 256
        bos_token_id = None
        tokens = (*(bytes([code]) for code in range(256)), b"\xff<end>")
        special_token_ids = (256,)

        def __call__(self, text: Any) -> list[int]:
            return list(text if isinstance(text, bytes) else text.encode())

    return LLTokenizer(TokenizerWrapper(Bytes()))


def matcher(grammar: str) -> Any:
    """An LLMatcher at the beginning of the grammar."""
    from llguidance import LLMatcher

    def made() -> Any:
        return LLMatcher(_bytes(), grammar, log_level=0, limits=limits())

    return made() if len(grammar) < SHORT else with_stack(COMPILING, made)


@lru_cache(maxsize=100_000)
def is_match(rust: str, text: str) -> bool:
    """Whether the whole text matches an expression in Rust's syntax."""
    from llguidance import LLMatcher

    follower = matcher(LLMatcher.grammar_from_regex(rust))
    tokens = list(text.encode(errors="replace"))
    return follower.try_consume_tokens(tokens) == len(tokens) and bool(follower.is_accepting())


def escaped(text: str) -> str:
    """An expression in Rust's syntax for this text alone."""
    return "".join(c if c.isalnum() and c.isascii() else f"\\x{{{ord(c):X}}}" for c in text)
