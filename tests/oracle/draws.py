"""The last stage, which draws the token."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from llmparams_cli.backends.llama.sampling.chain import MIROSTAT_M
from oracle.candidates import Array, Candidates, Random, Stage

INT_LIMIT = 2.0**31


class Draw(Stage):
    """The last stage: `apply` also sets `token`, which it drew.

    `margin` is how near the random number came to giving another one.
    """

    token = -1
    margin = 1.0

    def _pick(self, candidates: Candidates, number: float) -> float:
        """The first token up to which the probabilities add up to `number`; its own one."""
        probabilities = candidates.probabilities()
        bounds = np.cumsum(probabilities)[:-1]
        place = int(np.searchsorted(bounds, number))
        self.token = int(candidates.ids[place])
        self.margin = float(np.abs(bounds - number).min(initial=1.0))
        return float(probabilities[place])


class Greedy(Draw):
    """The first of the highest logits. llama_sampler_greedy_apply."""

    def apply(self, candidates: Candidates) -> Candidates:
        self.token = int(candidates.ids[candidates.logits.argmax()])
        return candidates


@dataclass
class Dist(Draw):
    """By probability; takes a random number even for one candidate. llama_sampler_dist_apply."""

    random: Random

    def apply(self, candidates: Candidates) -> Candidates:
        self._pick(candidates, self.random.double())
        return candidates


class _Discrete(Draw):
    """std::discrete_distribution: takes no random number for one candidate."""

    random: Random

    def _draw(self, candidates: Candidates) -> float:
        return self._pick(candidates, self.random.double() if len(candidates) > 1 else 0.0)


@dataclass
class Mirostat(_Discrete):
    """Top-k with a k that should bring the surprise to mu, then a draw; mu starts at 2 tau and
    loses eta x (surprise of the token, in bits - tau). Mirostat, arXiv:2007.14966.

    s = sum(t b) / sum(t^2) over the best m, with t_i = ln((i+1) / i), b_i = ln(p_i / p_i+1);
    k = ((s-1) 2^mu / (1 - N^-(s-1)))^(1/s), N being the size of the vocabulary.
    A k beyond an int is 1: what x86 makes of it. llama_sampler_mirostat_apply.
    """

    vocabulary: int
    tau: float
    eta: float
    random: Random
    m: int = MIROSTAT_M
    mu: float = field(init=False)

    def __post_init__(self) -> None:
        self.mu = 2 * self.tau

    def apply(self, candidates: Candidates) -> Candidates:
        left = candidates.best_first()
        left = left.at(slice(self._k(left.probabilities()[: self.m])))
        self.mu -= self.eta * (-math.log2(self._draw(left)) - self.tau)
        return left

    def _k(self, best: Array) -> int:
        """In single precision, as there: far from 1, s decides by its rounding."""
        one = np.float32
        with np.errstate(all="ignore"):
            best = best.astype(one)
            place = np.arange(1, len(best), dtype=one)
            t = np.log((place + one(1)) / place)
            b = np.log(best[:-1] / best[1:])
            s = np.sum(t * b, dtype=one) / np.sum(t * t, dtype=one)
            epsilon = s - one(1)
            power = one(2) ** one(self.mu)
            k = (epsilon * power / (one(1) - one(self.vocabulary) ** -epsilon)) ** (one(1) / s)
        return max(int(k), 1) if abs(k) < INT_LIMIT else 1  # NaN: 1


@dataclass
class MirostatV2(_Discrete):
    """Removes tokens of more than mu bits of surprise, but for the best, then draws; mu moves
    as in Mirostat. Algorithm 2 of arXiv:2007.14966. llama_sampler_mirostat_v2_apply.
    """

    tau: float
    eta: float
    random: Random
    mu: float = field(init=False)

    def __post_init__(self) -> None:
        self.mu = 2 * self.tau

    def apply(self, candidates: Candidates) -> Candidates:
        left = candidates.best_first()
        with np.errstate(divide="ignore"):
            surprise = -np.log2(left.probabilities())
        left = left.at(slice(max(1, int((surprise <= self.mu).sum()))))
        self.mu -= self.eta * (-math.log2(self._draw(left)) - self.tau)
        return left


@dataclass
class AdaptiveP(_Discrete):
    """Draws by new logits that peak where p is near a target: 5 - 10 d^2 / (1 + d) with
    d = |p - target'| / 0.3. target' = 2 target - the average probability of the tokens drawn
    so far, older ones weighing less by `decay` each; that average starts at the target.
    llama.cpp's own (pull request 17927). llama_sampler_adaptive_p_apply.
    """

    target: float
    decay: float
    random: Random
    _weighted: float = field(init=False)
    _weight: float = field(init=False)
    _pending: tuple[int, float] = (-1, 0.0)

    def __post_init__(self) -> None:
        self._weight = 1 / (1 - self.decay)
        self._weighted = self.target * self._weight

    def apply(self, candidates: Candidates) -> Candidates:
        probabilities = candidates.probabilities()
        target = min(max(2 * self.target - self._weighted / self._weight, 0.0), 1.0)
        distance = np.abs(probabilities - target) / 0.3
        logits = 5 - 10 * distance**2 / (1 + distance)
        left = candidates.having(np.where(candidates.logits == -np.inf, -np.inf, logits))
        self._draw(left)
        self._pending = self.token, float(probabilities[left.ids == self.token][0])
        return left

    def accept(self, token: int) -> None:
        if token == self._pending[0]:
            self._weighted = self._pending[1] + self.decay * self._weighted
            self._weight = 1 + self.decay * self._weight
        self._pending = (-1, 0.0)
