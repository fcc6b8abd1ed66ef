"""What all stages share: candidates, random numbers, the shape of a stage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Candidates:
    """Tokens that may be drawn, in llama.cpp's order: that of their ids until a stage sorts.

    A logit of -inf is a candidate of probability 0.
    """

    ids: Array
    logits: Array

    @staticmethod
    def of(logits: Any) -> Candidates:
        values = np.asarray(logits, dtype=np.float32)
        return Candidates(np.arange(len(values)), values)

    def __len__(self) -> int:
        return len(self.ids)

    def probabilities(self) -> Array:
        """softmax: p_i = exp(l_i) / sum of exp(l_j)."""
        weights = np.exp(self.logits.astype(np.float64) - float(self.logits.max()))
        return np.asarray(weights / weights.sum())

    def at(self, places: Any) -> Candidates:
        return Candidates(self.ids[places], self.logits[places])

    def best_first(self) -> Candidates:
        """Sorted; equal logits stay in order, where llama.cpp leaves theirs to chance."""
        return self.at(np.argsort(-self.logits, kind="stable"))

    def having(self, logits: Array) -> Candidates:
        """The same tokens with other logits."""
        with np.errstate(over="ignore"):
            return Candidates(self.ids, logits.astype(np.float32))


class Random:
    """std::mt19937, and what std::uniform_real_distribution makes of it in [0, 1)."""

    def __init__(self, seed: int) -> None:
        self._state = np.random.RandomState(seed)

    def single(self) -> float:
        """uniform_real_distribution<float>: one word of 32 bits."""
        value = np.float32(self._word()) / np.float32(2.0**32)
        return float(min(value, np.nextafter(np.float32(1), np.float32(0))))

    def double(self) -> float:
        """uniform_real_distribution<double>: two words, the lower one first."""
        low, high = self._word(), self._word()
        return min((low + high * 2.0**32) / 2.0**64, math.nextafter(1.0, 0.0))

    def _word(self) -> int:
        return int(self._state.randint(0, 2**32, dtype=np.uint32))


class Stage:
    """Candidates in, candidates out. Some remember the tokens that they are shown."""

    remembers: ClassVar[bool] = False

    def apply(self, candidates: Candidates) -> Candidates:
        raise NotImplementedError

    def accept(self, token: int) -> None:
        """Take note of a token that was drawn."""
