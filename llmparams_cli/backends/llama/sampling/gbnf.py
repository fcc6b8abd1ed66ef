"""A GBNF grammar's state while text is generated, as llama.cpp follows it."""

from __future__ import annotations

import ctypes
from typing import Any

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.candidates import array_of, array_over
from llmparams_cli.constraints.gbnf.checks import checked
from llmparams_cli.constraints.gbnf.rules import ROOT, Fault, Grammar
from llmparams_cli.constraints.wanted import Constraint
from llmparams_cli.errors import UsageError

TOKENS = "a rule's name stands without < and >, a text in double quotes"


class Gbnf:
    """Implements `grammar.Grammar` (llama_sampler_init_grammar)."""

    def __init__(self, model: Model, constraint: Constraint) -> None:
        grammar = checked(constraint.grammar)
        _refuse_unknown_tokens(model, grammar, constraint.origin)
        self.handle = llama().llama_sampler_init_grammar(
            model.vocab, grammar.followed.encode(), ROOT.encode()
        )
        if not self.handle:
            message = f"{constraint.origin}: llama.cpp does not take this grammar"
            raise UsageError(message, constraint.hint)
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


def _refuse_unknown_tokens(model: Model, grammar: Grammar, origin: str) -> None:
    """What only a model knows of a grammar: whether it has the tokens <think>, <[1000]>."""
    for token in grammar.tokens:
        if token.number is not None:
            is_known = token.number < model.n_vocab
            reason = f"{model.path.name} has {model.n_vocab:,} tokens"
        else:
            is_known = len(model.tokenize(token.text, special=True)) == 1
            reason = f"{token.text} is not one token of {model.path.name}"
        if not is_known:
            fault = Fault(grammar.text, token.offset, token.rule, reason)
            raise UsageError(f"{origin}: {fault}", TOKENS)
