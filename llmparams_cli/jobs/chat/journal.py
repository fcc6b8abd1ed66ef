"""One chat's file: entries are appended and flushed to the disk one by one.

Whatever kills the program, all whole lines stay; a torn last one is cut off on opening.
One program at a time may have it open.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.chat.entries import Configured, Entry, decode, encode
from llmparams_cli.jobs.chat.transcript import Transcript


@dataclass(frozen=True)
class Content:
    """What a file holds: its whole lines, and the length of a torn one behind them."""

    entries: list[Entry]
    transcript: Transcript
    torn: int


def parse(data: bytes, place: str) -> Content:
    """Read a chat; raises UsageError with the line that is wrong."""
    entries: list[Entry] = []
    transcript = Transcript()
    *lines, last = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            entry = decode(line, first=number == 1)
            transcript.apply(entry)
        except ValueError as error:
            raise UsageError(
                f"{place}:{number}: {error}", "mend this line, or delete it and all below it"
            ) from error
        entries.append(entry)
    return Content(entries, transcript, len(last))


class Journal:
    """A chat's file while it is open. Without a path, nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.transcript = Transcript()
        self.torn = 0  # bytes of a line that was cut off on opening
        self._entries: list[Entry] = []
        self._handle = -1
        self._length = 0
        if path is not None:
            self._handle = _locked(path)
            try:
                self._read(path)
            except BaseException:
                os.close(self._handle)
                raise

    @property
    def is_new(self) -> bool:
        return not self._entries

    def record(self, entry: Entry) -> None:
        """Let it happen, and put it on the disk."""
        if self.is_new and not isinstance(entry, Configured):
            raise AssertionError("a chat begins with its settings")
        self._append(encode(entry, first=self.is_new))
        self.transcript.apply(entry)
        self._entries.append(entry)

    def move(self, path: Path) -> None:
        """Go on under another name, which must be free."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError as error:
            raise UsageError(
                f"there is a chat {path.stem!r} already", "choose another name"
            ) from error
        except OSError as error:
            raise _unwritable(path, error) from error
        if self.path is None:
            self._handle = _locked(path)
            self._append(b"".join(encode(e, first=i == 0) for i, e in enumerate(self._entries)))
        else:
            os.replace(self.path, path)
        self.path = path

    def close(self) -> None:
        """A chat in which nothing was said leaves no file."""
        if self.path is None:
            return
        if self.is_new:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        os.close(self._handle)
        self.path = None

    def _read(self, path: Path) -> None:
        with open(self._handle, "rb", closefd=False) as file:
            data = file.read()
        content = parse(data, str(path))
        self._entries, self.transcript = content.entries, content.transcript
        self.torn = content.torn
        self._length = len(data) - content.torn
        os.ftruncate(self._handle, self._length)

    def _append(self, line: bytes) -> None:
        if self.path is None and self._handle < 0:
            return
        try:
            written = 0
            while written < len(line):
                written += os.write(self._handle, line[written:])
            os.fsync(self._handle)
        except OSError as error:
            with contextlib.suppress(OSError):  # half a line would spoil the next one
                os.ftruncate(self._handle, self._length)
            raise _unwritable(self.path, error) from error
        self._length += len(line)


def _locked(path: Path) -> int:
    """The file, open for appending, and ours alone until we close it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        _lock(handle)
    except BlockingIOError as error:
        os.close(handle)
        raise UsageError(
            f"the chat {path.stem!r} is open in another program",
            "leave it there first, or choose another with --session",
        ) from error
    return handle


def _lock(handle: int) -> None:
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unwritable(path: Path | None, error: OSError) -> UsageError:
    return UsageError(
        f"the chat cannot be kept in {path}: {error.strerror}",
        "LLMPARAMS_STATE_DIR chooses another place; --no-save keeps nothing",
    )
