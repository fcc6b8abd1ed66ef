"""The logits of a run, kept so that it can be looked at, and drawn again in another way."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llmparams_cli.analysis.choices import Tree
from llmparams_cli.errors import BackendError


class Recording:
    """A row of n_vocab logits (float32) for every draw, and the token that was drawn.

    The rows are in an unnamed temporary file, which the system keeps in memory while there is room.
    Close it.
    """

    def __init__(self, n_vocab: int) -> None:
        self.n_vocab = n_vocab
        self.drawn: list[int] = []
        self.tree: Tree | None = None  # the choices of which one was drawn
        self._bytes = n_vocab * ctypes.sizeof(ctypes.c_float)
        self._rows = 0
        with _told():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)

    def add(self, logits: Any) -> None:
        """Keep a row (pointer to n_vocab floats), before its draw."""
        with _told():
            self._file.write(ctypes.string_at(logits, self._bytes))
            self._file.flush()  # a full disk is told here, and not when a row is read
        self._rows += 1

    def __len__(self) -> int:
        return len(self.drawn)

    @property
    def is_open(self) -> bool:
        """Is there a row from which no token could be drawn, because a grammar was complete?"""
        return self._rows > len(self.drawn)

    def row(self, number: int) -> Any:
        """The logits of draw `number`, from 0, as a numpy array."""
        import numpy as np

        self._file.seek(number * self._bytes)
        return np.frombuffer(self._file.read(self._bytes), dtype=np.float32).copy()

    def rows(self) -> Iterator[tuple[Any, int]]:
        """(logits, drawn token) from the first draw to the last."""
        for number, token in enumerate(self.drawn):
            yield self.row(number), token

    def close(self) -> None:
        self._file.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendError(
            f"the logits of this run cannot be kept: {error.strerror or error}",
            "make room for temporary files, or name another directory for them in TMPDIR",
        ) from error


def pointer(logits: Any) -> Any:
    """A row as the pointer to floats that samplers take; the row must outlive it."""
    return logits.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
