"""The lines of a chat's file: one JSON object per event, readable by people too.

    {"kind": "chat", "format": 2, "version": …, the fields of settings}   the first line
    {"kind": "settings", "choices": …, "model": …, "settings": …}         changed from here on
    {"kind": "message", "text": …, "sent": …}      `sent` where a template makes more of it
    {"kind": "answer", "text": …, "reasoning": …, "stop": …, "detail": …, "seed": …, "usage": …}
                                                   `reasoning`: what was thought before, if it was
    {"kind": "retry"}                              the last answer does not count
    {"kind": "undo"}                               nor does the last turn
    {"kind": "clear"}                              nor does any turn
    {"kind": "out-of-view", "turns": 3, "summary": …}   the oldest that the model still saw

Format 1 differs only in the form of origins, which is recognised value by value (see
`records.origins`). So new lines can be appended to a chat that began in format 1.

Files are not trusted: anything wrong with a line is a ValueError.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from llmparams_cli import __version__
from llmparams_cli.params.settings import Assignment, Origin, Settings
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.document import Placed
from llmparams_cli.presets.values import recorded
from llmparams_cli.protocol import Stop, StopReason, Usage
from llmparams_cli.records import origins
from llmparams_cli.records.chats.choices import WHEN_FULL, Choices
from llmparams_cli.text.safe import escape_json

FORMAT = 2
READABLE = (1, FORMAT)


def now() -> str:
    """The time of an entry, in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Configured:
    """The settings from here on; `settings` maps those not at their default to (value, origin), by
    the names that users write.
    """

    choices: Choices
    model: str
    settings: dict[str, tuple[Any, Origin]] = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """A message by the user; `sent` is what the model reads (the preset's prompt filled in)."""

    text: str
    sent: str


@dataclass(frozen=True)
class Answered:
    """An answer, and the thoughts before it."""

    text: str
    stop: Stop
    seed: int
    usage: Usage
    reasoning: str = ""


@dataclass(frozen=True)
class Retried:
    pass


@dataclass(frozen=True)
class Undone:
    pass


@dataclass(frozen=True)
class Cleared:
    pass


@dataclass(frozen=True)
class Dropped:
    """The oldest turns leave the model's view; a summary may replace them."""

    turns: int
    summary: str = ""


Entry = Configured | Said | Answered | Retried | Undone | Cleared | Dropped


def configured(choices: Choices, model: str, settings: Settings) -> Configured:
    """The entry for these settings."""
    named = {
        setting.name: (setting.param.kind.to_json(setting.value), setting.origin)
        for setting in settings.both
        if not setting.is_default
    }
    return Configured(choices, model, named)


def encode(entry: Entry, *, first: bool = False) -> bytes:
    """The entry as one line, newline included."""
    fields = {"kind": _kind(entry), "time": now(), **_fields(entry)}
    if first:
        fields = {**fields, "kind": "chat", "format": FORMAT, "version": __version__}
    return (escape_json(json.dumps(fields, ensure_ascii=False)) + "\n").encode()


def decode(line: bytes, *, first: bool = False) -> Entry:
    """Read a line; raises ValueError."""
    try:
        data = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8 text") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    fields = _Fields(data, "the line")
    kind = fields.text("kind")
    if first:
        if kind != "chat":
            raise ValueError("this is no chat: its first line is not of the kind 'chat'")
        if (format := fields.get("format", int)) not in READABLE:
            both = " and ".join(map(str, READABLE))
            raise ValueError(f"the format is {format}, and this version reads {both}")
        return _configured(fields)
    if kind not in READERS:
        raise ValueError(f"unknown kind {kind!r}")
    return READERS[kind](fields)


class _Fields:
    """An unchecked JSON object, whose fields are read and checked one by one."""

    def __init__(self, data: object, name: str) -> None:
        if not isinstance(data, dict):
            raise ValueError(f"{name} is not an object")
        self.data: dict[str, Any] = data

    def get(self, name: str, wanted: type) -> Any:
        value = self.data.get(name)
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is int):
            raise ValueError(f"{name!r} is missing or of the wrong type")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        if default is not None and name not in self.data:
            return default
        return _text(self.data.get(name), name)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(_text(item, name) for item in self.get(name, list))

    def count(self, name: str) -> int:
        value: int = self.get(name, int)
        if value < 0:
            raise ValueError(f"{name!r} is below 0")
        return value

    def part(self, name: str) -> _Fields:
        return _Fields(self.data.get(name), repr(name))

    def placed(self, name: str) -> Placed | None:
        if self.data.get(name) is None:
            return None
        part = self.part(name)
        return Placed(part.text("value"), part.origin())

    def origin(self) -> Origin:
        return origins.from_json(self.data.get("origin"))


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name!r} is missing or no text")
    try:
        value.encode()  # JSON can escape lone surrogates, which no file can hold
    except UnicodeEncodeError as error:
        raise ValueError(f"{name!r} is not Unicode text") from error
    return value


