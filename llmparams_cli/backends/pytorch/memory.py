"""A lack of memory, told from other errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llmparams_cli.errors import BackendError

# Of the processor's memory PyTorch says "can't allocate memory" or "not enough memory".
WORDS = ("out of memory", "allocate memory", "not enough memory")


class OutOfMemory(BackendError):
    """Memory is full. The hint is a cure."""


@contextmanager
def watched() -> Iterator[None]:
    """Makes OutOfMemory of what PyTorch raises."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not any(word in str(error) for word in WORDS):
            raise
        raise OutOfMemory(
            "PyTorch ran out of memory",
            "give a smaller --context, train fewer tensors, or train an adapter",
        ) from error
