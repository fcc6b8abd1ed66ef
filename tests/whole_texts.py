"""Which texts llguidance admits for an expression, as a string of JSON."""

from __future__ import annotations

import json

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
    """An expression in Rust's syntax, as the pattern of a schema."""

    def __init__(self, expression: str, longest: int | None = None) -> None:
        schema = {"type": "string", "pattern": f"^(?:{expression})$"}
        schema |= {"maxLength": longest} if longest else {}
        grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema))
        self._matcher = llguidance.LLMatcher(TOKENIZER, grammar, log_level=0)
        assert not self._matcher.is_error(), self._matcher.get_error()

    def matches(self, text: str) -> bool:
        matcher = self._matcher.deep_copy()
        data = json.dumps(text, ensure_ascii=False).encode()
        return matcher.try_consume_tokens(list(data)) == len(data) and matcher.is_accepting()
