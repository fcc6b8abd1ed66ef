"""Where rows come from: a file or standard input, read ahead by a thread of its own."""

from __future__ import annotations

import io
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from llmparams_cli.env import STANDARD_INPUT, STDIN, Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path
from llmparams_cli.rows import lines, tables
from llmparams_cli.rows.row import BadRow, Row

FORMATS = ("jsonl", "csv", "parquet", "lines")
BY_SUFFIX = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    ".parquet": "parquet",
    **dict.fromkeys((".txt", ".text", ".list"), "lines"),
}
AHEAD = 64  # rows that are read before they are wanted
BOM = b"\xef\xbb\xbf"
CURE = "give JSON lines, CSV, Parquet, or a text with a prompt on each line"


class Source:
    """The rows of a file, or of standard input (-). Close it.

    A pipe may keep its reader waiting while answers go on: so a thread reads.
    """

    def __init__(self, env: Environment, name: str, format: str | None) -> None:
        self.place = STANDARD_INPUT if name == STDIN else name
        self._file, self._size = _opened(env, name, self.place)
        suffix = Path(name).suffix.lower()
        self._format = format or BY_SUFFIX.get(suffix)
        self._queue: queue.Queue[Row | BadRow | BaseException | None] = queue.Queue(AHEAD)
        self._ended = threading.Event()
        self._read = self._count = 0  # bytes and rows
        self._is_read = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def next(self, patience: float) -> Row | BadRow | None:
        """The next row; None if there is none for so many seconds. StopIteration at the end;
        UsageError if nothing of it can be read.
        """
        try:
            found = self._queue.get(patience > 0, patience)
        except queue.Empty:
            return None
        if isinstance(found, (Row, BadRow)):
            return found
        self._queue.put(found)  # whoever asks again is told the same
        raise StopIteration if found is None else found

    @property
    def total(self) -> tuple[int, bool] | None:
        """How many rows there are, and whether that is certain; by the size of those that were read
        until all of them are. None: unknown, as of a pipe.
        """
        if self._is_read:
            return self._count, True
        if not self._size or not self._read:
            return None
        return round(self._count * self._size / self._read), False

    def close(self) -> None:
        """Let the thread end, which closes the file; it may still wait for a pipe."""
        self._ended.set()
        with suppress(queue.Empty):  # the thread may wait for room
            while True:
                self._queue.get_nowait()

    def _work(self) -> None:
        try:
            for row in self._rows():
                if self._size:
                    with suppress(OSError, ValueError):
                        self._read = self._file.tell()
                self._count += 1
                self._queue.put(row)
                if self._ended.is_set():
                    return
            self._is_read = True
            self._queue.put(None)
        except BaseException as error:
            self._queue.put(error)
        finally:
            self._file.close()

    def _rows(self) -> Iterator[Row | BadRow]:
        if self._format == "parquet":
            if not self._size:
                raise UsageError(f"{self.place}: Parquet is read from files only", CURE)
            return tables.parquet(self._file, self.place)
        there = cast(io.BufferedReader, self._file).peek(1)
        if b"\0" in there:
            raise UsageError(f"{self.place}: not a text in UTF-8: it has zero bytes", CURE)
        begins = there.removeprefix(BOM).lstrip()[:1]
        format = self._format or ("jsonl" if begins == b"{" else "lines")
        if format == "csv":
            return tables.separated(self._file, self.place)
        if format == "lines":
            return lines.texts(self._file)
        return lines.json_array(self._file) if begins == b"[" else lines.json_lines(self._file)


def _opened(env: Environment, name: str, place: str) -> tuple[BinaryIO, int]:
    """The file and its size; 0 if it has none."""
    if name == STDIN:
        try:
            # A file of our own: at its end, Python waits for whoever reads the usual one.
            return open(os.dup(env.stdin.fileno()), "rb"), 0
        except (OSError, ValueError, AttributeError):  # a test's stream
            return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, env.stdin.buffer))), 0
    path = resolve_path(name, env.directory)
    try:
        if path.is_dir():
            raise UsageError(f"{place}: a folder", CURE)
        file = path.open("rb")
        return file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise UsageError(f"{place}: {error.strerror}", CURE) from error
