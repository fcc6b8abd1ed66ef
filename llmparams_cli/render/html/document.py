"""An Explanation as the page's data: compact, and exact where the page goes on computing.

Logits are the recorded float32 values in base64. The probabilities of a stage follow from
them and from `log_total`, the logarithm of the sum of all their exponentials, so they are
not written; what is missing to 1 belongs to the tokens that were not recorded.
"""

from __future__ import annotations

import base64
import math
import sys
from array import array
from dataclasses import asdict, dataclass
from itertools import compress, groupby
from typing import Any

from llmparams_cli.explanation import Explanation, Stage, TokenView, WhatIf
from llmparams_cli.params.conflicts import SWITCHED_ON
from llmparams_cli.params.settings import Settings
from llmparams_cli.render.summary import stop_text

RAW = (
    *("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "repeat_penalty_growth"),
    *("frequency_penalty", "presence_penalty", "sampler_order", "mirostat", "dynatemp_range"),
)
DIGITS = 7


@dataclass(frozen=True)
class Recorded:
    """Which candidates every draw has: the model's `top` best at least; with more of them, up
    to `most`, until they hold this share of the probability. Others may follow.
    """

    top: int
    coverage: float
    most: int


def document(explanation: Explanation, recorded: Recorded, start: int) -> dict[str, Any]:
    """All that the page shows."""
    started, finished = explanation.started, explanation.finished
    return {
        "start": start,
        "model": started.model.name,
        "prompt": started.prompt,
        "text": finished.text,
        "seed": started.seed,
        "stop": stop_text(finished.stop),
        "settings": _settings(explanation),
        "sampler": _sampler(explanation),
        "pieces": {str(id): text for token in explanation.tokens for id, text in token.candidates}
        | {str(entry.id): entry.text for token in explanation.tokens for entry in token.penalised},
        "draws": [_draw(token, recorded) for token in explanation.tokens],
        "stop_sequences": [asdict(stop) for stop in explanation.stops],
        "what_if": [_what_if(what_if) for what_if in explanation.what_if],
    }


def _settings(explanation: Explanation) -> list[dict[str, Any]]:
    """Every parameter; with `changed` those whose effect was measured."""
    changed = {each.setting.param.name: list(each.changed) for each in explanation.effects}
    return [
        {
            "name": setting.param.name,
            "value": setting.param.kind.show(setting.value),
            "origin": str(setting.origin),
            "is_default": setting.is_default,
            "changed": changed.get(setting.param.name),
        }
        for setting in explanation.settings
    ]


def _sampler(explanation: Explanation) -> dict[str, Any]:
    """The values that the page computes with."""
    settings, context = explanation.settings, explanation.started.context
    window = settings["repeat_last_n"]
    biases = [bias for bias in settings["logit_bias"].values() if bias]
    return {
        **{name: settings[name] for name in RAW},
        "window": context if window < 0 else min(window, context),
        "history": list(explanation.started.tokens) if settings["penalize_prompt"] else [],
        "highest_bias": max([0.0, *biases]),
        "grammar": bool(settings["grammar"]) or settings["json_schema"] is not None,
        "draw": _draw_stage(settings),
        "on": {
            **{name: is_on(settings) for name, is_on in SWITCHED_ON.items()},
            "top_n_sigma": settings["top_n_sigma"] > 0,
        },
    }


def _draw_stage(settings: Settings) -> str:
    """The stage that draws at any temperature above 0, by the name that it is recorded under."""
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
        "end": [_short(token.end[0]), token.end[1]],
        "ids": [id for id, _ in token.candidates],
        "best": _best(token.model, recorded),
        "stages": stages,
        "window": token.window,
        "penalties": [
            [
                entry.id,
                entry.count,
                *map(_short, (entry.before, entry.repetition, entry.frequency, entry.presence)),
                _short(entry.after),
            ]
            for entry in token.penalised
        ],
    }


def _stage(stage: Stage, before: Stage | None) -> dict[str, Any]:
    """`left` are the candidates still there, as places from..to; `logits` is theirs, unless
    nothing changed but who is there.
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
        "cut": _short(stage.cut),
        "entropy": _short(stage.entropy),
        "rank": stage.rank,
        "left": left,
        "log_total": stage.log_total,
        "logits": None if logits == known else _packed(logits),
    }


def _best(model: Stage, recorded: Recorded) -> int:
    """How many of the first candidates are the model's best without a gap."""
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


def _short(value: float) -> float | None:
    """As far as the page shows it; an infinite logit is null."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def _what_if(what_if: WhatIf) -> dict[str, Any]:
    shown = asdict(what_if)
    shown["changes"] = list(what_if.changes)
    return {
        key: _short(value) if isinstance(value, float) else value for key, value in shown.items()
    }