def _kind(entry: Entry) -> str:
    return next(kind for kind, type_ in KINDS.items() if isinstance(entry, type_))


def _fields(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, Configured):
        return {
            "choices": _choices_object(entry.choices),
            "model": entry.model,
            "settings": {
                name: {"value": value, "origin": origins.to_object(origin)}
                for name, (value, origin) in entry.settings.items()
            },
        }
    if isinstance(entry, Said):
        return {"text": entry.text} | ({"sent": entry.sent} if entry.sent != entry.text else {})
    if isinstance(entry, Answered):
        return {
            "text": entry.text,
            **({"reasoning": entry.reasoning} if entry.reasoning else {}),
            "stop": entry.stop.reason.value,
            "detail": entry.stop.detail,
            "seed": entry.seed,
            "usage": {
                "prompt_tokens": entry.usage.prompt_tokens,
                "cached_tokens": entry.usage.cached_tokens,
                "completion_tokens": entry.usage.completion_tokens,
                "reasoning_tokens": entry.usage.reasoning_tokens,
            },
        }
    if isinstance(entry, Dropped):
        return {"turns": entry.turns} | ({"summary": entry.summary} if entry.summary else {})
    return {}


def _choices_object(choices: Choices) -> dict[str, Any]:
    def placed(given: Placed | None) -> dict[str, Any] | None:
        if given is None:
            return None
        return {"value": given.text, "origin": origins.to_object(given.origin)}

    return {
        "presets": choices.presets,
        "variables": choices.variables,
        "model": placed(choices.model),
        "system": placed(choices.system),
        "when_full": choices.when_full,
        "values": [
            {
                "name": each.label,
                "value": PARAMS[each.name].kind.to_json(each.value),
                "origin": origins.to_object(each.origin),
            }
            for each in choices.values
        ],
    }


def _configured(fields: _Fields) -> Configured:
    part = fields.part("choices")
    when_full = part.text("when_full") if part.data.get("when_full") is not None else None
    if when_full not in (None, *WHEN_FULL):
        raise ValueError(f"'when_full' is {when_full!r}")
    choices = Choices(
        part.texts("presets"),
        part.texts("variables"),
        part.placed("model"),
        part.placed("system"),
        tuple(map(_value, part.get("values", list))),
        when_full,
    )
    settings = {
        name: (value.data.get("value"), value.origin())
        for name, data in fields.part("settings").data.items()
        for value in [_Fields(data, repr(name))]
    }
    return Configured(choices, fields.text("model"), settings)


def _value(data: object) -> Assignment:
    fields = _Fields(data, "a value")
    label = fields.text("name")
    param, when_thinking = recorded(label)
    try:
        value = param.kind.check(fields.data.get("value"))
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from error
    return Assignment(param.name, value, fields.origin(), when_thinking)


def _said(fields: _Fields) -> Said:
    text = fields.text("text")
    return Said(text, fields.text("sent", text))


def _answered(fields: _Fields) -> Answered:
    usage = fields.part("usage")
    return Answered(
        fields.text("text"),
        Stop(StopReason(fields.text("stop")), fields.text("detail")),
        fields.count("seed"),
        Usage(
            usage.count("prompt_tokens"),
            usage.count("completion_tokens"),
            usage.count("cached_tokens"),
            usage.count("reasoning_tokens") if "reasoning_tokens" in usage.data else 0,
        ),
        fields.text("reasoning", ""),
    )


def _dropped(fields: _Fields) -> Dropped:
    return Dropped(fields.count("turns"), fields.text("summary", ""))


KINDS: dict[str, type] = {
    "settings": Configured,
    "message": Said,
    "answer": Answered,
    "retry": Retried,
    "undo": Undone,
    "clear": Cleared,
    "out-of-view": Dropped,
}
READERS: dict[str, Callable[[_Fields], Entry]] = {
    "settings": _configured,
    "message": _said,
    "answer": _answered,
    "retry": lambda _: Retried(),
    "undo": lambda _: Undone(),
    "clear": lambda _: Cleared(),
    "out-of-view": _dropped,
}
