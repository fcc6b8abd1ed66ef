"""Draws a choice again, token by token, as a recorded run is looked at: the tokens that choices go
on with have the probabilities of those choices together, and the seed draws a whole one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llmparams_cli.analysis.choices import Tree, drawn, shares
from llmparams_cli.analysis.distribution import entropy
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.sampling.candidates import array_of
from llmparams_cli.backends.llama.sampling.chain import GRAMMAR, Step

# Its stages, by the names that those of a chain have:
TEMPERATURE, GREEDY = "temperature", "greedy"


class ChoiceSampler:
    """Does what a `Sampler` does, for a tree of choices at one temperature."""

    penalties = None

    def __init__(self, tree: Tree, temperature: float, seed: int, size: int) -> None:
        self._texts = tree.texts
        self._stages = [(GRAMMAR, shares(tree.logprobs))]
        if temperature != 1:
            name = TEMPERATURE if temperature else GREEDY
            self._stages.append((name, shares(tree.logprobs, temperature)))
        self._seed = seed
        self._size = size  # of the vocabulary
        self._before: tuple[int, ...] = ()
        self._plan = self._texts[drawn(self._stages[-1][1], seed)]

    def draw(self, _logits: Any) -> int | None:
        """The next token; None behind the last one."""
        place = len(self._before)
        return self._plan[place] if place < len(self._plan) else None

    def walk(self, logits: Any) -> tuple[list[Step], int | None]:
        """See `Sampler.walk`."""
        steps = [(name, self._table(weights)) for name, weights in self._stages]
        return steps, self.draw(logits)

    def sample(self, _context: Context, _row: int) -> int | None:
        """Draw a token, and accept it."""
        return self.measured(_context, _row)[0]

    def measured(self, _context: Context, _row: int) -> tuple[int | None, float]:
        """The same, and the entropy in bits of the distribution that it was drawn from."""
        import numpy as np

        token = self.draw(None)
        bits = entropy(np.array([*self._next(self._stages[-1][1]).values()]))
        if token is not None:
            self.accept(token)
        return token, bits

    def allowed(self, _logits: Any, _token: int) -> Any:
        """Which tokens choices go on with, as a row of bools by token id."""
        import numpy as np

        allowed = np.zeros(self._size, bool)
        allowed[[*self._next(self._stages[0][1])]] = True
        return allowed

    def distribution(self, _logits: Any) -> Any:
        """The probabilities, by token id, with which it draws."""
        import numpy as np

        probabilities = np.zeros(self._size)
        for token, weight in self._next(self._stages[-1][1]).items():
            probabilities[token] = weight
        return probabilities

    def accept(self, token: int) -> None:
        """Go on with this token, whichever was drawn."""
        self._before = (*self._before, token)
        if not self._goes_on(self._plan) and any(map(self._goes_on, self._texts)):
            self._plan = self._texts[drawn(self._going(self._stages[-1][1]), self._seed)]

    def is_complete(self) -> bool:
        """May the text end here?"""
        return self._before in self._texts

    def close(self) -> None:
        """Nothing to do."""

    def _goes_on(self, text: Sequence[int]) -> bool:
        return tuple(text[: len(self._before)]) == self._before

    def _going(self, weights: Sequence[float]) -> list[float]:
        """The shares of the choices that the text can still become."""
        left = [
            weight if self._goes_on(text) else 0.0
            for text, weight in zip(self._texts, weights, strict=True)
        ]
        total = math.fsum(left)
        return [weight / total for weight in left] if total else left

    def _next(self, weights: Sequence[float]) -> dict[int, float]:
        """How probable each token is that may come next."""
        found: dict[int, float] = {}
        place = len(self._before)
        for text, weight in zip(self._texts, self._going(weights), strict=True):
            if self._goes_on(text) and len(text) > place:
                found[text[place]] = found.get(text[place], 0.0) + weight
        return found

    def _table(self, weights: Sequence[float]) -> Any:
        found = {token: weight for token, weight in self._next(weights).items() if weight > 0}
        return array_of([*found], [math.log(weight) for weight in found.values()]).table
