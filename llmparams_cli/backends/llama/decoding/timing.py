"""How long the model takes to read and to write: the very calls that llama-bench times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random
from typing import Any

from llmparams_cli.backends.llama.decoding.reading import decode
from llmparams_cli.backends.llama.host import hardware
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.interrupt import Control
from llmparams_cli.protocol import Work

SEED = 1  # the tokens mean nothing, and are the same in every run


def seconds(context: Context, work: Work, batch_size: int, control: Control) -> Iterator[float]:
    """See `Backend.seconds`. As in llama-bench, the cache is empty before each run, what is there
    already is read (and later restored) before the clock starts, and no sampler takes part.
    """
    bench = _Bench(context, work, batch_size, control)
    bench.warm_up()
    while True:
        bench.to_depth()
        began = time.perf_counter()
        bench.run()
        yield time.perf_counter() - began


class _Bench:
    """Random tokens in all sequences of a context."""

    def __init__(self, context: Context, work: Work, batch_size: int, control: Control) -> None:
        self._context, self._work, self._control = context, work, control
        self._batch_size = batch_size
        self._random = Random(SEED)
        self._states: list[Any] = []  # of the sequences at the depth of the work

    def warm_up(self) -> None:
        """The whole prompt once, or a first token: memory is touched, and kernels are chosen."""
        self._context.clear()
        self._read(0, self._work.read)
        self._write(0, min(1, self._work.written))

    def to_depth(self) -> None:
        """Let each sequence have so many tokens and no more."""
        self._context.clear()
        if not self._work.depth or self._restored():
            return
        self._context.clear()
        self._read(0, self._work.depth)
        sequences = range(self._work.width)
        size = sum(map(self._context.state_size, sequences))
        if hardware.can_copy(size):  # else they are read again before every run
            self._states = [*map(self._context.state, sequences)]

    def run(self) -> None:
        self._read(self._work.depth, self._work.read)
        self._write(self._work.depth, self._work.written)

    def _restored(self) -> bool:
        return bool(self._states) and all(
            self._context.set_state(number, state, self._work.depth)
            for number, state in enumerate(self._states)
        )

    def _read(self, start: int, count: int) -> None:
        """One text after the other, in calls of `batch_size` tokens; the last token of each has
        logits.
        """
        rows = [
            (self._token(place), place, sequence)
            for sequence in range(self._work.width)
            for place in range(start, start + count)
        ]
        last = start + count - 1
        for begin in range(0, len(rows), self._batch_size):
            batch = rows[begin : begin + self._batch_size]
            wanted = [row for row, (_, place, _) in enumerate(batch) if place == last]
            decode(self._context, batch, wanted, self._control)
        self._context.synchronize()

    def _write(self, start: int, count: int) -> None:
        """A token of each text in every call."""
        sequences = range(self._work.width)
        for place in range(start, start + count):
            batch = [(self._token(place), place, sequence) for sequence in sequences]
            decode(self._context, batch, sequences, self._control)
            self._context.synchronize()

    def _token(self, place: int) -> int:
        begin = self._context.model.begin_token
        if place == 0 and begin is not None:
            return begin
        return self._random.randrange(self._context.model.n_vocab)
