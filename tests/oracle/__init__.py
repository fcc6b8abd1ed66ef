"""The sampler stages of `chain`, in numpy: an oracle that shares no code with llama.cpp.

Candidates go from stage to stage; arithmetic is in double precision, and logits are kept
in single precision between the stages, as llama.cpp keeps them. Each stage names the
function of llama.cpp's src/llama-sampler.cpp that it stands for, and its paper. What
follows from C's conversions or from the C++ library (the random numbers) is as on x86-64
with GCC's libstdc++.

Nothing imports this package at start: its modules may import numpy.

candidates  what all stages share
history     penalties and DRY
truncation  biases, truncation, temperature
draws       the last stage
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from llmparams_cli.backends.llama.sampling.chain import active_stages, can_change_argmax
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.table import PARAMS
from oracle.candidates import Array, Candidates, Random, Stage
from oracle.draws import AdaptiveP, Dist, Draw, Greedy, Mirostat, MirostatV2
from oracle.history import Dry, Repetition, Vocabulary, breakers
from oracle.truncation import (
    Bias,
    DynamicTemperature,
    MinP,
    Temperature,
    TopK,
    TopNSigma,
    TopP,
    Typical,
    Xtc,
)


@dataclass(frozen=True)
class Step:
    """What a stage left."""

    stage: str
    ids: Array
    logits: Array
    probabilities: Array


class Reference:
    """The stages of a Sampler with the same settings, under the same names."""

    def __init__(
        self, settings: Settings, seed: int, vocabulary: Vocabulary, context_size: int
    ) -> None:
        self._set = settings
        self._seed = seed
        self._vocabulary = vocabulary
        self._context_size = context_size
        chain = [(name, getattr(self, f"_{name}")()) for name in active_stages(settings)]
        chain = [(name, stage) for name, stage in chain if stage is not None]
        if settings["temperature"] == 0:
            while chain and not can_change_argmax(chain[-1][0]):
                chain.pop()
        forbidden = [*vocabulary.suppressed]
        forbidden += vocabulary.end_tokens if settings["ignore_eos"] else ()
        if forbidden:
            chain.insert(0, ("suppress", Bias(dict.fromkeys(forbidden, -math.inf))))
        name, self.last = self._draw_stage()
        self.chain: list[tuple[str, Stage]] = [*chain, (name, self.last)]

    @property
    def stages(self) -> list[str]:
        return [name for name, _ in self.chain]

    def apply(self, logits: Any) -> list[Step]:
        """Put one token's logits through all stages, and so draw: `last.token`."""
        steps, left = [], Candidates.of(logits)
        for name, stage in self.chain:
            left = stage.apply(left)
            steps.append(Step(name, left.ids, left.logits, left.probabilities()))
        return steps

    def draw(self, logits: Any) -> int:
        """The token that is drawn from these logits; it is not accepted yet."""
        self.apply(logits)
        return self.last.token

    def accept(self, token: int) -> None:
        """Let the stages know what was drawn."""
        for _, stage in self.chain:
            stage.accept(token)

    def show_prompt(self, tokens: Iterable[int]) -> None:
        """Let penalties and DRY count the prompt too."""
        remembering = [stage for _, stage in self.chain if stage.remembers]
        for token in tokens:
            for stage in remembering:
                stage.accept(token)

    def _logit_bias(self) -> Stage | None:
        biases: dict[int, float] = {}
        for key, bias in self._set["logit_bias"].items():
            known = [int(key)] if key.isdecimal() else self._vocabulary.tokenize(key.encode())
            biases |= dict.fromkeys(known, bias)
        return Bias(biases) if biases else None

    def _penalties(self) -> Stage | None:
        names = ("repeat_penalty", "frequency_penalty", "presence_penalty")
        window = self._window("repeat_last_n")
        if window == 0 or all(self._is_neutral(name) for name in names):
            return None
        growing = self._set["repeat_penalty_growth"] == "exponential"
        repeat, frequency, presence = (self._set[name] for name in names)
        return Repetition(repeat, frequency, presence, growing, window)

    def _dry(self) -> Stage | None:
        window = self._window("dry_last_n")
        if window == 0 or self._is_neutral("dry_multiplier"):
            return None
        texts = [text.encode() for text in self._set["dry_sequence_breakers"]]
        return Dry(
            self._set["dry_multiplier"],
            self._set["dry_base"],
            self._set["dry_allowed_length"],
            window,
            breakers(texts, self._vocabulary),
        )

    def _top_n_sigma(self) -> Stage | None:
        return self._unless_neutral("top_n_sigma", TopNSigma)

    def _top_k(self) -> Stage | None:
        return self._unless_neutral("top_k", TopK)

    def _typical_p(self) -> Stage | None:
        return self._unless_neutral("typical_p", Typical)

    def _top_p(self) -> Stage | None:
        return self._unless_neutral("top_p", TopP)

    def _min_p(self) -> Stage | None:
        return self._unless_neutral("min_p", MinP)

    def _xtc(self) -> Stage | None:
        threshold = self._set["xtc_threshold"]
        return self._unless_neutral("xtc_probability", Xtc, threshold, Random(self._seed))

    def _temperature(self) -> Stage | None:
        if self._is_neutral("dynatemp_range"):
            return self._unless_neutral("temperature", Temperature)
        names = ("temperature", "dynatemp_range", "dynatemp_exponent")
        return DynamicTemperature(*(self._set[name] for name in names))

    def _draw_stage(self) -> tuple[str, Draw]:
        random, size = Random(self._seed), len(self._vocabulary.texts)
        if self._set["temperature"] == 0:
            return "greedy", Greedy()
        tau, eta = self._set["mirostat_tau"], self._set["mirostat_eta"]
        if self._set["mirostat"] == 1:
            return "mirostat", Mirostat(size, tau, eta, random)
        if self._set["mirostat"] == 2:
            return "mirostat_v2", MirostatV2(tau, eta, random)
        if self._set["adaptive_p_target"] >= 0:
            target, decay = self._set["adaptive_p_target"], self._set["adaptive_p_decay"]
            return "adaptive_p", AdaptiveP(target, decay, random)
        return "dist", Dist(random)

    def _is_neutral(self, name: str) -> bool:
        return bool(self._set[name] == PARAMS[name].neutral)

    def _unless_neutral(self, name: str, make: Callable[..., Stage], *more: Any) -> Stage | None:
        return None if self._is_neutral(name) else make(self._set[name], *more)

    def _window(self, name: str) -> int:
        size = int(self._set[name])
        return self._context_size if size < 0 else min(size, self._context_size)
