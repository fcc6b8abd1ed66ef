"""The documents of a task, from local files: JSON lines, a JSON array, or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmparams_cli.errors import UsageError
from llmparams_cli.files import read_text
from llmparams_cli.rows.tables import parquet_module
from llmparams_cli.tasks.document import Task

MOST = 1_000_000_000  # bytes

Row = dict[str, Any]


def rows(task: Task, split: str, directory: Path) -> list[Row]:
    """All documents of a split. Each has all fields; where it lacks one, its value is None."""
    if split not in task.data:
        task.refuse(f"data_files has no split {split!r}", f"it has {', '.join(task.data)}")
    files = task.data[split]
    found: list[Row] = []
    for file in files if isinstance(files, list) else [files]:
        found += _read(task, _path(task, str(file), directory), str(file))
    if not found:
        task.refuse(f"the split {split!r} is empty")
    fields = dict.fromkeys(key for row in found for key in row)
    return [{key: row.get(key) for key in fields} for row in found]


def _path(task: Task, file: str, directory: Path) -> Path:
    """Beside the task's file or, as the harness has it, in the current folder."""
    beside = task.folder / file
    return beside if beside.exists() else directory / file


def _read(task: Task, path: Path, place: str) -> Iterator[Row]:
    if path.suffix == ".parquet":
        yield from _parquet(path, place)
        return
    try:
        text = read_text(path, MOST)
    except ValueError as error:
        raise UsageError(f"{place}: {error}", f"{task.place} names it in data_files") from error
    if text.lstrip()[:1] == "[":
        items = _json(text, place)
        for number, item in enumerate(items, 1):
            yield _row(item, f"{place}: item {number}")
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _row(_json(line, f"{place}:{number}"), f"{place}:{number}")


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{place}: not JSON: {error}", "give JSON lines, a document each"
        ) from error


def _row(item: Any, place: str) -> Row:
    if not isinstance(item, dict):
        raise UsageError(f"{place}: not an object", "give JSON lines, a document each")
    return item


def _parquet(path: Path, place: str) -> list[Row]:
    parquet = parquet_module(place)
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{place}: {error}", "give a Parquet file, or JSON lines") from error
    found: list[Row] = table.to_pylist()
    return found
