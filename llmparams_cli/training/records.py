"""Examples to learn from, from files and folders: JSON lines as mlx-lm has them, or plain texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmparams_cli.errors import UsageError
from llmparams_cli.files import read_text
from llmparams_cli.protocol import Message

MOST = 2_000_000_000  # bytes
TRAIN, VALID = "train", "valid"  # names of files in a folder
ENDINGS = (".jsonl", ".json", ".txt", ".md", ".text")
BETWEEN = "<|endoftext|>"  # a line of its own between two documents of a plain text
ROLES = ("system", "user", "assistant")
# Keys of a line, each set with what makes messages of its values; ShareGPT's names of roles.
OTHER_NAMES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
EXPECTED = 'a line has "text", "prompt" and "completion", or "messages"'


@dataclass(frozen=True)
class Record:
    """One example: a plain `text`, or `messages`; `place` is where it stands."""

    place: str
    text: str = ""
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Data:
    """Examples to learn from, and those that were given to be held out (None: none were)."""

    train: tuple[Record, ...]
    valid: tuple[Record, ...] | None = None


def read_data(path: Path, place: str) -> Data:
    """Read a file, or a folder: its train.jsonl and valid.jsonl, or else all of its files. `place`
    is what the user calls it. Raises UsageError with the line that is wrong.
    """
    if not path.exists():
        raise UsageError(f"{place}: there is no such file", "a file or folder with examples")
    if not path.is_dir():
        return Data(_records(path, place))
    files = sorted(each for each in path.iterdir() if each.suffix.lower() in ENDINGS)
    by_name = {each.stem: each for each in files}
    if TRAIN in by_name:
        train, valid = (by_name.get(name) for name in (TRAIN, VALID))
        assert train
        held_out = _records(valid, f"{place}/{valid.name}") if valid else None
        return Data(_records(train, f"{place}/{train.name}"), held_out)
    found = [record for each in files for record in _records(each, f"{place}/{each.name}")]
    if not found:
        raise UsageError(
            f"{place}: no examples in this folder", f"files that end in {', '.join(ENDINGS)}"
        )
    return Data(tuple(found))


def records_of(text: str, place: str) -> tuple[Record, ...]:
    """The examples in a text: JSON lines if it looks like them, else plain documents."""
    found = tuple(_lines(text, place) if text.lstrip()[:1] in ("{", "[") else _plain(text, place))
    if not found:
        raise UsageError(f"{place}: no examples in it", f"JSON lines ({EXPECTED}), or a text")
    return found


def _records(path: Path, place: str) -> tuple[Record, ...]:
    try:
        text = read_text(path, MOST)
    except ValueError as error:
        raise UsageError(f"{place}: {error}", "give JSON lines or a text") from error
    return records_of(text, place)


def _plain(text: str, place: str) -> Iterator[Record]:
    lines: list[str] = []
    for line in (*text.split("\n"), BETWEEN):
        if line.strip() != BETWEEN:
            lines.append(line)
            continue
        if document := "\n".join(lines).strip("\n"):
            yield Record(place, document)
        lines.clear()


def _lines(text: str, place: str) -> Iterator[Record]:
    if text.lstrip().startswith("["):
        for number, item in enumerate(_json(text, place), 1):
            yield _record(item, f"{place}: item {number}")
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{place}:{number}"
            yield _record(_json(line, where), where)


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: not JSON: {error}", "give an object on each line") from error


def _record(item: Any, place: str) -> Record:
    if not isinstance(item, dict):
        raise UsageError(f"{place}: not an object", EXPECTED)
    for needed, read in FORMS.items():
        if needed <= item.keys():
            return read(item, place)
    keys = ", ".join(map(str, item)) or "nothing"
    raise UsageError(f"{place}: it has {keys}", EXPECTED)


def _of_text(item: Mapping[str, Any], place: str) -> Record:
    return Record(place, _text(item, "text", place))


def _of_completion(item: Mapping[str, Any], place: str) -> Record:
    return _asked(_text(item, "prompt", place), _text(item, "completion", place), place)


def _of_instruction(item: Mapping[str, Any], place: str) -> Record:
    """Alpaca's form; the input may be empty."""
    given = item.get("input") or ""
    more = f"\n\n{_text(item, 'input', place)}" if given else ""
    return _asked(_text(item, "instruction", place) + more, _text(item, "output", place), place)


def _asked(prompt: str, answer: str, place: str) -> Record:
    return Record(place, messages=(Message("user", prompt), Message("assistant", answer)))


def _of_messages(item: Mapping[str, Any], place: str) -> Record:
    return _conversation(item, "messages", ("role", "content"), place)


def _of_conversations(item: Mapping[str, Any], place: str) -> Record:
    """ShareGPT's form."""
    return _conversation(item, "conversations", ("from", "value"), place)


def _conversation(item: Mapping[str, Any], key: str, names: Sequence[str], place: str) -> Record:
    turns = item[key]
    if not isinstance(turns, list) or not turns:
        raise UsageError(f'{place}: "{key}" is no list of messages', EXPECTED)
    found = []
    for number, turn in enumerate(turns, 1):
        where = f"{place}, message {number}"
        if not isinstance(turn, dict) or not set(names) <= turn.keys():
            raise UsageError(f"{where}: it needs {' and '.join(names)}", EXPECTED)
        role = OTHER_NAMES.get(str(turn[names[0]]), str(turn[names[0]]))
        if role not in ROLES:
            raise UsageError(f"{where}: the role {role!r}", f"one of {', '.join(ROLES)}")
        found.append(Message(role, _text(turn, names[1], where)))
    if not any(message.role == "assistant" for message in found):
        raise UsageError(f"{place}: no message is the assistant's", "there is no answer to learn")
    return Record(place, messages=tuple(found))


def _text(item: Mapping[str, Any], key: str, place: str) -> str:
    text = item[key]
    if not isinstance(text, str):
        raise UsageError(f'{place}: "{key}" is no text', EXPECTED)
    if not text.strip():
        raise UsageError(f'{place}: "{key}" is empty', "leave the line out, or write something")
    # Half of a surrogate pair is no character: JSON may have one, UTF-8 may not.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Read = Callable[[Mapping[str, Any], str], Record]
FORMS: dict[frozenset[str], Read] = {
    frozenset({"messages"}): _of_messages,
    frozenset({"prompt", "completion"}): _of_completion,
    frozenset({"text"}): _of_text,
    frozenset({"instruction", "output"}): _of_instruction,
    frozenset({"conversations"}): _of_conversations,
}
