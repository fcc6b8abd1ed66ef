"""Jinja templates from strangers: a model's chat template, a preset's prompt.

Jinja's sandbox keeps them from Python's internals. It bounds neither time nor memory, so both are
bounded here. Heavy: it is imported where a template is run.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: TID253 (see above)

SECONDS = 10.0  # real templates take milliseconds, for the longest conversations
BYTES = 1 << 30  # beyond what the process has already
MOST_DIGITS = 1_000  # of a power; Python computes on for hours, deaf to everything


class TooMuch(Exception):
    """A template wanted more time or memory than any real one does."""


class Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox, in which no single operation can go on for ever."""

    intercepted_binops = frozenset(["**"])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        whole = isinstance(left, int) and isinstance(right, int)
        if whole and left.bit_length() * abs(right) > MOST_DIGITS * 4:  # 4 bits hold a digit
            raise TooMuch(f"a power of more than {MOST_DIGITS:,} digits")
        return super().call_binop(context, operator, left, right)


def render(template: Any, values: Mapping[str, Any]) -> str:
    """Run a compiled template. Raises TooMuch, or whatever its code runs into."""
    with bounded():
        return str(template.render(values))


@contextmanager
def bounded() -> Iterator[None]:
    """Compile or run templates in this block. Raises TooMuch."""
    try:
        with _memory(), _deadline():
            yield
    except MemoryError:
        raise TooMuch(f"it takes more than {BYTES >> 30} GB of memory") from None
    except _Late:
        raise TooMuch(f"it is not done after {SECONDS:g} s") from None


class _Late(BaseException):  # no template's code may catch it
    pass


@contextmanager
def _deadline() -> Iterator[None]:
    """Raise _Late here after SECONDS, between two steps of Python."""
    thread = ctypes.c_ulong(threading.get_ident())
    interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc
    done = threading.Lock()  # held by whoever comes first: the alarm, or the end of the work

    def ring() -> None:
        if done.acquire(blocking=False):
            interrupt(thread, ctypes.py_object(_Late))

    timer = threading.Timer(SECONDS, ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        if done.acquire(blocking=False):
            timer.cancel()


@contextmanager
def _memory() -> Iterator[None]:
    """Limit the address space to BYTES more than it is, where the system can."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, OSError):  # not Linux
        yield
        return
    wanted = used + BYTES
    if soft != resource.RLIM_INFINITY:
        wanted = min(wanted, soft)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
