"""For scripts: one object at the end, or one event a line.

The objects are described in docs/pipelines.md; keys keep their order. Numbers that JSON
cannot write (a token that is impossible has the log probability -inf) become null.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Candidate, Finished, Piece, Started, Token
from llmparams_cli.render.summary import generation_speed, per_second
from llmparams_cli.text.safe import escape_json
from llmparams_cli.trace import Effect


class JsonRenderer:
    """`--json`: everything about the generation, once it has ended."""

    def __init__(
        self, env: Environment, settings: Settings, *, logprobs: bool, indent: int | None = None
    ) -> None:
        self._env = env
        self._settings = settings
        self._logprobs = logprobs
        self._indent = indent

    def started(self, event: Started) -> None:
        self._started = event

    def piece(self, event: Piece) -> None:
        pass

    def finished(self, event: Finished) -> None:
        document = result_object(self._started, event, self._settings, logprobs=self._logprobs)
        write_json(self._env, document, indent=self._indent)


class StreamJsonRenderer:
    """`--stream-json`: start, each piece of text, and end with the object of `--json`."""

    def __init__(self, env: Environment, settings: Settings, *, logprobs: bool) -> None:
        self._env = env
        self._settings = settings
        self._logprobs = logprobs

    def started(self, event: Started) -> None:
        self._started = event
        self._write(
            "start",
            {
                "prompt": event.prompt,
                "prompt_tokens": event.prompt_tokens,
                "seed": event.seed,
                "model": _model_object(event),
                "context": event.context,
            },
        )

    def piece(self, event: Piece) -> None:
        token = _token_object(event.token, logprobs=self._logprobs)
        self._write("text", {"text": event.text, "token": token})

    def finished(self, event: Finished) -> None:
        self._write(
            "end",
            result_object(self._started, event, self._settings, logprobs=self._logprobs),
        )

    def _write(self, name: str, body: dict[str, Any]) -> None:
        write_json(self._env, {"event": name, **body})


def result_object(
    started: Started, finished: Finished, settings: Settings, *, logprobs: bool
) -> dict[str, Any]:
    """The object of `--json`; `tokens` only where probabilities were asked for."""
    usage, timing = finished.usage, finished.timing
    document: dict[str, Any] = {
        "text": finished.text,
        "stop": {"reason": finished.stop.reason.value, "detail": finished.stop.detail},
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        },
        "timing": {
            "load_s": _number(timing.load_s),
            "prompt_s": _number(timing.prompt_s),
            "generation_s": _number(timing.generation_s),
            "prompt_tokens_per_s": _number(per_second(usage.prompt_tokens, timing.prompt_s)),
            "generation_tokens_per_s": _number(generation_speed(finished)),
            "first_token_s": _number(timing.first_token_s),
        },
        "seed": started.seed,
        "model": _model_object(started),
        "parameters": parameters_object(settings),
        "prompt": started.prompt,
    }
    if finished.effects:
        document["effects"] = effects_object(finished.effects)
    if logprobs:
        document["tokens"] = [_token_object(token, logprobs=True) for token in finished.tokens]
    return document


def effects_object(effects: Sequence[Effect]) -> list[dict[str, Any]]:
    """For every setting that was on: the draws, from 1, that it changed."""
    return [
        {
            "parameter": effect.setting.param.name,
            "value": effect.setting.param.kind.show(effect.setting.value),
            "draws": effect.draws,
            "changed": list(effect.changed),
        }
        for effect in effects
    ]


def parameters_object(settings: Settings) -> dict[str, Any]:
    """Every parameter with its value, its origin, and what it overrode (the latest first)."""
    return {
        setting.param.name: {
            "value": _setting_value(setting.value),
            "origin": str(setting.origin),
            "overrode": [
                {"value": _setting_value(below.value), "origin": str(below.origin)}
                for below in setting.overrode
            ],
        }
        for setting in settings
    }


def write_json(env: Environment, document: Any, *, indent: int | None = None) -> None:
    """Write one document and a newline to stdout at once. JSON is UTF-8, or ASCII."""
    import json

    utf_8 = codecs.lookup(env.stdout.encoding or "ascii").name == "utf-8"
    text = json.dumps(document, ensure_ascii=not utf_8, allow_nan=False, indent=indent)
    env.stdout.write(escape_json(text) + "\n")
    env.stdout.flush()


def _model_object(started: Started) -> dict[str, Any]:
    model = started.model
    return {
        "path": model.path,
        "name": model.name,
        "parameters": model.parameters,
        "quantization": model.quantization,
    }


def _token_object(token: Token, *, logprobs: bool) -> dict[str, Any]:
    if not logprobs:
        return {"id": token.id, "text": token.text}
    return {
        "id": token.id,
        "text": token.text,
        "logprob": _number(token.logprob),
        "entropy": _number(token.entropy),
        "top": [_candidate_object(candidate) for candidate in token.top],
    }


def _candidate_object(candidate: Candidate) -> dict[str, Any]:
    logprob = _number(candidate.logprob)
    return {"id": candidate.id, "text": candidate.text, "logprob": logprob}


def _number(value: float | None) -> float | None:
    """Six decimals (seconds to the microsecond), or null for what is no finite number."""
    if value is None or not math.isfinite(value):
        return None
    return round(value, 6) + 0.0  # -0.0 becomes 0.0


def _setting_value(value: Any) -> Any:
    """A value as a preset file would write it: a bias of -inf, which forbids, is false."""
    if isinstance(value, dict):
        return {key: _setting_value(item) for key, item in value.items()}
    return False if value == -math.inf else value
