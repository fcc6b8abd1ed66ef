"""The decode loop: N branches of one prompt, one batch a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from llmparams_cli.engine.chain import Sampler
from llmparams_cli.engine.llama import Context
from llmparams_cli.protocol import Stop, StopReason


class Branch:
    """One continuation: its sampler, its tokens, and its end once `stop` is set."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.tokens: list[int] = []
        self.stop: Stop | None = None


def decode(
    context: Context,
    prompt: Sequence[int],
    branches: Sequence[Branch],
    progress: Callable[[int], None] = lambda _done: None,
    cached: int = 0,
) -> Iterator[list[tuple[Branch, int]]]:
    """Prefill `prompt` once, then yield a column per step: (branch, output row) pairs.

    The first `cached` tokens of the prompt are in the context already; at least one is not.
    The consumer draws from each row, appends to `branch.tokens`, and sets
    `branch.stop` when it has had enough. Branches without room get `context-full`.
    The iteration also ends when the context is interrupted.
    """
    if not context.prefill(prompt, progress, cached):
        return
    context.share_prompt(len(branches))
    last = (len(prompt) - cached - 1) % context.batch_size
    rows = [(branch, last) for branch in branches]
    numbers = {id(branch): number for number, branch in enumerate(branches)}
    position = cells = len(prompt)
    while rows:
        yield rows
        active = [branch for branch, _ in rows if branch.stop is None]
        if cells + len(active) > context.size:
            for branch in active:
                branch.stop = Stop(StopReason.CONTEXT_FULL, f"{context.size} tokens")
            return
        batch = [(b.tokens[-1], position, numbers[id(b)]) for b in active]
        if batch and not context.decode(batch, range(len(batch))):
            return
        rows = [(branch, row) for row, branch in enumerate(active)]
        position += 1
        cells += len(active)
