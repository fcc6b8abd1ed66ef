"""When llama.cpp crashes: one clear line and a documented exit code, no core dump.

llama.cpp aborts the process on a failed assertion, and a damaged model or a library built for
another processor can fault. Python cannot catch either, but a handler at the level of C can still
say what happened and leave.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from llmparams_cli.backends.llama.native.library import LEVEL_ERROR, ggml, log
from llmparams_cli.errors import ExitCode
from llmparams_cli.interrupt import called_from_c

SIGNALS = ("SIGABRT", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL")
SET_TERMINATE = "_ZSt13set_terminatePFvvE"  # std::set_terminate
ASSERTIONS = {  # a part of their text, and what it means for the file at hand
    "id_to_token.size() == token_to_id.size()": "its vocabulary has a token twice",
}
CAUSES = {
    "SIGILL": "the library was built for another processor",
    "SIGBUS": "the model file changed or its disk failed while it was read",
}


_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)
SA_ONSTACK = 0x08000000  # signal.h of Linux, as the two structures
HANDLER_STACK = 1 << 18  # bytes; the handler is Python


class _SigAction(ctypes.Structure):
    """struct sigaction"""

    _fields_ = (
        ("handler", _HANDLER),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


class _SigStack(ctypes.Structure):
    """stack_t"""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@dataclass
class _Activity:
    text: str = "running the model"
    exit_code: ExitCode = ExitCode.BACKEND


_now = _Activity()  # global: a signal handler takes no arguments
_handlers: list[object] = []  # kept alive: C has pointers to them
_stderr = 2  # a duplicate later: while a grammar is parsed, descriptor 2 is redirected


@contextmanager
def during(text: str, exit_code: ExitCode = ExitCode.BACKEND) -> Iterator[None]:
    """Say what is being done, for the message should the library crash meanwhile."""
    before = _now.text, _now.exit_code
    _now.text, _now.exit_code = text, exit_code
    try:
        yield
    finally:
        _now.text, _now.exit_code = before


def guard() -> None:
    """Install the handlers, once.

    They run Python in a signal handler, which is sound here: ctypes has released the
    interpreter's lock around the C call that faulted, and the process ends at once.
    """
    global _stderr
    if _handlers or os.name != "posix":
        return
    _stderr = os.dup(2)
    # A failed assertion hands its text to this function, and aborts after it.
    told = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(
        called_from_c(lambda text: log.add(LEVEL_ERROR, _without_place(text) + b"\n", None))
    )
    ggml().ggml_set_abort_callback(told)
    thrown = ctypes.CFUNCTYPE(None)(_uncaught)
    with suppress(OSError, AttributeError):  # another C++ library: its own message stays
        ctypes.CDLL("libstdc++.so.6")[SET_TERMINATE](thrown)
    handler = _HANDLER(_die)
    for name in SIGNALS:
        _install(getattr(signal, name), handler)
    _handlers.extend([handler, told, thrown, other_stack()])


def _install(number: int, handler: Any) -> None:
    """Not by signal.signal: Python's own handler returns to the instruction that faulted, which
    faults again, for ever.
    """
    libc = ctypes.CDLL(None)
    if sys.platform == "linux":
        action = _SigAction(handler=handler, flags=SA_ONSTACK)
        libc.sigaction(number, ctypes.byref(action), None)
    else:
        libc.signal.argtypes = [ctypes.c_int, _HANDLER]
        libc.signal.restype = ctypes.c_void_p
        libc.signal(number, handler)


def other_stack() -> object:
    """Let the handlers run on a stack of their own in this thread: the thread's may be full. Its
    memory is returned, to be kept as long as the thread.
    """
    memory = ctypes.create_string_buffer(HANDLER_STACK)
    if sys.platform == "linux":
        stack = _SigStack(ctypes.addressof(memory), 0, HANDLER_STACK)
        ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None)
    return memory


def _without_place(text: bytes) -> bytes:
    """Without the source file and line that ggml_abort puts in front."""
    return text.split(b": ", 1)[-1]


def _uncaught() -> None:
    """Replace std::terminate, which prints lines of its own."""
    log.add(LEVEL_ERROR, b"an error of C++ that nothing caught; the file may be damaged\n", None)
    os.abort()


def _die(number: int) -> None:
    name = signal.Signals(number).name
    complaint = log.complaint()
    known = (meaning for part, meaning in ASSERTIONS.items() if part in complaint)
    reason = CAUSES.get(name) or next(known, complaint) or "it gave no reason"
    line = f"llmparams: error: llama.cpp crashed ({name}) while {_now.text}: {reason}"
    os.write(_stderr, (line.replace("\n", " ") + "\n").encode("utf-8", "replace"))
    os._exit(_now.exit_code)  # no clean-up: nothing of the library's state can be trusted
