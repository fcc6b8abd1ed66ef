"""Which texts llguidance admits for an expression."""

from __future__ import annotations

import llguidance


class Bytes:
    """A tokenizer of 256 tokens, one a byte."""

    eos_token_id = 256
    bos_token_id = None
    tokens = [*(bytes([byte]) for byte in range(256)), b"\xff<eos>"]
    special_token_ids = [256]

    def __call__(self, text: str) -> list[int]:
        return list(text.encode())


TOKENIZER = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Bytes()))


class Whole:
    """An expression in Rust's syntax, for texts of at most `longest` characters."""

    def __init__(self, expression: str, longest: int | None = None) -> None:
        grammar = llguidance.LLMatcher.grammar_from_regex(expression)
        self._matcher = llguidance.LLMatcher(TOKENIZER, grammar, log_level=0)
        self._longest = longest
        assert not self._matcher.is_error(), self._matcher.get_error()

    def matches(self, text: str) -> bool:
        if self._longest is not None and len(text) > self._longest:
            return False
        matcher, data = self._matcher.deep_copy(), text.encode()
        return matcher.try_consume_tokens(list(data)) == len(data) and matcher.is_accepting()
