"""The state of a sequence, as llama.cpp writes it: cut by cells, and put together again.

For each of the model's caches (one, or two where some layers look only so far back):

    streams | for each stream: cells | position, 1, sequence of each cell
            | is V transposed? | layers
            | for each layer: type, size of a row | a row of K for each cell
            | for each layer: type, size of a row | a row of V for each cell
              or, transposed: type, size of an element, elements | a column for each cell

So the bytes of some cells are slices at places that can be computed. Any other format, such as that
of a recurrent model, is refused.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

MAGIC = 0xAF143CD8  # llama_context::state_seq_get_data
START = struct.Struct("=Ii")
NUMBER = struct.Struct("=I")
CELL = struct.Struct("=iIi")
HEAD = struct.Struct("=II")
ROW = struct.Struct("=iQ")
COLUMNS = struct.Struct("=iII")
POSITION = struct.Struct("=i")
MOST_LAYERS = 10_000


class Unknown(ValueError):
    """A state in another format."""


class Tensor(NamedTuple):
    """Where in a state K or V of a layer begins. Its cells lie in so many `rows` (1 unless it is
    transposed), with `size` bytes for each cell.
    """

    place: int
    size: int
    rows: int


class Part(NamedTuple):
    """The cells of one cache, from position `first` to before `end`."""

    first: int
    end: int
    tensors: list[Tensor]

    def slices(self, start: int, stop: int) -> Iterator[slice]:
        """Where the bytes of the cells from `start` to before `stop` are."""
        cells = self.end - self.first
        for place, size, rows in self.tensors:
            for row in range(rows):
                begin = place + (row * cells + start - self.first) * size
                yield slice(begin, begin + (stop - start) * size)


class State:
    """The bytes of a state, and where in them which cells are. `layout` describes the format, for
    `blank`: for each cache is V transposed, and the heads of K and of V in each layer.
    """

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self._view = memoryview(data)
        self._at = 0
        self.layout: list[Any] = []
        self.parts: list[Part] = []
        try:
            magic, self.sequence = self._take(START)
            if magic != MAGIC:
                raise Unknown("another kind of state")
            while self._at < len(data):
                self.parts.append(self._part())
        except struct.error as error:
            raise Unknown("it ends too soon") from error
        if not self.parts:
            raise Unknown("there are no cells in it")

    @property
    def first(self) -> int:
        """The first position of which all cells are there."""
        return max(part.first for part in self.parts)

    @property
    def end(self) -> int:
        return min(part.end for part in self.parts)

    def cells(self, start: int, stop: int) -> list[memoryview]:
        """The bytes of the cells at these positions."""
        return [self._view[place] for place in self._slices(start, stop)]

    def put(self, start: int, stop: int, data: memoryview) -> None:
        """Fill them in; `data` is what `cells` gave, in one piece."""
        at = 0
        for place in self._slices(start, stop):
            size = place.stop - place.start
            if at + size > len(data):
                raise Unknown("cells of another size")
            self._view[place] = data[at : at + size]
            at += size
        if at != len(data):
            raise Unknown("cells of another size")

    def _slices(self, start: int, stop: int) -> Iterator[slice]:
        return (place for part in self.parts for place in part.slices(start, stop))

    def _take(self, what: struct.Struct) -> tuple[int, ...]:
        found = what.unpack_from(self.data, self._at)
        self._at += what.size
        return found

    def _part(self) -> Part:
        found = None
        (streams,) = self._take(NUMBER)
        for _ in range(streams):
            (count,) = self._take(NUMBER)
            if count and found:
                raise Unknown("cells in two streams")
            found = self._cells(count) if count else found
        if not found:
            raise Unknown("there are no cells in it")
        return found

    def _cells(self, count: int) -> Part:
        (first,) = POSITION.unpack_from(self.data, self._at)
        begin, self._at = self._at, self._at + count * CELL.size
        if self._at > len(self.data) or self.data[begin : self._at] != _meta(
            first, count, self.sequence
        ):
            raise Unknown("cells that are not those of one text, in its order")
        transposed, layers = self._take(HEAD)
        if not layers <= MOST_LAYERS:
            raise Unknown("more layers than a model has")
        tensors: list[Tensor] = []
        keys = [self._tensor(ROW, count, tensors) for _ in range(layers)]
        kind = COLUMNS if transposed else ROW
        has_values = self._at < len(self.data)  # multi-head latent attention makes them of K
        values = [self._tensor(kind, count, tensors) for _ in range(layers * has_values)]
        self.layout.append([transposed, keys, values])
        return Part(first, first + count, tensors)

    def _tensor(self, kind: struct.Struct, count: int, tensors: list[Tensor]) -> list[int]:
        """Go over K or V of a layer; returns its head."""
        head = self._take(kind)
        tensors.append(Tensor(self._at, *head[1:], *(1,) * (3 - len(head))))
        self._at += count * math.prod(head[1:])
        if self._at > len(self.data):
            raise Unknown("it ends too soon")
        return list(head)


def _meta(first: int, count: int, sequence: int) -> bytes:
    """What is said of each cell."""
    return b"".join(CELL.pack(first + number, 1, sequence) for number in range(count))


def blank(layout: Sequence[Any], count: int, sequence: int, streams: int = 1) -> State:
    """A state of so many cells, from position 0 on, that are to be filled in. They are in the last
    of so many `streams`: llama.cpp puts them where the sequence belongs.
    """
    pieces: list[bytes | int] = [START.pack(MAGIC, sequence)]  # a number: so many empty bytes
    try:
        for transposed, keys, values in layout:
            pieces += [NUMBER.pack(streams), (streams - 1) * NUMBER.size]
            pieces += [NUMBER.pack(count), _meta(0, count, sequence)]
            pieces.append(HEAD.pack(transposed, len(keys)))
            for head in (*keys, *values):
                kind = ROW if len(head) == 2 else COLUMNS
                pieces += [kind.pack(*head), count * math.prod(head[1:])]
    except (struct.error, TypeError, ValueError) as error:
        raise Unknown("another layout") from error
    return State(_joined(pieces))


def _joined(pieces: Sequence[bytes | int]) -> bytearray:
    """In one piece from the beginning: it may be large."""
    data = bytearray(sum(each if isinstance(each, int) else len(each) for each in pieces))
    at = 0
    for each in pieces:
        if isinstance(each, bytes):
            data[at : at + len(each)] = each
        at += each if isinstance(each, int) else len(each)
    return data
