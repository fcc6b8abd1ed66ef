"""Several endings of the same beginning, which is read once: sequence 0 holds it, and each ending
is read into a copy, all in one call. The copies share the beginning's cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llmparams_cli.backends.llama.decoding.answer import refuse_nan
from llmparams_cli.backends.llama.decoding.pieces import BLOCK, block_size, next_piece, reusable
from llmparams_cli.backends.llama.decoding.reading import decode
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.interrupt import Control
from llmparams_cli.protocol import Endings

OUTPUTS = BLOCK  # rows of logits in a call, at most; each has 4 bytes for every token there is


def matrices(context: Context, forks: Sequence[Endings], control: Control) -> Iterator[list[Any]]:
    """See `Backend.endings`."""
    reader = Reader(context, control)
    return (list(reader.read(fork)) for fork in forks)


class Reader:
    """Reads endings. `kept` tokens of the last beginning had been read for the one before it.
    `_body` is what sequence 0 holds and what the next beginning may keep of it.
    """

    def __init__(self, context: Context, control: Control) -> None:
        self._context, self._control = context, control
        self._block = block_size(context.piece_size)
        self.kept = 0
        self._body: tuple[int, ...] = ()
        # Where a model can have only one sequence, endings take turns in that of the beginning.
        self._lanes = range(1, context.sequences) if context.sequences > 1 else range(1)

    def takes(self, fork: Endings) -> bool:
        """Is there room for it?"""
        at_once = sorted(map(len, fork.endings))[-len(self._lanes) :]

        return len(fork.before) + sum(at_once) <= self._context.size

    def read(self, fork: Endings) -> Iterator[Any]:
        """The matrix of each ending."""
        return self.end(self.begin(fork.before), fork)

    def begin(self, before: tuple[int, ...]) -> Any:
        """Read the beginning: the logits after it. It is cut like a prompt, so that they are those
        from which an answer would be drawn.
        """
        body = before[:-1]
        held = reusable(self._body, body, self._block)
        self._body = ()
        if not self._context.trim(0, held):
            held = 0
        self.kept = held
        while held < len(body):
            count = next_piece(held, len(body), self._block, self._context.piece_size)
            self._decode([(body[place], place, 0) for place in range(held, held + count)], [])
            held += count
        self._decode([(before[-1], held, 0)], [0])
        self._body = body
        return self._row(0)

    def end(self, first: Any, fork: Endings) -> Iterator[Any]:
        """The matrix of each ending, after its beginning was read."""
        for start in range(0, len(fork.endings), len(self._lanes)):
            if start and not self._lanes[0]:  # the one before took the place of what is behind it
                first = self.begin(fork.before)
            part = fork.endings[start : start + len(self._lanes)]
            yield from self._end(first, len(fork.before), part)

    def _end(self, first: Any, start: int, endings: Sequence[tuple[int, ...]]) -> list[Any]:
        """The matrices of endings that begin at the position `start`, where `first` are the logits.
        Nothing follows their last tokens, which are not read.
        """
        import numpy as np

        found = [np.empty((len(ending), len(first)), np.float32) for ending in endings]
        batch, places = [], []
        for number, ending in enumerate(endings):
            found[number][0] = first
            lane = self._lanes[number]
            if lane and len(ending) > 1:
                self._context.copy(0, lane)
            batch += [(token, start + at, lane) for at, token in enumerate(ending[:-1])]
            places += [(number, at) for at in range(1, len(ending))]
        for at in range(0, len(batch), self._block):
            part = batch[at : at + self._block]
            self._decode(part, range(len(part)))
            for row, (number, place) in enumerate(places[at : at + self._block]):
                found[number][place] = self._row(row)
        for lane in self._lanes:
            if lane:
                self._context.drop(lane)
        return found

    def _decode(self, batch: list[tuple[int, int, int]], outputs: Sequence[int]) -> None:
        decode(self._context, batch, outputs, self._control)

    def _row(self, row: int) -> Any:
        """A copy of a row of logits: the next call overwrites them."""
        import numpy as np

        logits = self._context.logits(row)
        refuse_nan(self._context.model, logits)
        return np.ctypeslib.as_array(logits, shape=(self._context.model.n_vocab,)).copy()
