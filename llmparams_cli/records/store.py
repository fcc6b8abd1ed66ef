"""The log: receipts of the last runs, kept in the user's state directory.

Each run is a file whose name sorts by time. So processes can write at the same time, the
newest runs are found by listing the directory, and a removed run leaves nothing behind. From
time to time, the oldest runs beyond the limits are deleted.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmparams_cli import PREFIX
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import make_folder, sweep, write_whole
from llmparams_cli.params.kinds import Switch
from llmparams_cli.records.document import to_json

VARIABLE = f"{PREFIX}LOG"
LAST = "last"
MAX_RUNS = 1000
MAX_BYTES = 64_000_000
ID = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{6}")
SUFFIX = ".json"


def is_on(env: Environment) -> bool:
    """Does the user want a log? LLMPARAMS_LOG=off says no."""
    text = env.variables.get(VARIABLE) or "on"
    try:
        return Switch().parse(text)
    except ValueError as error:
        raise UsageError(f"{VARIABLE}: {error}", f"{VARIABLE}=off turns the log off") from error


def directory(env: Environment) -> Path:
    """Where the files are."""
    return env.state_dir / "log"


def path(env: Environment, id: str) -> Path:
    """The file of a run."""
    return directory(env) / (id + SUFFIX)


def add(env: Environment, receipt: dict[str, Any]) -> None:
    """Add a receipt, readable by its owner only; now and then delete the oldest."""
    place = directory(env)
    make_folder(place, private=True)
    sweep(place)
    name = receipt["id"] + SUFFIX
    # An fsync would add as much to a short run as all the rest of its receipt, and after a
    # power cut nobody misses the last run.
    write_whole(place / name, to_json(receipt), private=True, durable=False)
    if receipt["id"].endswith("0"):  # one run in sixteen pays for looking at all files
        prune(place, name)


def ids(env: Environment) -> list[str]:
    """All runs in the log, the newest first."""
    try:
        names = os.listdir(directory(env))
    except OSError:
        return []
    stems = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
    return sorted(filter(ID.fullmatch, stems), reverse=True)


def find(env: Environment, text: str) -> Path:
    """The file of the run whose id, or its part after the dash, begins with `text`.

    Raises UsageError if there is none, or more than one.
    """
    known = ids(env)
    found = known[:1] if text == LAST else [id for id in known if _begins(id, text)]
    if len(found) > 1:
        raise UsageError(
            f"{text!r} begins the ids of {len(found)} runs in the log",
            f"one more letter, such as {' or '.join(found[:2])}",
        )
    if not found:
        raise UsageError(
            f"the log has no run {text!r}" if known else "the log is empty",
            "llmparams log lists the runs",
        )
    return path(env, found[0])


def clear(env: Environment) -> int:
    """Remove all runs from the log; return their number."""
    count = len(ids(env))
    place = directory(env)
    for name in os.listdir(place) if count else ():
        if ID.match(name.lstrip(".")):  # half-written ones, too
            (place / name).unlink(missing_ok=True)
    return count


def prune(place: Path, newest: str) -> None:
    """Delete the oldest runs beyond the limits; another process may be doing the same."""
    runs, size = 0, 0
    for entry in sorted(os.scandir(place), key=lambda entry: entry.name, reverse=True):
        with suppress(FileNotFoundError):
            if ID.match(entry.name) is None:
                continue  # somebody else's file
            status = entry.stat()
            runs, size = runs + 1, size + status.st_size
            if (runs > MAX_RUNS or size > MAX_BYTES) and entry.name != newest:
                os.unlink(entry.path)


def _begins(id: str, text: str) -> bool:
    return bool(text) and (id.startswith(text) or id.partition("-")[2].startswith(text))
