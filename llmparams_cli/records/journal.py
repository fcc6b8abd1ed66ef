"""A file of lines that only grows: each is on the disk before the program goes on.

Whatever kills the program, all whole lines stay; a torn last one is cut off on opening.
One program at a time may have a journal open.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

Read = Callable[[Iterator[bytes]], object]


class Journal:
    """An open journal. Its methods raise OSError; BlockingIOError if another program has it."""

    def __init__(self, path: Path, read: Read, *, new: bool = False) -> None:
        """Open or make the file, and have `read` take its whole lines.

        With `new`, a file that is there already is a FileExistsError. Whatever `read` raises
        leaves the file as it is.
        """
        self.path = path
        self.torn = 0  # bytes of a line that was cut off
        self._length = 0
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_CREAT | os.O_RDWR | os.O_APPEND | (os.O_EXCL if new else 0)
        self._handle = os.open(path, flags, 0o600)
        try:
            _lock(self._handle)
            self._read(read)
        except BaseException:
            os.close(self._handle)
            raise

    def append(self, *lines: bytes) -> None:
        """Write lines, which end with newlines, all or none of them."""
        data, written = b"".join(lines), 0
        try:
            while written < len(data):
                written += os.write(self._handle, data[written:])
            os.fsync(self._handle)
        except OSError:
            with contextlib.suppress(OSError):  # half a line would spoil the next one
                os.ftruncate(self._handle, self._length)
            raise
        self._length += len(data)

    def move(self, path: Path) -> None:
        """Go on under another name; FileExistsError if it is taken."""
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.replace(self.path, path)
        self.path = path

    def close(self, *, remove: bool = False) -> None:
        """Let others have it, or remove the file."""
        if remove:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        os.close(self._handle)

    def _read(self, read: Read) -> None:
        with open(self._handle, "rb", closefd=False) as file:
            lines = self._counted(whole_lines(file))
            read(lines)
            for _ in lines:  # those that `read` left
                pass
        self.torn = os.fstat(self._handle).st_size - self._length
        if self.torn:
            os.ftruncate(self._handle, self._length)

    def _counted(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            self._length += len(line) + 1
            yield line


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a journal, without their newlines and without a torn one at the end."""
    for line in file:
        if line.endswith(b"\n"):
            yield line[:-1]


def _lock(handle: int) -> None:
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
