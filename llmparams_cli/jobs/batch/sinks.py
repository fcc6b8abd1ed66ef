"""Where records go: to standard output as they come, or into a file that is whole at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import appearing
from llmparams_cli.jobs.batch.order import Order
from llmparams_cli.openai import batch_file
from llmparams_cli.records.results import SUFFIX, Results, discard, to_line
from llmparams_cli.rows.written import write_csv, write_parquet
from llmparams_cli.text.json_text import json_text

Record = Mapping[str, Any]
WINDOW = 1024  # rows that may have ended before one that stands above them is written
BEGIN = "--force begins anew"
KEY = re.compile("[0-9a-f]{24}")  # of a row, as `rows` makes it


class Sink(Protocol):
    """Takes the record of every row, once. Close it."""

    def claim(self, row: int, key: str) -> dict[str, Any] | None:
        """The record that an earlier run has for it, which counts for this row then."""

    def add(self, row: int, key: str, is_error: bool, record: Record) -> None: ...

    def may_begin(self, row: int) -> bool:
        """Is there room to wait for this row's record?"""

    def finish(self, *, complete: bool) -> None:
        """All rows have ended, or as many as will."""

    def close(self) -> None: ...


class Stream:
    """Standard output: lines of JSON, in the order of the rows or as they end."""

    def __init__(self, env: Environment, *, ordered: bool) -> None:
        self._out = env.stdout
        self._ordered = ordered
        self._next = 1
        self._waiting: dict[int, Record] = {}

    def claim(self, row: int, key: str) -> None:
        return None

    def add(self, row: int, key: str, is_error: bool, record: Record) -> None:
        self._waiting[row] = record
        if not self._ordered:
            self._next = row
        while self._next in self._waiting:
            self._write(self._waiting.pop(self._next))
            self._next += 1
        self._out.flush()

    def may_begin(self, row: int) -> bool:
        return not self._ordered or row < self._next + WINDOW

    def finish(self, *, complete: bool) -> None:
        for row in sorted(self._waiting):  # after an interrupted one
            self._write(self._waiting[row])
        self._out.flush()

    def close(self) -> None:
        pass

    def _write(self, record: Record) -> None:
        self._out.write(json_text(dict(record), self._out.encoding))


class File:
    """A file, which appears when it is whole; until then a journal beside it has the answers.
    `about` says what the batch is.
    """

    def __init__(self, env: Environment, order: Order, about: Mapping[str, Any]) -> None:
        assert order.output is not None
        self._path = order.output
        self._order = order
        self._is_done = False
        _refuse_unusable(self._path)
        journal = journal_of(self._path)
        if order.replace:
            discard(journal)
        elif journal.exists() and not order.resume:
            raise UsageError(
                f"{journal}: an unfinished batch is there", f"--resume goes on with it, {BEGIN}"
            )
        elif self._path.exists() and not order.resume:
            raise UsageError(
                f"{self._path} exists",
                "--resume answers only what has changed since, --force replaces it",
            )
        is_new = not journal.exists()
        try:
            self._results = Results(journal, about)
        except OSError as error:
            raise UsageError(
                f"{journal}: {error.strerror}", "name a file that can be written"
            ) from error
        try:
            _refuse_others(self._results.about, about, journal)
            if is_new and order.resume and self._path.exists():
                self._results.adopt(_finished(self._path))
        except BaseException:
            self._results.close(remove=is_new)
            raise
        self.earlier = self._results.earlier

    def claim(self, row: int, key: str) -> dict[str, Any] | None:
        if not self.earlier:
            return None
        return self._results.claim(row, key, errors=not self._order.retry_errors)

    def add(self, row: int, key: str, is_error: bool, record: Record) -> None:
        self._results.add(row, key, is_error, record)

    def may_begin(self, row: int) -> bool:
        return True

    def finish(self, *, complete: bool) -> None:
        self._results.flush()
        if not complete:
            return

        def records() -> Iterator[dict[str, Any]]:
            return self._results.records(ordered=self._order.ordered)

        with appearing(self._path) as path:
            if self._path.suffix == ".csv":
                write_csv(path, records)
            elif self._path.suffix == ".parquet":
                write_parquet(path, records)
            else:
                with path.open("wb") as file:
                    file.writelines(map(to_line, records()))
        self._is_done = True

    def close(self) -> None:
        self._results.close(remove=self._is_done)


def journal_of(output: Path) -> Path:
    """The journal of an unfinished batch."""
    return output.with_name(output.name + SUFFIX)


def _refuse_unusable(path: Path) -> None:
    """Raise UsageError where no file can appear."""
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no directory {path.parent}", "make it first")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file", "without -o, answers go to standard output")


def _refuse_others(before: Mapping[str, Any], now: Mapping[str, Any], journal: Path) -> None:
    """Raise UsageError if the batch that was begun is not this one: its answers must not be mixed
    with others.
    """
    old, new = before.get("about", before), now.get("about", now)
    differing = [_difference(name, old.get(name), new[name]) for name in new]
    told = [each for each in differing if each]
    if told:
        raise UsageError(f"{journal} was begun otherwise: {'; '.join(told)}", BEGIN)


def _difference(name: str, before: Any, now: Any) -> str:
    if before == now:
        return ""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return f"{name} was {_short(before)} and is {_short(now)}"
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return ", ".join(_difference(key, before.get(key), now.get(key)) for key in keys)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _finished(path: Path) -> Iterator[tuple[str, bool, Record]]:
    """The records of a finished output, with their keys. Raises UsageError for a file of others."""
    if path.suffix in (".csv", ".parquet"):
        raise UsageError(f"{path} is finished, and not JSON lines", "--force replaces it")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                record = json.loads(line)
                key = str(record.get("key") or record["id"].removeprefix(batch_file.ID))
                if not KEY.fullmatch(key):
                    raise ValueError
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise UsageError(
                    f"{path}:{number}: not a line that batch has written", "--force replaces it"
                ) from error
            yield key, bool(record.get("error")), record
