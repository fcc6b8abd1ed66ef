"""A GBNF grammar's state while text is generated, as llama.cpp follows it."""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.candidates import array_of, array_over
from llmparams_cli.constraints.wanted import Constraint
from llmparams_cli.errors import UsageError

MOST_BRACKETS = 1000  # open at once; llama.cpp's recursive parser overflows at some 10,000
# Literals, character classes and comments: what they contain does not nest.
TEXT_OR_CLASS = re.compile(r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#.*')
DEEP = "write repetitions with * or {m,n}"


class Gbnf:
    """Implements `grammar.Grammar` (llama_sampler_init_grammar)."""

    def __init__(self, model: Model, constraint: Constraint) -> None:
        gbnf, origin = constraint.grammar, constraint.origin
        if _depth(gbnf) > MOST_BRACKETS:
            raise UsageError(
                f"{origin}: more than {MOST_BRACKETS} brackets are open at a time", DEEP
            )
        with _captured_stderr() as complaints:
            self.handle = llama().llama_sampler_init_grammar(model.vocab, gbnf.encode(), b"root")
        if not self.handle:
            raise UsageError(
                f"{origin}: not a GBNF grammar: {_first_reason(complaints)}", constraint.hint
            )
        self._end_tokens = model.end_tokens
        # An array of one candidate, to ask about single tokens.
        self._one = (llama().llama_token_data * 1)()
        self._array = llama().llama_token_data_array(data=self._one, size=1)

    def allows(self, token: int) -> bool:
        """May the text go on with `token`?"""
        self._one[0].id, self._one[0].logit = token, 1.0  # any finite logit will do
        llama().llama_sampler_apply(self.handle, ctypes.byref(self._array))
        return bool(self._one[0].logit != -float("inf"))

    def left(self, logits: Any) -> Any:
        """The candidates that it allows of all tokens."""
        import numpy as np

        array = array_of(np.arange(len(logits), dtype=np.int32), logits)
        llama().llama_sampler_apply(self.handle, ctypes.byref(array))
        return array_over(array.table[array.table["logit"] > -float("inf")])

    def accept(self, token: int) -> None:
        llama().llama_sampler_accept(self.handle, token)

    def forced(self) -> bytes:
        return b""  # llama.cpp does not tell

    def is_complete(self) -> bool:
        """May the text end here?"""
        return any(map(self.allows, self._end_tokens))

    def close(self) -> None:
        llama().llama_sampler_free(self.handle)


def _depth(gbnf: str) -> int:
    """How many brackets are open at once, at most."""
    steps = ({"(": 1, ")": -1}.get(char, 0) for char in TEXT_OR_CLASS.sub("", gbnf))
    return max(accumulate(steps), default=0)


@contextmanager
def _captured_stderr() -> Iterator[list[str]]:
    """Collect what C code prints to stderr: the grammar parser reports its errors nowhere else."""
    lines: list[str] = []
    with tempfile.TemporaryFile() as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            lines += file.read().decode("utf-8", "replace").splitlines()


def _first_reason(lines: list[str]) -> str:
    reasons = [line.split("error parsing grammar: ")[-1] for line in lines if line.strip()]
    return reasons[0] if reasons else "the rule 'root' is missing or refers to itself"
