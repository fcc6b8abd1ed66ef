"""An append-only file of lines, each on the disk before the program continues.

Whatever kills the program, all complete lines stay; an incomplete last one is removed on
opening. Only one program at a time may have a journal open.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from llmparams_cli.files import lock, make_folder

Read = Callable[[Iterator[bytes]], object]


class Journal:
    """An open journal. Raises OSError, and BlockingIOError if another program has it open."""

    def __init__(self, path: Path, read: Read, *, new: bool = False) -> None:
        """Open or create the file, and pass its complete lines to `read`.

        With `new`, an existing file raises FileExistsError. If `read` raises, the file is left
        unchanged.
        """
        self.path = path
        self.torn = 0  # bytes of a line that was cut off
        self._length = 0
        make_folder(path.parent, private=True)
        flags = os.O_CREAT | os.O_RDWR | os.O_APPEND | (os.O_EXCL if new else 0)
        self._handle = os.open(path, flags, 0o600)
        try:
            lock(self._handle)
            self._read(read)
        except BaseException:
            os.close(self._handle)
            raise

    def append(self, *lines: bytes) -> None:
        """Write lines (with their newlines), all or none of them."""
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
        """Rename the file; raises FileExistsError if the name is taken."""
        # Claim the name first: a rename would silently replace a file that has it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.replace(self.path, path)
        self.path = path

    def close(self, *, remove: bool = False) -> None:
        """Close the file, which unlocks it; or remove it."""
        if remove:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        os.close(self._handle)

    def _read(self, read: Read) -> None:
        with open(self._handle, "rb", closefd=False) as file:
            lines = self._counted(whole_lines(file))
            read(lines)
            for _ in lines:  # count those that `read` did not take
                pass
        self.torn = os.fstat(self._handle).st_size - self._length
        if self.torn:
            os.ftruncate(self._handle, self._length)

    def _counted(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            self._length += len(line) + 1
            yield line


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The complete lines of a journal, without their newlines."""
    for line in file:
        if line.endswith(b"\n"):
            yield line[:-1]
