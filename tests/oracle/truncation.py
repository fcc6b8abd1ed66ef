"""Stages without a memory: biases, truncation, temperature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from oracle.candidates import Array, Candidates, Random, Stage


@dataclass
class Bias(Stage):
    """l + bias for the tokens that have one; -inf forbids. llama_sampler_logit_bias_apply."""

    biases: Mapping[int, float]

    def apply(self, candidates: Candidates) -> Candidates:
        logits = candidates.logits.copy()
        for token, bias in self.biases.items():
            logits[candidates.ids == token] += np.float32(bias)
        return candidates.having(logits)


@dataclass
class TopNSigma(Stage):
    """Forbids logits below max - n x standard deviation, that of the logits above -inf.
    Top-n-sigma, arXiv:2411.07641. llama_sampler_top_n_sigma_apply.
    """

    n: float

    def apply(self, candidates: Candidates) -> Candidates:
        if self.n <= 0 or len(candidates) <= 1:
            return candidates
        logits = candidates.logits
        finite = logits[logits > -np.inf].astype(np.float64)
        lowest = finite.max() - np.float32(self.n) * finite.std()
        return candidates.having(np.where(logits < lowest, -np.inf, logits))


@dataclass
class TopK(Stage):
    """The k highest logits, sorted. Fan et al., arXiv:1805.04833. llama_sampler_top_k_impl."""

    k: int

    def apply(self, candidates: Candidates) -> Candidates:
        return candidates.best_first().at(slice(self.k))


@dataclass
class Typical(Stage):
    """Tokens by |-ln p - H|, H being the entropy, until they hold more than p of the
    probability. Locally typical sampling, arXiv:2202.00666. llama_sampler_typical_apply.
    """

    p: float

    def apply(self, candidates: Candidates) -> Candidates:
        ordered = candidates.best_first()
        probabilities = ordered.probabilities()
        with np.errstate(divide="ignore"):
            surprise = -np.log(probabilities)
        distance = np.abs(surprise - _entropy(probabilities))
        typical_first = np.argsort(distance, kind="stable")
        mass = np.cumsum(probabilities[typical_first])
        count = int(np.searchsorted(mass, np.float32(self.p), side="right")) + 1
        return ordered.at(typical_first[:count])


@dataclass
class TopP(Stage):
    """The most probable tokens until they hold p of the probability or more. Nucleus
    sampling, arXiv:1904.09751. llama_sampler_top_p_apply.
    """

    p: float

    def apply(self, candidates: Candidates) -> Candidates:
        ordered = candidates.best_first()
        mass = np.cumsum(ordered.probabilities())
        return ordered.at(slice(int(np.searchsorted(mass, np.float32(self.p))) + 1))


@dataclass
class MinP(Stage):
    """Tokens with p_i >= p x the highest p: l_i >= max + ln p. Min-p, arXiv:2407.01082.
    llama_sampler_min_p_apply.
    """

    p: float

    def apply(self, candidates: Candidates) -> Candidates:
        lowest = float(candidates.logits.max()) + math.log(np.float32(self.p))
        return candidates.at(candidates.logits >= lowest)


@dataclass
class Xtc(Stage):
    """With some probability, removes all tokens of p_i >= threshold but the last of them.
    Exclude top choices, by P. E. Weidmann. llama_sample_xtc_apply.
    """

    probability: float
    threshold: float
    random: Random

    def apply(self, candidates: Candidates) -> Candidates:
        if np.float32(self.threshold) > 0.5 or len(candidates) < 2:
            return candidates
        if self.random.single() > np.float32(self.probability):
            return candidates
        ordered = candidates.best_first()
        obvious = int((ordered.probabilities() >= np.float32(self.threshold)).sum())
        return ordered.at(slice(max(obvious - 1, 0), None))


@dataclass
class Temperature(Stage):
    """l / t; at 0 only the best is left. llama_sampler_temp_impl."""

    t: float

    def apply(self, candidates: Candidates) -> Candidates:
        logits = candidates.logits.astype(np.float64)
        if self.t <= 0:
            best = np.arange(len(candidates)) == logits.argmax()
            return candidates.having(np.where(best, logits, -np.inf))
        return candidates.having(logits / float(np.float32(self.t)))


@dataclass
class DynamicTemperature(Stage):
    """t from max(0, T - range) to T + range, by (H / ln n)^exponent: H is the entropy of n
    candidates. EDT, arXiv:2403.14541, in another form. llama_sampler_temp_ext_apply.
    """

    t: float
    range: float
    exponent: float

    def apply(self, candidates: Candidates) -> Candidates:
        if len(candidates) <= 1:
            return candidates
        ordered = candidates.best_first()
        unsure = _entropy(ordered.probabilities()) / math.log(len(ordered))
        low, high = max(0.0, self.t - self.range), self.t + self.range
        return Temperature(low + (high - low) * unsure**self.exponent).apply(ordered)


def _entropy(probabilities: Array) -> float:
    """In nats; what is impossible adds nothing."""
    seen = probabilities[probabilities > 0]
    return max(0.0, -float((seen * np.log(seen)).sum()))
