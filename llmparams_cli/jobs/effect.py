"""What a parameter does, measured on the built-in model: one short text, many values."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import Seen, answer, scored
from llmparams_cli.models.resolve import find_model
from llmparams_cli.models.stores import BUILTIN
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source, resolve
from llmparams_cli.params.spec import Param
from llmparams_cli.params.table import PARAMS, SAMPLER_STAGES
from llmparams_cli.presets.cascade import from_variable
from llmparams_cli.protocol import (
    Backend,
    EffectPoint,
    Message,
    ParamEffect,
    Passage,
    Piece,
    Progress,
    Request,
)
from llmparams_cli.trace import Trace

# Every other sampler is off, so that this parameter alone causes what is measured.
OFF = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0}
LENGTH = 64  # tokens of the text
# Any fixed one: the same figures every time.
SEED = 7
ONE_THREAD = 1  # more gain nothing with a model this small, and cost seconds on a busy machine
PROMPT = "Tell me a story about a fox."
# Repeats itself, for the samplers that look for repetitions.
REPETITIVE = (
    "Once upon a time there was a fox. The fox saw a bear. The bear saw the fox. "
    'The fox said: "Hello, bear." The bear said: "Hello, fox." The fox saw a bear. '
    "Once upon a time there was a bear. The bear saw a fox."
)


@dataclass(frozen=True)
class Sweep:
    """The values to try; the settings that must be on for the parameter to act; and a text to
    measure along, if not the model's own.
    """

    values: tuple[Any, ...]
    beside: dict[str, Any] = field(default_factory=dict)
    text: str = ""


def _sweep(*values: Any, **beside: Any) -> Sweep:
    return Sweep(values, beside)


def _dry(*values: Any, **beside: Any) -> Sweep:
    return Sweep(values, beside, REPETITIVE)


SWEEPS = {
    "temperature": _sweep(0, 0.2, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0),
    "top_k": _sweep(1, 2, 5, 10, 40, 100, 0),
    "top_p": _sweep(0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0),
    "min_p": _sweep(0.0, 0.01, 0.05, 0.1, 0.3, 0.6, 1.0),
    "typical_p": _sweep(0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
    "top_n_sigma": _sweep(0.5, 1.0, 1.5, 2.0, 3.0, -1.0),
    "xtc_probability": _sweep(0.0, 0.25, 0.5, 0.75, 1.0),
    "xtc_threshold": _sweep(0.01, 0.05, 0.1, 0.2, 0.3, 0.5, xtc_probability=1.0),
    "dry_multiplier": _dry(0.0, 0.4, 0.8, 1.6, 3.2),
    "dry_base": _dry(1.0, 1.25, 1.75, 2.5, 4.0, dry_multiplier=0.8),
    "dry_allowed_length": _dry(1, 2, 3, 4, 6, dry_multiplier=0.8),
    "dry_last_n": _dry(0, 8, 16, 32, 64, -1, dry_multiplier=0.8),
    "dry_sequence_breakers": _dry(
        [], ["\n", ":", '"', "*"], ["."], [" fox", " bear"], dry_multiplier=0.8
    ),
    "dynatemp_range": _sweep(0.0, 0.25, 0.5, 0.75, 1.0),
    "dynatemp_exponent": _sweep(0.25, 0.5, 1.0, 2.0, 4.0, dynatemp_range=0.75),
    "mirostat": _sweep(0, 1, 2, mirostat_tau=2.0),
    "mirostat_tau": _sweep(1.0, 2.0, 3.0, 5.0, 8.0, mirostat=2),
    "mirostat_eta": _sweep(0.0, 0.05, 0.1, 0.3, 1.0, mirostat=2, mirostat_tau=1.0),
    "adaptive_p_target": _sweep(-1.0, 0.1, 0.3, 0.5, 0.7, 0.9),
    "adaptive_p_decay": _sweep(0.0, 0.5, 0.9, 0.99, adaptive_p_target=0.7),
    "repeat_penalty": _sweep(1.0, 1.1, 1.2, 1.5, 2.0),
    "repeat_penalty_growth": _sweep("once", "exponential", repeat_penalty=1.2),
    "repeat_last_n": _sweep(0, 4, 16, 64, repeat_penalty=1.3),
    "frequency_penalty": _sweep(-1.0, 0.0, 0.3, 0.6, 1.0, 2.0),
    "presence_penalty": _sweep(-1.0, 0.0, 0.3, 0.6, 1.0, 2.0),
    "penalize_prompt": _sweep(False, True, repeat_penalty=1.5),
    "logit_bias": _sweep(*({" a": bias} for bias in (-math.inf, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0))),
}
# Sampling parameters that have no picture of this kind, and why.
NO_SWEEPS = {
    "sampler_order": "it changes what other samplers make of each other; explain shows each stage",
    "seed": "it chooses among draws, and leaves their probabilities as they are",
    "grammar": "it depends on the grammar; explain tells which draws one decided",
    "json_schema": "it depends on the schema; explain tells which draws one decided",
    "regex": "it depends on the expression; explain tells which draws one decided",
    "choices": "they are the whole answer; generate tells the probability of each",
}


def measure(env: Environment, param: Param, progress: Progress) -> ParamEffect:
    """At each value of a parameter: how much is left to chance, and how much the draws change."""
    sweep = SWEEPS[param.name]
    with (
        Control() as control,
        opened(env, find_model(BUILTIN, env), sweep_settings(env), control, progress) as backend,
        closing(_recorded(backend, sweep_settings(env, temperature=0.8), sweep, progress)) as trace,
    ):
        points = []
        for number, value in enumerate(sweep.values, 1):
            control.check()  # a Ctrl-C since the last value
            tried, off = (
                sweep_settings(env, **{**sweep.beside, param.name: each})
                for each in (value, _off(param))
            )
            points.append(EffectPoint(_shown(param, value), *trace.chances(tried, off)))
            progress("measuring", number / len(sweep.values))
    beside = tuple(f"{name} {_shown(PARAMS[name], on)}" for name, on in sweep.beside.items())
    text = "a text that repeats itself" if sweep.text else "a story by the built-in model"
    return ParamEffect(tuple(points), _shown(param, _off(param)), beside, text)


def _recorded(backend: Backend, settings: Settings, sweep: Sweep, progress: Progress) -> Trace:
    """The trace of a story that the model tells, or of the sweep's text as its answer."""
    request = Request((Message("user", PROMPT),), settings, record=True)
    if sweep.text:
        return scored(backend, Passage(request, sweep.text)).trace
    pieces = 0

    def watch(event: Seen) -> None:
        nonlocal pieces
        pieces += isinstance(event, Piece)
        progress("writing", min(1.0, pieces / LENGTH))

    _, finished = answer(backend, request, watch)
    assert finished.trace is not None
    return finished.trace


def _off(param: Param) -> Any:
    """The value to compare with: the one that does nothing, or else the default."""
    return param.default if param.neutral is None else param.neutral


def _shown(param: Param, value: Any) -> str:
    return param.kind.show(value) or "none"


def sweep_settings(env: Environment, **values: Any) -> Settings:
    """The given values over the defaults, every other sampler off; the user's variables say on how
    many threads.
    """
    origin = Origin(Source.DEFAULT, "sweep")
    given = {
        **OFF,
        "max_tokens": LENGTH,
        "seed": SEED,
        # The story always has its full length.
        "ignore_eos": True,
        "sampler_order": [*SAMPLER_STAGES],
        "threads": ONE_THREAD,
        **values,
    }
    wanted = [from_variable(name, env) for name in ("threads", "threads_batch")]
    assignments = [Assignment(name, value, origin) for name, value in given.items()]
    return resolve([*assignments, *filter(None, wanted)])
