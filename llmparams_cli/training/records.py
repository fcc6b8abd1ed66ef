"""Examples to learn from, from files and folders: JSON lines as mlx-lm has them, or plain texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmparams_cli.errors import UsageError
from llmparams_cli.files import read_text
from llmparams_cli.protocol import Message
from llmparams_cli.text.shorten import brief

MOST = 2_000_000_000  # bytes
TRAIN, VALID = "train", "valid"  # names of files in a folder
OTHER_VALID = {"validation": VALID, "val": VALID}  # as others call it
LINES, TEXTS = (".jsonl", ".ndjson"), (".txt", ".text", ".md")  # how names of files end
JSON = (*LINES, ".json")
# How JSON begins where no name tells: no prose does.
BEGINS = re.compile(r'\s*(\[\s*)?\{\s*"')
BETWEEN = "<|endoftext|>"  # a line of its own between two documents of a plain text
ROLES = ("system", "user", "assistant")
# Others that are in use: ShareGPT's, Gemini's, OpenAI's.
OTHER_NAMES = {
    "human": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "developer": "system",
}
REASONING = ("reasoning_content", "reasoning", "thinking")
EXPECTED = 'a line has "text", "prompt" and "completion", or "messages"'
WANTED = "JSON lines (.jsonl), or a text (.txt)"


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
    """Read a file, or a folder: its train.jsonl and valid.jsonl as mlx-lm has them, or else all of
    its JSON lines, or else all of its texts, each of which is a document. `place` is what the user
    calls it. Raises UsageError with the line that is wrong.
    """
    if not path.exists():
        raise UsageError(f"{place}: there is no such file", "a file or folder with examples")
    if not path.is_dir():
        return Data(_some(_records(path, place), place))
    lines, texts = _files(path, LINES), _files(path, TEXTS)
    by_name = {OTHER_VALID.get(each.stem, each.stem): each for each in (*texts, *lines)}
    if VALID in by_name and TRAIN not in by_name:
        raise UsageError(
            f"{place}: it has {by_name[VALID].name}, and nothing to learn from", WANTED
        )
    if TRAIN not in by_name:
        return Data(_some(_all(lines or texts, place), place))
    valid = _all([by_name[VALID]], place) if VALID in by_name else None
    return Data(
        _some(_all([by_name[TRAIN]], place), f"{place}/{by_name[TRAIN].name}"),
        None if valid is None else _some(valid, f"{place}/{by_name[VALID].name}"),
    )


def records_of(text: str, place: str) -> tuple[Record, ...]:
    """The examples in a text without a name: JSON lines if it begins like them, else documents."""
    return _some(_read(text, place, is_json=bool(BEGINS.match(text))), place)


def _some(records: Sequence[Record], place: str) -> tuple[Record, ...]:
    if not records:
        raise UsageError(f"{place}: no examples in it", WANTED)
    return tuple(records)


def _files(folder: Path, endings: Sequence[str]) -> list[Path]:
    """The files of a folder whose names end so; not the hidden ones."""
    found = (each for each in folder.iterdir() if each.is_file())
    return sorted(f for f in found if f.suffix.lower() in endings and not f.name.startswith("."))


def _all(files: Sequence[Path], place: str) -> list[Record]:
    return [record for each in files for record in _records(each, f"{place}/{each.name}")]


def _records(path: Path, place: str) -> tuple[Record, ...]:
    try:
        text = read_text(path, MOST)
    except ValueError as error:
        raise UsageError(f"{place}: {error}", "give JSON lines or a text") from error
    ending = path.suffix.lower()
    is_json = ending in JSON or (ending not in TEXTS and bool(BEGINS.match(text)))
    return _read(text, place, is_json=is_json)


def _read(text: str, place: str, *, is_json: bool) -> tuple[Record, ...]:
    return tuple(_lines(text, place) if is_json else _plain(text, place))


def _plain(text: str, place: str) -> Iterator[Record]:
    lines: list[str] = []
    for line in (*text.split("\n"), BETWEEN):
        if line.strip() != BETWEEN:
            lines.append(line)
            continue
        document = "\n".join(lines).strip("\n")
        if document.strip():
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
            return _with_system(read(item, place), item)
    keys = brief(", ".join(item), 80) or "nothing"
    raise UsageError(f"{place}: it has {keys}", EXPECTED)


def _with_system(record: Record, item: Mapping[str, Any]) -> Record:
    """Some have the system text beside the messages."""
    system, messages = item.get("system"), record.messages
    if not isinstance(system, str) or not system.strip():
        return record
    if not messages or messages[0].role == "system":
        return record
    return replace(record, messages=(Message("system", _characters(system)), *messages))


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
        role = str(turn[names[0]]).lower()
        role = OTHER_NAMES.get(role, role)
        if role not in ROLES:
            known = f"one of {', '.join(ROLES)}"
            raise UsageError(f"{where}: the role {brief(repr(turn[names[0]]), 40)}", known)
        if role == "system" and not turn[names[1]]:
            continue  # many data sets have empty ones
        found.append(Message(role, _text(turn, names[1], where), _reasoning(turn, role, where)))
    if not any(message.role == "assistant" for message in found):
        raise UsageError(f"{place}: no message is the assistant's", "there is no answer to learn")
    return Record(place, messages=tuple(found))


def _reasoning(turn: Mapping[str, Any], role: str, place: str) -> str:
    """What an assistant thought, where that is a text of its own."""
    key = next((name for name in REASONING if turn.get(name)), "")
    return _text(turn, key, place) if key and role == "assistant" else ""


def _text(item: Mapping[str, Any], key: str, place: str) -> str:
    text = item[key]
    if not isinstance(text, str):
        raise UsageError(f'{place}: "{key}" is no text', EXPECTED)
    if not text.strip():
        raise UsageError(f'{place}: "{key}" is empty', "leave the line out, or write something")
    return _characters(text)


def _characters(text: str) -> str:
    """Half of a surrogate pair is no character: JSON may have one, UTF-8 may not."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Read = Callable[[Mapping[str, Any], str], Record]
FORMS: dict[frozenset[str], Read] = {
    frozenset({"messages"}): _of_messages,
    frozenset({"prompt", "completion"}): _of_completion,
    frozenset({"text"}): _of_text,
    frozenset({"instruction", "output"}): _of_instruction,
    frozenset({"conversations"}): _of_conversations,
}
