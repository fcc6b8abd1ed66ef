"""What a parameter does, measured on the built-in model: one short text, many values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.models import resolve as models
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source, resolve
from llmparams_cli.params.spec import Param
from llmparams_cli.params.table import SAMPLER_STAGES
from llmparams_cli.protocol import EffectPoint, Finished, Message, Request

# Every other sampler is off, so that what is seen is this parameter's doing.
OFF = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0}
LENGTH = 64  # tokens of the text


@dataclass(frozen=True)
class Trial:
    """The values to try, and what must be on beside them for the parameter to act."""

    values: tuple[Any, ...]
    beside: dict[str, Any]


def _trial(*values: Any, **beside: Any) -> Trial:
    return Trial(values, beside)


TRIALS = {
    "temperature": _trial(0, 0.2, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0),
    "top_k": _trial(1, 2, 5, 10, 40, 100, 0),
    "top_p": _trial(0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0),
    "min_p": _trial(0.0, 0.01, 0.05, 0.1, 0.3, 0.6, 1.0),
    "typical_p": _trial(0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
    "top_n_sigma": _trial(0.5, 1.0, 1.5, 2.0, 3.0, -1.0),
    "xtc_probability": _trial(0.0, 0.25, 0.5, 0.75, 1.0),
    "xtc_threshold": _trial(0.01, 0.05, 0.1, 0.2, 0.3, 0.5, xtc_probability=1.0),
    "dry_multiplier": _trial(0.0, 0.4, 0.8, 1.6, 3.2, dry_allowed_length=1),
    "dynatemp_range": _trial(0.0, 0.25, 0.5, 0.75, 1.0),
    "mirostat": _trial(0, 1, 2),
    "mirostat_tau": _trial(1.0, 2.0, 3.0, 5.0, 8.0, mirostat=2),
    "adaptive_p_target": _trial(-1.0, 0.1, 0.3, 0.5, 0.7, 0.9),
    "repeat_penalty": _trial(1.0, 1.1, 1.2, 1.5, 2.0),
    "repeat_penalty_growth": _trial("once", "exponential", repeat_penalty=1.2),
    "repeat_last_n": _trial(0, 4, 16, 64, repeat_penalty=1.3),
    "frequency_penalty": _trial(-1.0, 0.0, 0.3, 0.6, 1.0, 2.0),
    "presence_penalty": _trial(-1.0, 0.0, 0.3, 0.6, 1.0, 2.0),
}


def measure(env: Environment, param: Param) -> list[EffectPoint]:
    """How much is left to chance at each value, and how much the draws change."""
    from llmparams_cli.engine.chain import Sampler
    from llmparams_cli.engine.generate import Engine
    from llmparams_cli.engine.interrupt import Interrupt
    from llmparams_cli.engine.survey import survey

    trial = TRIALS[param.name]
    neutral = _settings(**trial.beside)
    with (
        Interrupt() as interrupt,
        Engine(env, models.resolve(None, env), neutral, interrupt) as engine,
        engine.recording() as recording,
    ):
        request = Request(
            (Message("user", "Tell me a story."),), _settings(seed=7, temperature=0.8)
        )
        *_, finished = engine.generate(request, recording)
        assert isinstance(finished, Finished)
        interrupt.check()

        def sampler(settings: Settings) -> Sampler:
            return Sampler(engine.model, settings, 7, LENGTH * 2)

        off = _settings(**{**trial.beside, **_off(param)})
        points = []
        for value in trial.values:
            interrupt.check()
            settings = _settings(**{**trial.beside, param.name: value})
            entropy, variation = survey(recording, sampler(settings), sampler(off))
            points.append(EffectPoint(param.kind.show(value), entropy, variation))
        return points


def _off(param: Param) -> dict[str, Any]:
    return {} if param.neutral is None else {param.name: param.neutral}


def _settings(**values: Any) -> Settings:
    origin = Origin(Source.DEFAULT, "trial")
    given = {
        **OFF,
        "max_tokens": LENGTH,
        "ignore_eos": True,
        "sampler_order": [*SAMPLER_STAGES],
        **values,
    }
    return resolve(Assignment(name, value, origin) for name, value in given.items())
