"""Drawing from a large vocabulary without making a table of all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import takewhile
from typing import Any

from llmparams_cli.backends.llama.sampling.truncation import greedy, top_p
from llmparams_cli.params.settings import Settings

LARGE = 100_000  # tokens: with fewer, the import of numpy takes longer than is saved
Edit = Callable[[Any], None]  # what a stage does to a row of logits, in place
Truncate = Callable[[Any], Any]  # what a stage leaves of such a row: candidates, or None


class Shortcut:
    """Through the first stages of a chain: those that edit logits, and one that truncates."""

    def __init__(self, edits: Sequence[Edit], truncate: Truncate, size: int) -> None:
        import_module("numpy")  # now, so that the first token need not wait for it
        self.length = len(edits) + 1  # stages
        self._edits = edits
        self._truncate = truncate
        self._size = size

    @classmethod
    def of(
        cls, stages: Sequence[str], edits: Mapping[str, Edit], settings: Settings, size: int
    ) -> Shortcut | None:
        """That of these stages, if there is one. `edits` are known by the stages' names."""
        first = list(takewhile(edits.__contains__, stages))
        truncations: dict[str, Truncate] = {
            "greedy": greedy,
            "top_p": partial(top_p, p=settings["top_p"]),
        }
        truncate = truncations.get(stages[len(first)])
        if truncate is None or size < LARGE:
            return None
        return cls([edits[name] for name in first], truncate, size)

    def take(self, logits: Any) -> Any:
        """The candidates that these stages leave of all tokens (`logits` points to theirs); None if
        only the stages themselves can tell.
        """
        import numpy as np

        row = np.ctypeslib.as_array(logits, shape=(self._size,))
        if self._edits:
            row = row.copy()
            for edit in self._edits:
                edit(row)
        return self._truncate(row)


def add(biases: Mapping[int, float]) -> Edit:
    """Add biases to the logits of some tokens."""

    def edit(row: Any) -> None:
        import numpy as np

        row[list(biases)] += np.array(list(biases.values()), dtype=np.float32)

    return edit


def divide(temperature: float) -> Edit:
    """Divide all logits."""

    def edit(row: Any) -> None:
        row /= row.dtype.type(temperature)

    return edit
