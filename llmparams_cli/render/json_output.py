"""JSON for scripts: one object at the end, or one event per line.

docs/pipelines.md describes the objects; keys keep their order. Numbers that JSON cannot
write become null (the log probability of an impossible token is -inf).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmparams_cli.constraints.checking.validity import verdict
from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Candidate, Finished, Piece, Started, Token
from llmparams_cli.records.document import (
    parameters,
    said,
    stop_object,
    usage_object,
)
from llmparams_cli.render.summary import generation_speed, only_thought, per_second
from llmparams_cli.text.json_text import json_text
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import spelled
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
        document = judged_object(self._started, event, self._settings, logprobs=self._logprobs)
        write_json(self._env, document, indent=self._indent)
        _note_if_unsaid(self._env, event)


class StreamJsonRenderer:
    """`--stream-json`: start, each piece of thoughts or text, and the object of `--json` last."""

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
        name = "reasoning" if event.is_thought else "text"
        self._write(name, {"text": event.text, "token": token})

    def finished(self, event: Finished) -> None:
        self._write(
            "end",
            judged_object(self._started, event, self._settings, logprobs=self._logprobs),
        )
        _note_if_unsaid(self._env, event)

    def _write(self, name: str, body: dict[str, Any]) -> None:
        write_json(self._env, {"event": name, **body})


def _note_if_unsaid(env: Environment, event: Finished) -> None:
    """An empty `text` must not surprise whoever reads nothing else."""
    if told := only_thought(event):
        env.note(told)


def result_object(
    started: Started, finished: Finished, settings: Settings, *, logprobs: bool
) -> dict[str, Any]:
    """The object of `--json`; it has `tokens` only if probabilities were asked for, and `reasoning`
    only if there is any.
    """
    usage, timing = finished.usage, finished.timing
    document: dict[str, Any] = {
        **said(finished),
        "stop": stop_object(finished.stop),
        "usage": usage_object(usage),
        "timing": {
            "load_s": rounded(timing.load_s),
            "prompt_s": rounded(timing.prompt_s),
            "generation_s": rounded(timing.generation_s),
            "prompt_tokens_per_s": rounded(per_second(usage.read_tokens, timing.prompt_s)),
            "generation_tokens_per_s": rounded(generation_speed(finished)),
            "first_token_s": rounded(timing.first_token_s),
        },
        "seed": started.seed,
        "model": _model_object(started),
        "parameters": parameters_object(settings),
        "prompt": started.prompt,
    }
    if drafted := usage.drafted_tokens:
        document["usage"] |= {
            "accepted_prediction_tokens": usage.accepted_tokens,
            "rejected_prediction_tokens": drafted - usage.accepted_tokens,
        }
    if finished.effects:
        document["effects"] = effects_object(finished.effects)
    if logprobs:
        document["tokens"] = [_token_object(token, logprobs=True) for token in finished.tokens]
    return document


def judged_object(
    started: Started, finished: Finished, settings: Settings, *, logprobs: bool
) -> dict[str, Any]:
    """The same, with `valid` for an answer to a JSON Schema: checking it takes a moment, which a
    receipt need not cost.
    """
    document = result_object(started, finished, settings, logprobs=logprobs)
    place = list(document).index("stop") + 1
    items = list(document.items())
    return dict([*items[:place], *verdict(finished.text, settings).items(), *items[place:]])


def effects_object(effects: Sequence[Effect]) -> list[dict[str, Any]]:
    """For every setting that was on, the draws (from 1) that it changed."""
    return [
        {
            "parameter": effect.setting.name,
            "value": effect.setting.param.kind.show(effect.setting.value),
            "draws": effect.draws,
            "changed": list(effect.changed),
        }
        for effect in effects
    ]


def parameters_object(settings: Settings) -> dict[str, Any]:
    """Every parameter with its value, its origin, and what it overrode (highest layer first)."""
    return parameters(settings, str)


def write_json(env: Environment, document: Any, *, indent: int | None = None) -> None:
    """Write one document and a newline to stdout and flush it; non-ASCII only as UTF-8."""
    env.stdout.write(json_text(document, env.stdout.encoding, indent=indent))
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
        return {"id": token.id, "text": spelled(token.text)}
    return {
        "id": token.id,
        "text": spelled(token.text),
        "logprob": rounded(token.logprob),
        "entropy": rounded(token.entropy),
        "top": [_candidate_object(candidate) for candidate in token.top],
        **({"is_thought": True} if token.is_thought else {}),
    }


def _candidate_object(candidate: Candidate) -> dict[str, Any]:
    logprob = rounded(candidate.logprob)
    return {"id": candidate.id, "text": candidate.text, "logprob": logprob}
