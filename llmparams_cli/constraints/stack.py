"""Work on a stack of one's own, for C and Rust that call themselves deeply."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
# For llguidance's compiler, which calls itself for what is nested; only what is used counts.
COMPILING = 1 << 28


def with_stack(size: int, work: Callable[[], Result]) -> Result:
    """Do the work on a thread with a stack of `size` bytes, or on this one if there is no such."""
    ended: list[tuple[Result | None, BaseException | None]] = []

    def run() -> None:
        try:
            ended.append((work(), None))
        except BaseException as error:
            ended.append((None, error))

    before = threading.stack_size(size & ~0xFFFF)  # some systems want whole pages
    thread = threading.Thread(target=run, daemon=True)  # Ctrl-C need not wait for it
    try:
        thread.start()
    except RuntimeError:  # so much address space is not to be had
        run()
    finally:
        threading.stack_size(before)
    if thread.ident is not None:
        thread.join()
    ((result, error),) = ended
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # there is one where there is no error
