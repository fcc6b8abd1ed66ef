"""Standard output: all of what is written arrives, or an error says why not."""

from __future__ import annotations

import io
import os
import select
from typing import TYPE_CHECKING, TextIO

from llmparams_cli.errors import OutputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Output(io.RawIOBase):
    """Writes to a stream's descriptor. One that does not block is waited for: other programs make
    pipes and terminals so. Raises OutputError where nothing more can be written, but leaves
    BrokenPipeError as it is: a reader who has enough is no fault.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream  # it would close the descriptor, were it forgotten
        self._descriptor = stream.fileno()

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer) -> int:
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except BrokenPipeError:
                raise
            except OSError as error:
                raise OutputError(f"the output cannot be written: {error.strerror}") from error


def output(stream: TextIO) -> TextIO:
    """The same stream over `Output`, whatever Python put between: with PYTHONUNBUFFERED it has no
    buffer, and then drops what a full disk does not take.
    """
    try:
        raw = Output(stream)
    except (OSError, ValueError):  # a test's, without a descriptor
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=raw.isatty(),
    )
