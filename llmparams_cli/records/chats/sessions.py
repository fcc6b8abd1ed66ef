"""All saved chats: one file each, named after the chat."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.records.chats.journal import parse
from llmparams_cli.records.chats.transcript import Transcript
from llmparams_cli.records.journal import whole_lines

SUFFIX = ".jsonl"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Summary:
    """One chat in the list; `fault` says why its file cannot be read."""

    name: str
    changed: datetime
    turns: int = 0
    words: str = ""
    model: str = ""
    fault: str = ""


def path_of(env: Environment, name: str) -> Path:
    """The file of the chat with this name; raises UsageError if it cannot be a chat's name."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a chat's name",
            "letters, digits, and . _ - inside; at most 100 characters",
        )
    return directory(env) / f"{name}{SUFFIX}"


def directory(env: Environment) -> Path:
    """Where chats are kept."""
    return env.state_dir / "chats"


def fresh(env: Environment) -> Path:
    """An unused path, named after the current time."""
    start = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    path, number = path_of(env, start), 1
    while path.exists():
        number += 1
        path = path_of(env, f"{start}-{number}")
    return path


def newest(env: Environment) -> Path:
    """The chat that was used last."""
    if not (files := _files(env)):
        raise UsageError("there is no chat to continue", "`llmparams chat` begins one")
    return files[0]


def existing(env: Environment, name: str) -> Path:
    """The file of an existing chat; raises UsageError if there is none."""
    path = path_of(env, name)
    if not path.exists():
        guess = did_you_mean(name, names(env))
        raise UsageError(f"there is no chat {name!r}{guess}", "`llmparams chat list` shows all")
    return path


def names(env: Environment) -> list[str]:
    """The names of all chats, the newest first."""
    return [path.stem for path in _files(env)]


def transcript(env: Environment, name: str) -> Transcript:
    """What was said in a chat, and how it was left; raises UsageError if there is none."""
    path = existing(env, name)
    with path.open("rb") as file:
        return parse(whole_lines(file), path.name)[1]


def summaries(env: Environment) -> Iterator[Summary]:
    """All chats, the newest first; a damaged one is listed with what is wrong."""
    for path in _files(env):
        changed = datetime.fromtimestamp(path.stat().st_mtime)
        try:
            with path.open("rb") as file:
                _, transcript = parse(whole_lines(file), path.name)
        except (UsageError, OSError) as error:
            yield Summary(path.stem, changed, fault=str(error))
            continue
        words = transcript.turns[0].said.text if transcript.turns else ""
        model = transcript.configured.model if transcript.configured else ""
        yield Summary(path.stem, changed, len(transcript.turns), words, model)


def _files(env: Environment) -> list[Path]:
    found = []
    try:
        with os.scandir(directory(env)) as entries:
            for entry in entries:
                # An empty file belongs to a chat that is open and in which nothing was said yet.
                if entry.name.endswith(SUFFIX) and entry.is_file() and entry.stat().st_size:
                    found.append((entry.stat().st_mtime_ns, entry.name, Path(entry.path)))
    except FileNotFoundError:
        return []
    return [path for _, _, path in sorted(found, reverse=True)]
