"""The draws of one answer as data for a page: compact, but exact where the page computes.

Logits are the recorded float32 values in base64. The probabilities of a stage follow from
them and from `log_total`, so they are not written; if their sum is less than 1, the rest is
that of tokens that were not recorded.
"""

from __future__ import annotations

import base64
import math
import sys
from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import compress, groupby
from typing import Any

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.params.conflicts import SWITCHED_ON, form
from llmparams_cli.params.settings import Settings
from llmparams_cli.text.numbers import finite
from llmparams_cli.trace import Ruling, Stage, TokenView

# Settings that the page's sampler needs as they are.
RAW = (
    *("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "repeat_penalty_growth"),
    *("frequency_penalty", "presence_penalty", "sampler_order", "mirostat", "dynatemp_range"),
)
DIGITS = 7  # of a number that is only shown: as many as float32 has


@dataclass(frozen=True)
class Recorded:
    """Which candidates were recorded for every draw: at least the model's `top` best, and more
    (up to `most`) until they hold the share `coverage` of the probability. Others may follow.
    """

    top: int
    coverage: float
    most: int


def answer(explanation: Explanation, recorded: Recorded) -> dict[str, Any]:
    """The data from which the page computes."""
    return {
        "sampler": _sampler(explanation),
        "draws": [_draw(token, recorded) for token in explanation.tokens],
    }


def pieces(explanations: Iterable[Explanation]) -> dict[str, str]:
    """The texts of all tokens that are shown, by their ids."""
    found: dict[int, str] = {}
    for explanation in explanations:
        for token in explanation.tokens:
            found.update(token.candidates)
            found.update((entry.id, entry.text) for entry in token.penalised)
    return {str(id): text for id, text in found.items()}


def _sampler(explanation: Explanation) -> dict[str, Any]:
    """The settings that the page's sampler needs."""
    settings, context = explanation.settings, explanation.started.context
    window = settings["repeat_last_n"]
    biases = [bias for bias in settings["logit_bias"].values() if bias]
    return {
        **{name: settings[name] for name in RAW},
        "window": context if window < 0 else min(window, context),
        "history": list(explanation.started.tokens) if settings["penalize_prompt"] else [],
        "highest_bias": max([0.0, *biases]),
        "grammar": bool(form(settings)),
        "draw": _draw_stage(settings),
        "on": {
            **{name: is_on(settings) for name, is_on in SWITCHED_ON.items()},
            "top_n_sigma": settings["top_n_sigma"] > 0,
        },
    }


def _draw_stage(settings: Settings) -> str:
    """The recorded name of the stage that draws the token at temperatures above 0."""
    if settings["mirostat"]:
        return "mirostat" if settings["mirostat"] == 1 else "mirostat_v2"
    return "adaptive_p" if settings["adaptive_p_target"] >= 0 else "dist"


def _draw(token: TokenView, recorded: Recorded) -> dict[str, Any]:
    stages, before = [], None
    for stage in token.stages:
        stages.append(_stage(stage, before))
        before = stage
    return {
        "id": token.id,
        "is_end": token.is_end,
        "end": [short(token.end[0]), token.end[1]],
        "ids": [id for id, _ in token.candidates],
        "best": _best(token.model, recorded),
        "stages": stages,
        "window": token.window,
        "penalties": [
            [
                entry.id,
                entry.count,
                *map(short, (entry.before, entry.repetition, entry.frequency, entry.presence)),
                short(entry.after),
            ]
            for entry in token.penalised
        ],
        **({"grammar": _ruling(token.grammar)} if token.grammar else {}),
    }


def _ruling(ruling: Ruling) -> dict[str, Any]:
    return {
        **asdict(ruling),
        "probability": short(ruling.probability),
        "removes": sorted(ruling.removes),
    }


def _stage(stage: Stage, before: Stage | None) -> dict[str, Any]:
    """One stage. `left` are the candidates that remain, as pairs of indices (from, to); `logits`
    are theirs, or null if the stage only removed candidates.
    """
    there = [logit > -math.inf for logit in stage.logits]
    left, at = [], 0
    for is_there, group in groupby(there):
        size = len(list(group))
        left += [at, at + size] if is_there else []
        at += size
    logits = array("f", compress(stage.logits, there))
    known = before and array("f", compress(before.logits, there))
    return {
        "name": stage.name,
        "kept": stage.kept,
        "cut": short(stage.cut),
        "entropy": short(stage.entropy),
        "rank": stage.rank,
        "left": left,
        "log_total": stage.log_total,
        "logits": None if logits == known else _packed(logits),
    }


def _best(model: Stage, recorded: Recorded) -> int:
    """How many of the first candidates are the model's best, without a gap among them."""
    total = 0.0
    for count, probability in enumerate(model.probabilities()[: recorded.most], 1):
        total += probability or 0.0
        if count >= recorded.top and total >= recorded.coverage:
            return count
    return min(len(model.logits), max(recorded.most, recorded.top))


def _packed(logits: array[float]) -> str:
    if sys.byteorder == "big":
        logits.byteswap()
    return base64.b64encode(logits.tobytes()).decode()


def short(value: float) -> float | None:
    """A number rounded for display; null if it is infinite."""
    return None if finite(value) is None else float(f"{value:.{DIGITS}g}")
