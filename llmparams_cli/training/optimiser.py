"""The step of an optimiser: AdamW and SGD without momentum, as torch.optim has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmparams_cli.errors import BackendError

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from llmparams_cli.training.trainer import Array, Recipe

SLICE = 1 << 15  # elements: what a step works on stays in the processor's cache
STEPS, MEAN, SQUARE = "optimiser/steps", "optimiser/mean/", "optimiser/square/"


class Optimiser:
    """Changes `learned`, arrays by name, in place. AdamW (https://arxiv.org/abs/1711.05101) keeps a
    running mean of the gradients and one of their squares.
    """

    def __init__(self, recipe: Recipe, learned: Mapping[str, Array]) -> None:
        import numpy as np

        self._recipe, self._learned = recipe, learned
        self._steps = 0
        self._memory: dict[str, Array] = {}
        if recipe.optimiser == "adamw":
            for kind in (MEAN, SQUARE):
                self._memory |= {kind + name: np.zeros_like(each) for name, each in learned.items()}
        self._scratch = np.empty((2, SLICE), np.float32)

    def step(self, gradients: Mapping[str, Array], rate: float) -> float:
        """One step; returns the length of the gradient before clipping. If that is not finite,
        nothing changes.
        """
        norm = length(gradients)
        if not math.isfinite(norm):
            return norm
        clip = self._recipe.clip
        share = clip / norm if 0 < clip < norm else 1.0
        self._steps += 1
        for name, weights in self._learned.items():
            if self._recipe.optimiser == "adamw":
                self._adamw(name, weights, gradients[name], rate, share)
            else:
                self._sgd(weights, gradients[name], rate, share)
        return norm

    def state(self) -> dict[str, NDArray[float32]]:
        """What it remembers: copies."""
        import numpy as np

        steps = np.array([self._steps], np.float32)
        return {STEPS: steps, **{name: each.copy() for name, each in self._memory.items()}}

    def restore(self, state: Mapping[str, NDArray[float32]]) -> None:
        """Remember such a state; what else is in the mapping does not matter."""
        overwrite(self._memory, state)
        self._steps = int(state[STEPS][0])

    def _adamw(self, name: str, weights: Array, gradient: Array, rate: float, share: float) -> None:
        import numpy as np

        recipe = self._recipe
        # What is still missing in means that began with zero.
        whole = 1 - recipe.beta1**self._steps
        root = math.sqrt(1 - recipe.beta2**self._steps)
        keep = 1 - rate * self._decay(weights)
        parts = (weights, gradient, self._memory[MEAN + name], self._memory[SQUARE + name])
        for weight, slope, mean, square in _slices(*parts):
            first, second = self._scratch[:, : len(weight)]
            np.multiply(slope, share, out=first)
            np.subtract(first, mean, out=second)
            second *= 1 - recipe.beta1
            mean += second
            first *= first
            first *= 1 - recipe.beta2
            square *= recipe.beta2
            square += first
            np.sqrt(square, out=first)
            first /= root
            first += recipe.epsilon
            np.divide(mean, first, out=first)
            first *= rate / whole
            weight *= keep
            weight -= first

    def _sgd(self, weights: Array, gradient: Array, rate: float, share: float) -> None:
        import numpy as np

        keep = 1 - rate * self._decay(weights)
        for weight, slope in _slices(weights, gradient):
            change = self._scratch[0, : len(weight)]
            np.multiply(slope, rate * share, out=change)
            weight *= keep
            weight -= change

    def _decay(self, weights: Array) -> float:
        return self._recipe.weight_decay if weights.ndim > 1 else 0.0


def length(gradients: Mapping[str, Array]) -> float:
    """The length of all of them as one vector."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite, the caller sees
        return math.sqrt(
            sum(
                float(np.dot(part, part))
                for gradient in gradients.values()
                for (part,) in _slices(gradient)
            )
        )


def overwrite(arrays: Mapping[str, Array], state: Mapping[str, NDArray[float32]]) -> None:
    """Give all arrays, in place, the values that a state has for them. Raises BackendError if it
    has not, before anything changes.
    """
    for name, array in arrays.items():
        if name not in state or state[name].shape != array.shape:
            raise BackendError(f"the saved state does not fit: {name}")
    for name, array in arrays.items():
        array[...] = state[name]


def _slices(*arrays: Array) -> list[tuple[Array, ...]]:
    """Views of arrays of one shape, piece by piece and flat."""
    flat = [array.reshape(-1) for array in arrays]
    return [
        tuple(each[begin : begin + SLICE] for each in flat)
        for begin in range(0, len(flat[0]), SLICE)
    ]
