"""Maps a GGUF file into memory and reads it value by value.

The file is not trusted: whatever its bytes, reading gives a value or a `ModelError`.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from llmparams_cli.errors import ModelError
from llmparams_cli.text.units import size_text

# Bytes. No real model comes near these bounds; they limit what a hostile file can cost.
MAX_HEADER = 256 << 20
MAX_TEXT = 16 << 20

# Longer arrays (the vocabulary) are skipped, and read from the file when they are needed.
MAX_EAGER_ARRAY = 1024

# By number in the file (gguf_type in gguf.h); all are little-endian.
SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
TEXT, ARRAY = 8, 9

U64 = struct.Struct("<Q")
ARRAY_HEAD = struct.Struct("<IQ")

AGAIN = "download or copy it again"


@dataclass(frozen=True)
class Array:
    """An array that was skipped: the type and number of its items, and where they begin."""

    type: int
    length: int
    position: int

    def __len__(self) -> int:
        return self.length


@contextmanager
def mapped(path: Path) -> Iterator[tuple[mmap.mmap, int]]:
    """Map the first `MAX_HEADER` bytes of a file; yields them and the whole file's size."""
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{path} cannot be read: {reason}", "check the path and its permissions"
        ) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(
                f"{path} is not a regular file", "a model is mapped into memory: save it in a file"
            )
        if not status.st_size:
            raise ModelError(f"{path} is empty", AGAIN)
        length = min(status.st_size, MAX_HEADER)
        try:
            data = mmap.mmap(descriptor, length, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{path} cannot be mapped into memory: {error}", "copy it to a local disk"
            ) from error
        with data:
            yield data, status.st_size
    finally:
        os.close(descriptor)


class Cursor:
    """Reads values one after the other and refuses to leave the mapped bytes."""

    def __init__(self, path: Path, data: mmap.mmap, size: int) -> None:
        self.path = path
        self.data = data
        self.size = size
        self.position = 0

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        start = self.advance(layout.size)
        return layout.unpack_from(self.data, start)

    def advance(self, count: int) -> int:
        """Move past `count` bytes; return where they begin."""
        start = self.position
        if count > len(self.data) - start:
            raise self.overrun()
        self.position = start + count
        return start

    def overrun(self) -> ModelError:
        if len(self.data) < self.size:
            return damaged(self.path, f"its header is longer than {size_text(MAX_HEADER)}")
        return ModelError(
            f"{self.path} is truncated or damaged: its header goes on past the end of the file,"
            f" at {size_text(self.size)}",
            AGAIN,
        )

    def text(self) -> str:
        (length,) = self.unpack(U64)
        if length > MAX_TEXT:
            raise damaged(self.path, f"it has a text of {length} bytes in its header")
        start = self.advance(length)
        return self.data[start : start + length].decode("utf-8", "replace")

    def value(self, type: int) -> Any:
        if type == TEXT:
            return self.text()
        if type == ARRAY:
            return self.array()
        return self.unpack(self.scalar(type))[0]

    def scalar(self, type: int) -> struct.Struct:
        layout = SCALARS.get(type)
        if layout is None:
            raise damaged(self.path, f"it has a value of the unknown type {type}")
        return layout

    def array(self) -> list[Any] | Array:
        type, length = self.unpack(ARRAY_HEAD)
        if length <= MAX_EAGER_ARRAY:
            return self.items(type, length)
        array = Array(type, length, self.position)
        if type == TEXT:
            self.skip_texts(length)
        else:
            self.advance(length * self.scalar(type).size)
        return array

    def items(self, type: int, length: int) -> list[Any]:
        if type == TEXT:
            return [self.text() for _ in range(length)]
        scalar = self.scalar(type)
        start = self.advance(length * scalar.size)
        return [value for (value,) in scalar.iter_unpack(self.data[start : self.position])]

    def skip_texts(self, count: int) -> None:
        """Skip texts without decoding them: most of the time in a large header is spent here."""
        data, position, length_at = self.data, self.position, U64.unpack_from
        # Each text has at least its length, so an absurd count fails before the loop.
        if count * U64.size > len(data) - position:
            raise self.overrun()
        try:
            for _ in repeat(None, count):  # a sixth faster than range
                position += 8 + length_at(data, position)[0]
        except (struct.error, OverflowError):
            raise self.overrun() from None
        self.advance(position - self.position)  # also checks the end of the last text


def damaged(path: Path, what: str) -> ModelError:
    """The error for a file whose content is inconsistent."""
    return ModelError(f"{path} is damaged: {what}", AGAIN)
