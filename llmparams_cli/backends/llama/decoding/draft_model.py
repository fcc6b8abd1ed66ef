"""A second, smaller model that guesses what the first one will write."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from llmparams_cli.backends.llama.decoding.drafting import MODEL, NOTHING, Guess
from llmparams_cli.backends.llama.decoding.pieces import shared
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model

MOST_LONGER = 128  # tokens by which one vocabulary may exceed the other: fillers at its end
FIRST_COMPARED = 5  # the tokens before are <unk> and the like, which are named as anyone likes
SURE = 0.2  # of the most probable token, without which a guess ends


class DraftModel:
    """Guesses the most probable tokens by a model in `context`, whose first sequence it keeps in
    step with the text. The tokens of the model that is helped are those below `n_vocab`.
    """

    def __init__(self, context: Context, n_vocab: int, price: float) -> None:
        import_module("numpy")  # now, and not between two tokens
        self.price = price
        self._context = context
        self._n_vocab = min(n_vocab, context.model.n_vocab)
        self._held: list[int] = []  # the tokens in the context
        self._same = 0  # how many of them began the text of the last guess, too

    def guess(self, text: Sequence[int], most: int) -> Guess:
        if len(text) + most > self._context.size or not self._keep(text):
            return NOTHING
        found: list[int] = []
        while len(found) < most:
            token, chance = self._best()
            if token >= self._n_vocab or chance < SURE:
                break
            found.append(token)
            if self._context.model.ends_generation(token) or len(found) == most:
                break
            if not self._read([token]):
                break
        return Guess(found, MODEL)

    def _keep(self, text: Sequence[int]) -> bool:
        """Let the context hold `text`, with the logits behind it; False if it cannot."""
        if any(token >= self._context.model.n_vocab for token in text[self._same :]):
            return False
        start = self._same if self._held[: self._same] == text[: self._same] else 0
        same = start + shared(self._held[start:], text[start:-1])
        if not self._context.trim(0, same):
            same = 0
        del self._held[same:]
        step = self._context.piece_size
        pieces = (text[at : at + step] for at in range(same, len(text), step))
        done = all(map(self._read, pieces))
        self._same = len(self._held)
        return done

    def _read(self, tokens: Sequence[int]) -> bool:
        """Decode them behind what is there; False if Ctrl-C came in between."""
        start = len(self._held)
        batch = [(token, start + at, 0) for at, token in enumerate(tokens)]
        if not self._context.decode(batch, [len(batch) - 1]):
            self._held = self._held if self._context.trim(0, start) else []
            return False
        self._held += tokens
        self._last = len(batch) - 1
        return True

    def _best(self) -> tuple[int, float]:
        """The most probable next token, and its probability."""
        import numpy as np

        pointer: Any = self._context.logits(self._last)
        logits = np.ctypeslib.as_array(pointer, shape=(self._context.model.n_vocab,))
        best = int(logits.argmax())
        return best, float(1 / np.exp(logits - logits[best]).sum())


def difference(one: Model, other: Model) -> str:
    """Why tokens of one model mean nothing to the other, in words; empty if they are the same. As
    llama.cpp's common_speculative_are_compatible.
    """
    lib = llama()
    kinds = [lib.llama_vocab_type(model.vocab) for model in (one, other)]
    if kinds[0] != kinds[1]:
        return "they split texts in different ways"
    if (one.begin_token, one.adds_end) != (other.begin_token, other.adds_end):
        return "their texts begin or end with different tokens"
    if one.adds_end and one.end_token != other.end_token:
        return "their texts end with different tokens"
    if abs(one.n_vocab - other.n_vocab) > MOST_LONGER:
        return f"{one.n_vocab} tokens and {other.n_vocab}"
    for token in range(FIRST_COMPARED, min(one.n_vocab, other.n_vocab)):
        texts = [lib.llama_vocab_get_text(model.vocab, token) for model in (one, other)]
        if texts[0] != texts[1]:
            return f"token {token} is {one.name(token)!r} and {other.name(token)!r}"
    return ""
