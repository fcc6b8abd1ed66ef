"""The decode loop: branches of one or several prompts, one batch a step.

prompts ──> places: as many branches as the context has sequences ──> a column a step
              ^ the next branch joins as soon as one has ended
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from llmparams_cli.backends.llama.native.handles import Context
from llmparams_cli.backends.llama.sampling.chain import Sampler
from llmparams_cli.protocol import Stop, StopReason

Column = list[tuple["Branch", int]]


class Branch:
    """One continuation: its sampler, its tokens, and its end once `stop` is set.

    `started` is when its prompt began to be read; a branch that joins others later is
    given the time that the reading took them.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.tokens: list[int] = []
        self.stop: Stop | None = None
        self.started = 0.0
        self.sequence = 0
        self.position = 0
        self._before = 0

    def begin(self, position: int, before: int) -> None:
        """Go on from `position`; `before` is the prompt's last token."""
        self.position, self._before = position, before

    @property
    def next_token(self) -> int:
        """What is to be decoded next, at `position`."""
        return self.tokens[-1] if self.tokens else self._before


@dataclass(frozen=True)
class Group:
    """A prompt and the branches that continue it; they may be made one by one, as places
    become free. The prompt's first `cached` tokens are in the context already; at least one
    is not.

    A prompt for `several` branches is read once, but for its last token, which each of them
    reads itself: that gives it its logits, whenever it joins.
    """

    prompt: Sequence[int]
    branches: Iterable[Branch]
    cached: int = 0
    several: bool = False


def decode(
    context: Context,
    groups: Iterable[Group],
    progress: Callable[[int], None] = lambda _done: None,
    limit: int | None = None,
) -> Iterator[Column]:
    """Yield a column per step: (branch, output row) pairs.

    The consumer draws from each row, appends to `branch.tokens`, and sets `branch.stop` when
    it has had enough. Branches without room, or at `limit` positions, get `context-full`.
    The iteration also ends when the context is interrupted.
    """
    table = _Table(context, progress, limit)
    entries = ((group, branch) for group in groups for branch in group.branches)
    while True:
        table.leave()
        entry = next(entries, None) if table.free else None
        if not (entry or table.active):
            return
        column = table.join(*entry) if entry else table.step()
        if column is None:
            return
        if column:
            yield column


class _Table:
    """Who is where in the context. Its sequences are places for branches; where there are
    several, the last one keeps the prompt that is being shared out.

    Those that go on are in the first places without a gap: sequences that have their own
    cells are decoded in one go only while their numbers follow each other.
    """

    def __init__(
        self, context: Context, progress: Callable[[int], None], limit: int | None
    ) -> None:
        self.active: list[Branch] = []
        self._context = context
        self._progress = progress
        self._limit = min(limit or context.size, context.size, context.sequence_size)
        self._keeper = context.sequences - 1
        self.free = list(range(max(1, self._keeper)))
        self._groups: dict[int, Group] = {}  # by sequence
        self._reading_s = 0.0

    def join(self, group: Group, branch: Branch) -> Column | None:
        """Give the branch a place, and read its prompt if nobody has. The column of its first
        logits, empty where those come with the next step; None when interrupted.
        """
        began = time.perf_counter()
        kept = self._groups.get(self._keeper) is group
        place = branch.sequence = min(self.free)
        self.free.remove(place)
        if not kept and not self._read(group, self._keeper if group.several else place):
            return None
        if not kept:
            self._reading_s = time.perf_counter() - began
        branch.started = time.perf_counter() - self._reading_s
        branch.begin(len(group.prompt) - group.several, group.prompt[-1])
        self._groups[place] = group
        self.active.append(branch)
        if group.several:
            self._context.copy(self._keeper, place)
            return []
        last = len(group.prompt) - group.cached - 1
        return [(branch, last % self._context.batch_size)]

    def step(self) -> Column | None:
        """Decode one token of all that go on, a row for each. None when interrupted."""
        self._stop_without_room()
        self.leave()
        self._close_gaps()
        batch = [(each.next_token, each.position, each.sequence) for each in self.active]
        if batch and not self._context.decode(batch, range(len(batch))):
            return None
        for branch in self.active:
            branch.position += 1
        return [(branch, row) for row, branch in enumerate(self.active)]

    def leave(self) -> None:
        """Free the places of the branches that have ended."""
        for branch in [each for each in self.active if each.stop]:
            self.active.remove(branch)
            self._vacate(branch.sequence)

    def _vacate(self, place: int) -> None:
        del self._groups[place]
        self.free.append(place)
        if self._keeper:  # a context for one branch may be gone on with
            self._context.drop(place)

    def _close_gaps(self) -> None:
        """Move the last ones into the places that nobody has taken."""
        self.active.sort(key=lambda branch: branch.sequence)
        while self.active and min(self.free, default=self._keeper) < self.active[-1].sequence:
            gap, branch = min(self.free), self.active[-1]
            self._context.copy(branch.sequence, gap)
            self._groups[gap] = self._groups[branch.sequence]
            self._vacate(branch.sequence)
            self.free.remove(gap)
            branch.sequence = gap
            self.active.sort(key=lambda branch: branch.sequence)

    def _read(self, group: Group, sequence: int) -> bool:
        if group.several:
            self._context.drop(sequence)
            self._groups[sequence] = group
        prompt = group.prompt[: len(group.prompt) - group.several]
        return self._context.prefill(prompt, self._progress, group.cached, sequence)

    def _stop_without_room(self) -> None:
        going = [branch for branch in self.active if branch.stop is None]
        full = self._cells() + len(going) > self._context.size
        for branch in going:
            if full or branch.position >= self._limit:
                size = self._context.size if full else self._limit
                branch.stop = Stop(StopReason.CONTEXT_FULL, f"{size} tokens")

    def _cells(self) -> int:
        """Cells in use: what each branch has of its own, and the prompts that are shared."""
        shared = {id(g): len(g.prompt) - 1 for g in self._groups.values() if g.several}
        own = sum(
            each.position - shared.get(id(self._groups[each.sequence]), 0) for each in self.active
        )
        return own + sum(shared.values())
