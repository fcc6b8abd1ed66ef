"""Reads and checks a receipt, from a file that anybody may have written.

Every error names the file, the place in it, and the cure, in one line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from llmparams_cli.errors import UsageError
from llmparams_cli.files import decode
from llmparams_cli.params.kinds import INT32_MAX
from llmparams_cli.params.settings import Assignment, Origin
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import values
from llmparams_cli.protocol import Message, Stop, StopReason
from llmparams_cli.records import origins
from llmparams_cli.records.document import READABLE, checksums
from llmparams_cli.records.identity import Identity
from llmparams_cli.text.shorten import brief

MAX_BYTES = 64_000_000
CURE = "llmparams generate --receipt FILE writes one"
CIRCUMSTANCES = ("library", "device", "batch")  # not every backend has them
ROLES = ("system", "user", "assistant")
OVERFLOWS = ("refuse", "truncate-start", "truncate-middle")
NOUNS = {
    dict: "an object",
    list: "a list",
    str: "text",
    int: "a whole number",
    bool: "true or false",
}

T = TypeVar("T")


@dataclass(frozen=True)
class File:
    """A model or adapter: its path and its identity at the time of the run."""

    path: str
    identity: Identity


@dataclass(frozen=True)
class Receipt:
    """The checked content of a receipt. `prompt_date` (ISO 8601, local) is the one that the chat
    template wrote into the prompt; empty: none, or none that the receipt knows of. `reasoning` is
    None in a receipt from before thoughts were told from the answer: `text` has both. `edited`
    names the fields that fail their checksum.
    """

    place: str
    id: str
    date: str
    circumstances: dict[str, dict[str, Any]]
    model: File
    is_builtin: bool
    adapters: tuple[File, ...]
    context: int
    messages: tuple[Message, ...]
    raw: bool
    special: bool
    overflow: str
    prompt_date: str
    assignments: tuple[Assignment, ...]
    seed: int
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    answer_texts: tuple[str, ...]
    answer_logprobs: tuple[float | None, ...] | None
    text: str
    reasoning: str | None
    stop: Stop
    edited: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """A value in a JSON file; `place` is the file, `path` the place in it: stop.reason."""

    place: str
    path: str
    value: Any

    def __getitem__(self, key: str) -> Field:
        path = f"{self.path}.{key}".lstrip(".")
        items = self.of(dict)
        if key not in items:
            raise UsageError(f"{self.place}: {path} is missing", CURE)
        return Field(self.place, path, items[key])

    def of(self, kind: type[T]) -> T:
        """The value, if it has this type."""
        if type(self.value) is not kind:  # isinstance would take a bool for an int
            self.refuse(f"{_shown(self.value)} is not {NOUNS[kind]}")
        return self.value

    def one_of(self, words: tuple[str, ...]) -> str:
        if self.value not in words:
            self.refuse(f"{_shown(self.value)} is not one of {', '.join(words)}")
        return str(self.value)

    def count(self) -> int:
        number = self.of(int)
        if not 0 <= number <= INT32_MAX:
            self.refuse(f"{_shown(number)} is out of range: from 0 to {INT32_MAX}")
        return number

    def items(self) -> list[Field]:
        items = enumerate(self.of(list))
        return [Field(self.place, f"{self.path}[{i}]", item) for i, item in items]

    def refuse(self, why: str, cure: str = CURE) -> NoReturn:
        raise UsageError(f"{self.place}: {self.path or 'the whole'}: {brief(why)}", cure)


def load(path: Path, place: str) -> Receipt:
    """Read and check a receipt; `place` is what errors call it."""
    return check(read(path, place))


def read(path: Path, place: str) -> Field:
    """Read the JSON of a receipt, and check that its format is known."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"{place} cannot be read: {reason}", CURE) from error
    document = Field(place, "", _parse(data, place))
    known = document["receipt_format"].of(int)
    if known not in READABLE:
        both = " and ".join(map(str, READABLE))
        document["receipt_format"].refuse(
            f"{known} is none of the formats that this version reads: {both}",
            "another version wrote it: replay it with that one",
        )
    return document


def check(document: Field) -> Receipt:
    """Check every field that a replay or the display of a receipt relies on."""
    document["usage"].of(dict)
    document["model"]["name"].of(str)
    assignments = _assignments(document["parameters"])
    ids = _ids(document["answer_ids"])
    circumstances = {"program": {"version": document["program"].of(str)}} | {
        name: document[name].of(dict) for name in CIRCUMSTANCES if name in document.value
    }
    return Receipt(
        place=document.place,
        id=document["id"].of(str),
        date=document["date"].of(str),
        circumstances=circumstances,
        model=_file(document["model"]),
        is_builtin=document["model"]["builtin"].of(bool),
        adapters=tuple(map(_file, document["adapters"].items())),
        context=document["context"].count(),
        messages=_messages(document["messages"]),
        raw=document["raw"].of(bool),
        special="special" in document.value and document["special"].of(bool),
        overflow=document["overflow"].one_of(OVERFLOWS),
        prompt_date=_moment(document["prompt_date"]) if "prompt_date" in document.value else "",
        assignments=assignments,
        seed=_parameter("seed", document["seed"]),
        prompt_ids=_ids(document["prompt_ids"]),
        answer_ids=ids,
        answer_texts=tuple(item.of(str) for item in _parallel(document["answer_texts"], ids)),
        answer_logprobs=_logprobs(document["answer_logprobs"], ids),
        text=document["text"].of(str),
        reasoning=_reasoning(document),
        stop=_stop(document["stop"]),
        edited=_edited(document, assignments),
    )


