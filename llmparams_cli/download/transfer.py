"""A file's bytes to the disk: resumed where an earlier transfer ended, and checked.

The bytes grow in NAME.part; the file has its own name when its size and its SHA-256 are right.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmparams_cli.download import Progress, SourceError
from llmparams_cli.download.choice import RemoteFile
from llmparams_cli.download.failures import AGAIN, Lost
from llmparams_cli.errors import ModelError
from llmparams_cli.models.gguf import MAGIC
from llmparams_cli.text.units import size_text

PART = ".part"
TRIES = 5  # without a single byte in between
PAUSE = 1.0  # seconds before the second try; twice as long before each further one
LONGEST_PAUSE = 60.0
# In one answer: content networks refuse files of more than 50 GB, but not their parts.
MOST_AT_ONCE = 20_000_000_000
READ = 1 << 20

Opener = Callable[[str, int, int], Any]  # address, first byte, end: a context manager


class Growing:
    """A file that grows in NAME.part, with the hash of what is in it."""

    def __init__(self, target: Path, file: RemoteFile) -> None:
        self.file = file
        self.target = target
        self.path = target.with_name(target.name + PART)
        self.hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Growing:
        self._file = open(self.path, "a+b")
        if self._file.tell() > self.file.size:
            self.restart()
        self._file.seek(0)
        while chunk := self._file.read(READ):
            self.hash.update(chunk)
        self.size = self._file.tell()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def restart(self) -> None:
        """Forget everything: the next byte is the first."""
        self._file.truncate(0)
        self.hash = hashlib.sha256()
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """Append bytes; raises SourceError as soon as they cannot be right."""
        if not self.size and chunk[:4] != MAGIC[: len(chunk)]:
            from llmparams_cli.models.sniff import describe

            what, _ = describe(chunk[:4096])
            raise SourceError(f"what came as {self.file.path} is not a GGUF file: it {what}")
        if self.size + len(chunk) > self.file.size:
            raise SourceError(f"{self.file.path} is longer than announced", AGAIN)
        self._file.write(chunk)
        self.hash.update(chunk)
        self.size += len(chunk)

    def finish(self) -> str:
        """Give the file its name; returns its SHA-256. Raises SourceError if it is a wrong one."""
        digest = self.hash.hexdigest()
        if self.file.sha256 and digest != self.file.sha256:
            self.restart()
            raise SourceError(
                f"{self.file.path} came damaged: its SHA-256 is {digest[:12]}…, not"
                f" {self.file.sha256[:12]}…",
                "run the same command again, or use another HF_ENDPOINT",
            )
        self._file.flush()
        os.fsync(self._file.fileno())
        os.replace(self.path, self.target)
        return digest


def fetch(file: RemoteFile, target: Path, opener: Opener, progress: Progress) -> str:
    """Fetch one file; returns its SHA-256. What an earlier try left of it is kept and used.

    Raises SourceError if the server fails or lies, ModelError if the disk does.
    """
    with writing(target), Growing(target, file) as growing:
        was_kept = growing.size > 0
        _fill(growing, opener, progress)
        try:
            return growing.finish()
        except SourceError:
            if not was_kept:
                raise
        # After a power cut, the end of a file may hold zeros.
        _fill(growing, opener, progress)
        return growing.finish()


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turns what the disk refuses into a ModelError."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{target.name} cannot be written in {target.parent}: {error.strerror or error}",
            f"make room or set LLMPARAMS_MODELS_DIR; then {AGAIN}",
        ) from error


def _fill(growing: Growing, opener: Opener, progress: Progress) -> None:
    """Receive until everything is there, in as many requests as it takes."""
    failures = 0
    while growing.size < growing.file.size:
        before = growing.size
        try:
            _receive(growing, opener, progress)
            if growing.size == before:
                raise Lost(f"{growing.file.path} ends too early", AGAIN)
        except Lost as lost:
            failures = failures + 1 if growing.size == before else 1
            if failures >= TRIES:
                raise
            time.sleep(min(max(lost.wait, PAUSE * 2 ** (failures - 1)), LONGEST_PAUSE))


def _receive(growing: Growing, opener: Opener, progress: Progress) -> None:
    file, start = growing.file, growing.size
    with opener(file.url, start, min(file.size, start + MOST_AT_ONCE)) as response:
        if begins_at(response, start, file) != start:
            growing.restart()
        for chunk in response.iter_raw():
            growing.add(chunk)
            progress(file.name, growing.size, file.size)


def begins_at(response: Any, start: int, file: RemoteFile) -> int:
    """Where the bytes of an answer begin: at `start`, or, if the server ignores ranges, at 0.

    Raises SourceError if they cannot be those of the file that was announced.
    """
    if response.status_code == 206:
        _check_range(response.headers.get("Content-Range", ""), start, file)
        return start
    _check_whole(response.headers, file)
    return 0


def _check_range(header: str, start: int, file: RemoteFile) -> None:
    """Is what comes the part that was asked for, of a file of the size that was announced?"""
    if not header.startswith(f"bytes {start}-"):
        raise SourceError(
            f"{file.path}: the server sends {header[:40]!r}", "use another HF_ENDPOINT"
        )
    total = header.rpartition("/")[2]
    if total not in (str(file.size), "*"):
        raise _another_size(file, total)


def _check_whole(headers: Mapping[str, str], file: RemoteFile) -> None:
    """Is what comes all of the file, of the size that was announced?"""
    if headers.get("Content-Type", "").startswith("text/html"):
        raise SourceError(
            f"a web page comes instead of {file.path}", "does the network want you to log in?"
        )
    length = headers.get("Content-Length", "")
    if length and length != str(file.size):
        raise _another_size(file, length)


def _another_size(file: RemoteFile, said: str) -> SourceError:
    size = size_text(int(said)) if said.isdecimal() and len(said) < 20 else repr(said[:40])
    return SourceError(
        f"{file.path} is {size} on the server, not {size_text(file.size)} as announced", AGAIN
    )
