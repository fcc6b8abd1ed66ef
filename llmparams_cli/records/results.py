"""The answers of an unfinished batch: OUT.batch, a journal beside the output that they are for.

Its first line says what the batch is, every other one has an answer. What identifies a row is the
key of its prompt, settings and model: an answer stands for any row with its key. Where each answer
is, is kept in a temporary database, so that there may be more of them than memory has room for.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmparams_cli.errors import UsageError
from llmparams_cli.files import lock
from llmparams_cli.records.journal import Journal
from llmparams_cli.text.json_text import json_text

SUFFIX = ".batch"
FORMAT = 1
GROUP, SECONDS = 64, 0.5  # answers that go to the disk together; the longest time until they do


def to_line(record: Mapping[str, Any]) -> bytes:
    """A record as a line of a file."""
    return json_text(dict(record)).encode()


class Results:
    """An open journal of answers; one program at a time has it open. `about` says what the batch
    is, and `earlier` how many answers an unfinished run has left.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        import sqlite3

        self._db = sqlite3.connect("", isolation_level=None)  # a file of its own, gone at the end
        self._db.execute("CREATE TABLE earlier (key TEXT, error INT, at INT, length INT)")
        self._db.execute("CREATE TABLE placed (row INTEGER PRIMARY KEY, at INT, length INT)")
        self.about: dict[str, Any] = {}
        self._size = self._head = 0  # bytes, and those of the first line
        self._waiting: list[tuple[int, bytes]] = []
        self._flushed = time.monotonic()
        try:
            self._journal = Journal(path, self._read)
        except BlockingIOError as error:
            raise _in_use(path) from error
        self._file = path.open("rb")
        self._db.execute("CREATE INDEX by_key ON earlier (key)")
        (self.earlier,) = self._db.execute("SELECT count(*) FROM earlier").fetchone()
        if not self.about:
            self.about = {"batch": FORMAT, **about}
            self._append(to_line(self.about))
            self._head = self._size

    def adopt(self, records: Iterator[tuple[str, bool, Mapping[str, Any]]]) -> None:
        """Take over the answers of a finished run: (key, is it an error, record)."""
        for key, is_error, record in records:
            self._waiting.append((0, _line(0, key, is_error, record)))
            self.earlier += 1
            self._flush_some()
        self.flush()

    def claim(self, row: int, key: str, *, errors: bool) -> dict[str, Any] | None:
        """The earlier answer with this key, which from here on is that of the row; None: there is
        none that no other row has. `errors`: one that is an error counts, too.
        """
        found = self._db.execute(
            "SELECT rowid, at, length FROM earlier WHERE key = ? AND error <= ? LIMIT 1",
            (key, errors),
        ).fetchone()
        if found is None:
            return None
        number, at, length = found
        self._db.execute("DELETE FROM earlier WHERE rowid = ?", (number,))
        self._place(row, at, length)
        return self._record(at, length)

    def add(self, row: int, key: str, is_error: bool, record: Mapping[str, Any]) -> None:
        """Keep the answer to a row; it is safe on the disk after the next `flush`."""
        self._waiting.append((row, _line(row, key, is_error, record)))
        self._flush_some()

    def flush(self) -> None:
        """Put on the disk what waits for it."""
        waiting, self._waiting = self._waiting, []
        self._flushed = time.monotonic()
        if not waiting:
            return
        at = self._size
        self._append(*(line for _, line in waiting))
        for row, line in waiting:
            if row:
                self._place(row, at, len(line))
            else:
                self._know(line, at)
            at += len(line)

    def records(self, *, ordered: bool) -> Iterator[dict[str, Any]]:
        """The answers of this run's rows, in the order of the rows or in that of their ends."""
        column = "row" if ordered else "at"
        for at, length in self._db.execute(f"SELECT at, length FROM placed ORDER BY {column}"):
            yield self._record(at, length)

    def close(self, *, remove: bool = False) -> None:
        """Close the journal; remove it, or if there is no answer in it."""
        self._file.close()
        self._journal.close(remove=remove or self._size == self._head)
        self._db.close()

    def _flush_some(self) -> None:
        if len(self._waiting) >= GROUP or time.monotonic() - self._flushed > SECONDS:
            self.flush()

    def _append(self, *lines: bytes) -> None:
        self._journal.append(*lines)
        self._size += sum(map(len, lines))

    def _place(self, row: int, at: int, length: int) -> None:
        self._db.execute("INSERT INTO placed VALUES (?, ?, ?)", (row, at, length))

    def _know(self, line: bytes, at: int) -> None:
        entry = json.loads(line)
        values = (str(entry["key"]), bool(entry["error"]), at, len(line))
        self._db.execute("INSERT INTO earlier VALUES (?, ?, ?, ?)", values)

    def _record(self, at: int, length: int) -> dict[str, Any]:
        line = os.pread(self._file.fileno(), length, at)
        return dict(json.loads(line)["record"])

    def _read(self, lines: Iterator[bytes]) -> None:
        for line in lines:
            try:
                if self._size == 0:
                    self.about = dict(json.loads(line))
                    if self.about.get("batch") != FORMAT:
                        raise ValueError("not the journal of a batch")
                    self._head = len(line) + 1
                else:
                    self._know(line + b"\n", self._size)
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(
                    f"the journal of the batch is damaged at byte {self._size}: {error}",
                    "--force begins anew",
                ) from error
            self._size += len(line) + 1


def discard(path: Path) -> None:
    """Remove a journal, if there is one. Raises UsageError if a batch is writing it."""
    try:
        with path.open("rb") as file:
            lock(file.fileno())
            path.unlink()
    except FileNotFoundError:
        pass
    except BlockingIOError as error:
        raise _in_use(path) from error


def _in_use(path: Path) -> UsageError:
    cure = "wait for its end, or name another output"
    return UsageError(f"{path}: another batch is writing it", cure)


def _line(row: int, key: str, is_error: bool, record: Mapping[str, Any]) -> bytes:
    return to_line({"row": row, "key": key, "error": is_error, "record": record})