def _reasoning(document: Field) -> str | None:
    if "reasoning" in document.value:
        return document["reasoning"].of(str)
    return "" if "reasoning_tokens" in document["usage"].of(dict) else None


def _parse(data: bytes, place: str) -> Any:
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
        return json.loads(decode(data), parse_constant=_no_number)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} in line {error.lineno}, column {error.colno}"
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:
        reason = str(error)
    raise UsageError(f"{place} is not a receipt: {reason}", CURE)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _messages(field: Field) -> tuple[Message, ...]:
    messages = field.items()
    if not messages:
        field.refuse("there is none")
    return tuple(map(_message, messages))


def _message(field: Field) -> Message:
    content = field["content"].of(str)
    literal = _ranges(field["literal"], len(content)) if "literal" in field.value else ()
    return Message(field["role"].one_of(ROLES), content, literal=literal)


def _ranges(field: Field, length: int) -> tuple[tuple[int, int], ...]:
    """Ranges of characters in a text of this length, in their order."""
    pairs = [tuple(number.count() for number in pair.items()) for pair in field.items()]
    numbers = [number for pair in pairs for number in pair]
    if any(len(pair) != 2 for pair in pairs) or sorted([*numbers, length]) != [*numbers, length]:
        field.refuse("these are no ranges of characters in the content")
    return tuple((start, end) for start, end in pairs)


def _moment(field: Field) -> str:
    """A time without its zone: prompts have the local one."""
    try:
        return datetime.fromisoformat(field.of(str)).replace(tzinfo=None).isoformat()
    except ValueError:
        field.refuse(f"{_shown(field.value)} is not a time such as 2026-11-26T16:47:43")


def _assignments(field: Field) -> tuple[Assignment, ...]:
    """The values, those for thinking alone above the others."""
    return tuple(values.in_layer(_assignment(name, field[name]) for name in field.of(dict)))


def _assignment(label: str, field: Field) -> Assignment:
    try:
        param, when_thinking = values.recorded(label)
    except ValueError as error:
        field.refuse(str(error))
    value = _parameter(param.name, field["value"])
    return Assignment(param.name, value, origin(field["origin"]), when_thinking)


def _parameter(name: str, field: Field) -> Any:
    """The value of a parameter, checked as in presets."""
    try:
        return PARAMS[name].kind.check(field.value)
    except ValueError as error:
        field.refuse(str(error), values.see(PARAMS[name]))


def origin(field: Field) -> Origin:
    """Where a value of the receipt came from."""
    try:
        return origins.from_json(field.value)
    except ValueError as error:
        field.refuse(str(error))


def _file(field: Field) -> File:
    hashes = (field[name] for name in ("sha256", "fingerprint"))
    sha256, fingerprint = (None if hash.value is None else hash.of(str) for hash in hashes)
    identity = Identity(field["size"].of(int), sha256, fingerprint)
    return File(field["path"].of(str), identity)


def _ids(field: Field) -> tuple[int, ...]:
    return tuple(item.count() for item in field.items())


def _parallel(field: Field, ids: tuple[int, ...]) -> list[Field]:
    items = field.items()
    if len(items) != len(ids):
        field.refuse(f"it has {len(items)} items, and answer_ids has {len(ids)}")
    return items


def _logprobs(field: Field, ids: tuple[int, ...]) -> tuple[float | None, ...] | None:
    if field.value is None:
        return None
    items = _parallel(field, ids)
    for item in items:
        if item.value is not None and type(item.value) not in (int, float):
            item.refuse(f"{_shown(item.value)} is not a number")
    return tuple(item.value for item in items)


def _stop(field: Field) -> Stop:
    reason = field["reason"].one_of(tuple(reason.value for reason in StopReason))
    return Stop(StopReason(reason), field["detail"].of(str))


def _edited(document: Field, assignments: tuple[Assignment, ...]) -> tuple[str, ...]:
    recorded = document["checksums"].of(dict)
    given = {assignment.label: assignment.value for assignment in assignments}
    now = checksums(document.value, given)
    return tuple(name for name in {**now, **recorded} if now.get(name) != recorded.get(name))


def _shown(value: Any) -> str:
    return brief(json.dumps(value, ensure_ascii=False), 80)
