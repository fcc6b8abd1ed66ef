"""What is found inside a model beside its header: values, norms, differences, tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmparams_cli.analysis.weights import Distance, Statistics


@dataclass(frozen=True)
class Described:
    """One tensor. `shape` is as in PyTorch: rows before columns."""

    name: str
    kind: str
    type: str
    shape: tuple[int, ...]
    statistics: Statistics

    def index(self, place: int) -> tuple[int, ...]:
        """The indices of the value that is stored in this place."""
        found = []
        for length in reversed(self.shape):
            place, index = divmod(place, length)
            found.append(index)
        return tuple(reversed(found))


@dataclass(frozen=True)
class Norm:
    """The Euclidean norm of a tensor, and its root mean square, which does not grow with size."""

    name: str
    kind: str
    layer: int | None
    tower: str
    is_bias: bool
    norm: float
    root_mean_square: float


@dataclass(frozen=True)
class Compared:
    """A tensor of both files. `distance` is None if their values are the same, byte for byte, or if
    their shapes differ.
    """

    name: str
    kind: str
    types: tuple[str, str]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    distance: Distance | None

    @property
    def is_same(self) -> bool:
        return self.distance is None and self.shapes[0] == self.shapes[1]


@dataclass(frozen=True)
class Difference:
    """Two files side by side: what both have, what only one has, and the metadata that differ (with
    None where a file has no such key).
    """

    names: tuple[str, str]
    tensors: tuple[Compared, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    metadata: tuple[tuple[str, Any, Any], ...]

    @property
    def is_identical(self) -> bool:
        rest = (*self.only_first, *self.only_second, *self.metadata)
        return not rest and all(tensor.is_same for tensor in self.tensors)


@dataclass(frozen=True)
class Piece:
    """A token of a text. `text` is how to show it, with the bytes of incomplete characters escaped
    (see `text.utf8`); `is_special`: it is a control token; `is_added`: it is not in the text.
    """

    id: int
    text: str
    is_special: bool
    is_added: bool

    @property
    def bytes(self) -> bytes:
        return self.text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Split:
    """A text in pieces."""

    text: str
    pieces: Sequence[Piece]

    @property
    def size(self) -> int:
        """The bytes of the text."""
        return len(self.text.encode())
