"""Prompts that were read in another run: one more donor for a slot, on disk.

What is kept are whole blocks. So whatever is left of a prompt is read by exactly the calls that
would have read it without any cache, and the answer has the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from llmparams_cli.backends.llama.decoding.pieces import block_size
from llmparams_cli.backends.llama.host import hardware
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.state import State, Unknown, blank
from llmparams_cli.records.prefixes import segment
from llmparams_cli.records.prefixes.segment import Scope
from llmparams_cli.records.prefixes.store import Store


class Prefixes:
    """The prefix cache for one context. `scope` tells in what its states hold; asked for at the
    first prompt that is long enough, as it takes a few milliseconds.
    """

    least = 512  # tokens: shorter prompts are read before a file is found

    def __init__(self, store: Store, context: Context, scope: Callable[[], Scope]) -> None:
        self._store = store
        self._context = context
        self._block = block_size(context.piece_size)
        self._make_scope = scope

    @cached_property
    def _scope(self) -> Scope:
        return self._make_scope()

    def reach(self, tokens: Sequence[int]) -> int:
        """How many of these tokens, the first ones, there seems to be a state of."""
        if len(tokens) < self.least:
            return 0
        with suppress(OSError):  # of the model's file
            return len(self._store.chain(self._scope, tokens, self._block)) * self._block
        return 0

    def load(self, sequence: int, tokens: Sequence[int]) -> int:
        """Let an empty sequence hold what is kept of these tokens; returns of how many."""
        paths = self._store.chain(self._scope, tokens, self._block)
        if not self._can_copy(self._store.size(paths)):
            return 0
        state = None
        with suppress(MemoryError):
            state = self._assembled(paths, tokens, sequence)
        if state is None:
            return 0
        used = paths[: state.end // self._block]
        if not self._context.set_state(sequence, state.data, state.end):
            self._store.remove(used)  # so that better ones take their place
            return 0
        self._store.use(used)
        return state.end

    def keep(self, sequence: int, tokens: Sequence[int]) -> None:
        """Write what is new of a prompt that a sequence has read. Little is left of the sequence:
        its end is cut off again and again.
        """
        whole = tokens[: len(tokens) // self._block * self._block]
        if len(whole) < self.least:
            return
        with suppress(OSError, MemoryError):  # a cache must never fail a run
            missing = self._store.missing(self._scope, whole, self._block)
            if not missing:
                return
            with suppress(OSError, Unknown):
                self._write(sequence, whole, missing)
            self._store.use(self._store.chain(self._scope, whole, self._block))
            self._store.prune()

    def _assembled(
        self, paths: Sequence[Path], tokens: Sequence[int], sequence: int
    ) -> State | None:
        """The state that these files make up together; only the first of them, if one of the others
        is of no use.
        """
        state: State | None = None
        for number, path in enumerate(paths):
            start, end = number * self._block, (number + 1) * self._block
            found = self._store.read(path, self._scope, tokens[:end])
            if found is None:
                return self._assembled(paths[:number], tokens, sequence)
            try:
                state = state or self._blank(found.layout, len(paths) * self._block, sequence)
                state.put(start, end, found.data)
            except Unknown:
                self._store.remove([path])
                return self._assembled(paths[:number], tokens, sequence)
        return state

    def _blank(self, layout: Sequence[Any], count: int, sequence: int) -> State:
        streams = 1 if self._context.shared_cells else self._context.sequences
        return blank(layout, count, sequence, streams)

    def _write(self, sequence: int, tokens: Sequence[int], missing: Mapping[int, Path]) -> None:
        """Write blocks, the first one last: without it, none of the others is found."""
        for state, start, end in self._states(sequence, len(tokens), min(missing) * self._block):
            for stop in range(end, start, -self._block):
                if path := missing.get(stop // self._block - 1):
                    cells = state.cells(stop - self._block, stop)
                    self._store.add(
                        path,
                        segment.written(
                            self._scope, tokens[:stop], self._block, state.layout, cells
                        ),
                    )
        if path := missing.get(0):
            self._check(path, sequence, tokens[: self._block])

    def _states(self, sequence: int, end: int, start: int) -> Iterator[tuple[State, int, int]]:
        """States that have the cells from `start` to before `end` between them, each with the part
        that it has. Where some layers look only so far back, older cells of theirs are in the
        state of a shorter text.
        """
        while end > start and self._context.trim(sequence, end):
            if not self._can_copy(self._context.state_size(sequence)):
                return
            state = State(self._context.state(sequence))
            first = math.ceil(state.first / self._block) * self._block
            if state.end != end or first >= end:
                raise Unknown("not all cells of the text")
            yield state, first, end
            end = first

    def _check(self, path: Path, sequence: int, tokens: Sequence[int]) -> None:
        """Is what was cut out what the library itself says of a text that ends there? If not, the
        format is another one, and nothing that was cut by it may be found.
        """
        self._context.trim(sequence, len(tokens))
        state = self._assembled([path], tokens, sequence)
        if state is None or state.data != self._context.state(sequence):
            self._store.remove([path])

    def _can_copy(self, size: int) -> bool:
        return size <= self._store.limit and hardware.can_copy(size)
