"""How a tensor of a GGUF file becomes a parameter of transformers', and back.

The two programs number the rows of a head's queries and keys differently, Gemma's norms are stored
with one added, GPT-2's matrices lie the other way. Which of these happened to a tensor is found
out by its values, exactly; so no list of architectures has to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmparams_cli.training.trainer import Array

SAME, LESS_ONE, HEADS, TURNED = "same", "less one", "heads", "turned"


@dataclass(frozen=True)
class Way:
    """One way. Rows of `heads` many heads are permuted by `HEADS`; others do not look at it."""

    kind: str
    heads: int = 0

    def loaded(self, stored: Array) -> Array:
        """The parameter made of a tensor."""
        if self.kind == HEADS:
            return self._swapped(stored, len(stored) // self.heads // 2, 2)
        if self.kind == LESS_ONE:
            return stored - 1
        return stored.T if self.kind == TURNED else stored

    def stored(self, loaded: Array) -> Array:
        """The tensor that a parameter is made of."""
        if self.kind == HEADS:
            return self.rows(loaded)
        if self.kind == LESS_ONE:
            return loaded + 1
        return loaded.T if self.kind == TURNED else loaded

    def rows(self, loaded: Array) -> Array:
        """What belongs to the rows of a tensor, in their order in the file."""
        if self.kind != HEADS:
            return loaded
        return self._swapped(loaded, 2, len(loaded) // self.heads // 2)

    def _swapped(self, array: Array, first: int, second: int) -> Array:
        split = array.reshape(self.heads, first, second, *array.shape[1:])
        return split.swapaxes(1, 2).reshape(array.shape)


def recognised(
    stored: Array, loaded: Array, heads: frozenset[int], beside: Way | None = None
) -> Way | None:
    """The way that this tensor went, if it is known. `heads`: how many there may be, none if its
    rows are not those of heads; `beside`: the way of the matrix whose bias this is, which decides
    between ways that do the same to these values (those of a bias may all be zero).
    """
    import numpy as np

    if loaded.size != stored.size:
        return None
    # A convolution has an axis of length 1 more.
    loaded = loaded.reshape([length for length in loaded.shape if length != 1])
    stored = stored.reshape([length for length in stored.shape if length != 1])
    for way in _ways(stored, heads, beside):
        made = way.loaded(stored)
        if made.shape == loaded.shape and np.array_equal(made, loaded):
            return way
    return None


def _ways(stored: Array, heads: frozenset[int], beside: Way | None) -> Iterator[Way]:
    if beside:
        yield beside
    yield Way(SAME)
    if stored.ndim == 1:
        yield Way(LESS_ONE)
    for count in sorted(heads):
        if len(stored) % (2 * count) == 0:
            yield Way(HEADS, count)
    if stored.ndim == 2:
        yield Way(TURNED)
