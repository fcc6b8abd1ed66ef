"""Makes a receipt of a run: the object of `--json`, and what surrounds it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from llmparams_cli.params.settings import Origin, Settings
from llmparams_cli.protocol import Finished, Message, Request, Started, Stop, Usage
from llmparams_cli.records import origins
from llmparams_cli.records.identity import Identity
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import escape_json, spelled

FORMAT = 2
READABLE = (1, FORMAT)  # they differ in the form of origins only, see `origins`

# The fields that have a checksum where they are there, beside every parameter.
CHECKED = (
    "messages",
    "raw",
    "special",
    "overflow",
    "prompt_date",
    "seed",
    "context",
    "prompt_ids",
    "answer_ids",
    "answer_texts",
    "text",
    "reasoning",
    "stop",
)
ANSWER = ("text", "reasoning", "stop", "usage", "timing")  # what the object of --json has of it


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def make(
    result: Mapping[str, Any],
    request: Request,
    started: Started,
    finished: Finished,
    circumstances: Mapping[str, Any],
    model: Mapping[str, Any],
    adapters: list[dict[str, Any]],
) -> dict[str, Any]:
    """Make a receipt. `result` is the object of `--json`, `circumstances` the program, library,
    device and batch; `model` and `adapters` identify files (see `file_object`).
    """
    logprobs = None if request.logprobs is None else [rounded(t.logprob) for t in finished.tokens]
    id, date = _new_id()
    document = {
        "receipt_format": FORMAT,
        "id": id,
        "date": date,
        **circumstances,
        "model": {**result["model"], **model},
        "adapters": adapters,
        "context": started.context,
        "messages": [_message(message) for message in request.messages],
        "raw": request.raw,
        **({"special": True} if request.special else {}),
        "overflow": request.overflow,
        **({"prompt_date": started.date} if started.date else {}),
        "parameters": parameters(request.settings, origins.to_object),
        **{key: result[key] for key in ("seed", "prompt")},
        "prompt_ids": list(started.tokens),
        "answer_ids": [token.id for token in finished.tokens],
        "answer_texts": [spelled(token.text) for token in finished.tokens],
        "answer_logprobs": logprobs,
        **{key: result[key] for key in ANSWER if key in result},
    }
    values = {setting.name: setting.value for setting in request.settings.both}
    return {**document, "checksums": checksums(document, values)}


def parameters(settings: Settings, origin: Callable[[Origin], Any]) -> dict[str, Any]:
    """Every parameter with its value, its origin, and what it overrode (highest layer first).
    thinking.PARAMETER is there where its value is one for thinking alone.
    """
    return {
        setting.name: {
            "value": setting.param.kind.to_json(setting.value),
            "origin": origin(setting.origin),
            "overrode": [
                {
                    "value": setting.param.kind.to_json(below.value),
                    "origin": origin(below.origin),
                    **({"when_thinking": True} if below.when_thinking else {}),
                }
                for below in setting.overrode
            ],
        }
        for setting in settings.both
    }


def stop_object(stop: Stop) -> dict[str, str]:
    """Why an answer ended, for JSON."""
    return {"reason": stop.reason.value, "detail": stop.detail}


def usage_object(usage: Usage) -> dict[str, int]:
    """The tokens of an answer, for JSON."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "total_tokens": usage.total_tokens,
    }


def said(finished: Finished) -> dict[str, Any]:
    """What was said; what was thought, and what the answer was chosen from, where that is so."""
    thought = {"reasoning": finished.reasoning} if finished.reasoning else {}
    return {"text": finished.text, **thought, **chosen_from(finished)}


def chosen_from(finished: Finished) -> dict[str, Any]:
    """What the answer was chosen from, in the order of the settings, if it was."""
    found = [
        {
            "text": choice.text,
            "probability": rounded(choice.probability),
            "logprob": rounded(choice.logprob),
            "tokens": [
                {"id": each.id, "text": spelled(each.text), "logprob": rounded(each.logprob)}
                for each in choice.tokens
            ],
        }
        for choice in finished.choices
    ]
    return {"choices": found} if found else {}


def to_json(receipt: Mapping[str, Any]) -> str:
    """The text of a receipt's file, in lines that people can edit and compare."""
    return escape_json(_object(receipt, "\n", levels=2)) + "\n"


def file_object(identity: Identity) -> dict[str, Any]:
    """How a receipt identifies a file."""
    return {
        "size": identity.size,
        "sha256": identity.sha256,
        "fingerprint": None if identity.sha256 else identity.fingerprint,
    }


def checksums(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    """A checksum for each field that the answer depends on or consists of. They show what was
    edited later, but are no protection: whoever edits can write new ones.
    """
    return {name: _checksum(document[name]) for name in CHECKED if name in document} | {
        f"parameters.{name}": _checksum(value) for name, value in values.items()
    }


def _message(message: Message) -> dict[str, Any]:
    literal = {"literal": message.literal} if message.literal else {}
    return {"role": message.role, "content": message.content, **literal}


def _object(value: Any, newline: str, levels: int) -> str:
    """JSON whose outer `levels` of objects have a line for each item."""
    if not levels or not isinstance(value, Mapping) or not value:
        return _encode(value)
    inner = newline + "  "
    items = (f"{_encode(k)}: {_object(v, inner, levels - 1)}" for k, v in value.items())
    return "{" + inner + f",{inner}".join(items) + newline + "}"


def _checksum(value: Any) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _new_id() -> tuple[str, str]:
    """A unique id that sorts by time, and the date in ISO 8601."""
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    now = time.gmtime(seconds)
    id = f"{time.strftime('%Y%m%dT%H%M%S', now)}{milliseconds:03}Z-{os.urandom(3).hex()}"
    return id, time.strftime("%Y-%m-%dT%H:%M:%SZ", now)
