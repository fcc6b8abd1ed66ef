"""The decode loop: N branches of one or several prompts, one batch a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llmparams_cli.engine.chain import Sampler
from llmparams_cli.engine.llama import Context
from llmparams_cli.protocol import Stop, StopReason


class Branch:
    """One continuation: its sampler, its tokens, and its end once `stop` is set."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.tokens: list[int] = []
        self.stop: Stop | None = None
        self.sequence = 0
        self.position = 0


@dataclass(frozen=True)
class Group:
    """A prompt and the branches that continue it. Its first `cached` tokens are in the
    context already; at least one is not.
    """

    prompt: Sequence[int]
    branches: Sequence[Branch]
    cached: int = 0


def decode(
    context: Context,
    groups: Sequence[Group],
    progress: Callable[[int], None] = lambda _done: None,
    limit: int | None = None,
) -> Iterator[list[tuple[Branch, int]]]:
    """Prefill each prompt once, then yield a column per step: (branch, output row) pairs.

    The first column of each group comes right after its prompt, later ones have all
    branches. The consumer draws from each row, appends to `branch.tokens`, and sets
    `branch.stop` when it has had enough. Branches without room, or at `limit` positions,
    get `context-full`. The iteration also ends when the context is interrupted.
    """
    branches = [branch for group in groups for branch in group.branches]
    for number, branch in enumerate(branches):
        branch.sequence = number
    for group in groups:
        first = group.branches[0].sequence
        if not context.prefill(group.prompt, progress, group.cached, first):
            return
        context.share(first, len(group.branches))
        for branch in group.branches:
            branch.position = len(group.prompt)
        last = (len(group.prompt) - group.cached - 1) % context.batch_size
        yield [(branch, last) for branch in group.branches]
    cells = sum(len(group.prompt) for group in groups)
    limit = min(limit or context.size, context.size)
    while active := _with_room(branches, context, cells, limit):
        batch = [(branch.tokens[-1], branch.position, branch.sequence) for branch in active]
        if not context.decode(batch, range(len(batch))):
            return
        cells += len(active)
        for branch in active:
            branch.position += 1
        yield [(branch, row) for row, branch in enumerate(active)]


def _with_room(
    branches: Sequence[Branch], context: Context, cells: int, limit: int
) -> list[Branch]:
    """The branches that go on; those that would, but have no room, are stopped."""
    active = [branch for branch in branches if branch.stop is None]
    full = cells + len(active) > context.size
    for branch in active:
        if full or branch.position >= limit:
            size = context.size if full else limit
            branch.stop = Stop(StopReason.CONTEXT_FULL, f"{size} tokens")
    return [branch for branch in active if branch.stop is None]
