"""Ctrl-C and the time limit, effective in the middle of a C call too.

Python runs signal handlers only between bytecodes, and a prompt of thousands of tokens
is one C call. So a signal's wake-up byte is read by a thread, which sets a flag that
llama.cpp polls itself between two operations.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

from llmparams_cli.protocol import Stop, StopReason

Function = TypeVar("Function", bound=Callable[..., Any])
_FROM_C: set[CodeType] = set()


def called_from_c(function: Function) -> Function:
    """Mark a function that C calls: an exception would not pass through C, but be printed."""
    _FROM_C.add(function.__code__)
    return function


class Interrupt:
    """A flag with a reason: set by Ctrl-C or a timer, read by the loop and by llama.cpp.

    Use as a context manager in the main thread. The second Ctrl-C raises
    KeyboardInterrupt at once, unless C is waiting for a function of ours.
    """

    def __init__(self, time_limit: float = 0.0) -> None:
        self.stop: Stop | None = None
        self._flag = ctypes.create_string_buffer(2)
        self._presses = 0
        self._limit = time_limit
        self._timer: threading.Timer | None = None
        self._restore: list[Any] = []

    def set(self, stop: Stop) -> None:
        """Ask for the end; the first reason stays."""
        if self.stop is None:
            self.stop = stop
            self._flag[0] = b"!"

    def reset(self, time_limit: float = 0.0) -> Interrupt:
        """Forget what was asked so far: the next piece of work may be interrupted anew.

        The flag stays the same one, for contexts keep a pointer to it.
        """
        self.stop = None
        self._flag[0] = b"\0"
        self._presses = 0
        self._limit = time_limit
        return self

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed; the time limit is for decoding alone."""
        if self._presses:
            raise KeyboardInterrupt

    def start_clock(self) -> None:
        """Begin to count the time limit (seconds; 0 for none), anew for each answer."""
        if self._timer:
            self._timer.cancel()
        if self.stop and self.stop.reason is StopReason.TIME_LIMIT:
            self.stop = None
            self._flag[0] = b"\0"
        if self._limit > 0:
            stop = Stop(StopReason.TIME_LIMIT, f"{self._limit:g} s")
            self._timer = threading.Timer(min(self._limit, threading.TIMEOUT_MAX), self.set, [stop])
            self._timer.daemon = True
            self._timer.start()

    def callback(self, callback_type: Any) -> tuple[Any, Any]:
        """(function, data) for `llama_context_params.abort_callback`.

        The function is libc's strlen: true as soon as the flag's first byte is set. A
        Python function would be called for every node of every graph.
        """
        if os.name != "posix":
            return callback_type(), None
        strlen = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
        assert strlen is not None
        return callback_type(strlen), ctypes.cast(self._flag, ctypes.c_void_p)

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread() and os.name == "posix":
            self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        # Both threads are waited for: a late one would end the work that comes after a reset.
        if self._timer:
            self._timer.cancel()
            self._timer.join()
        if self._restore:
            handler, wakeup, listener, writer = self._restore
            signal.signal(signal.SIGINT, handler)
            signal.set_wakeup_fd(wakeup)
            os.close(writer)
            listener.join()
            self._restore = []

    def _listen(self) -> None:
        if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
            return  # whoever started the program (nohup, `&` in a script) wants it so
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        handler = signal.signal(signal.SIGINT, self._pressed)
        wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        listener = threading.Thread(target=self._wait, args=[reader], daemon=True)
        self._restore = [handler, wakeup, listener, writer]
        listener.start()

    def _wait(self, reader: int) -> None:
        while data := os.read(reader, 1):
            if data[0] == signal.SIGINT:
                self._request()
        os.close(reader)

    def _pressed(self, _signal: int, frame: FrameType | None) -> None:
        self._presses += 1
        self._request()
        while frame:
            if frame.f_code in _FROM_C:
                return
            frame = frame.f_back
        if self._presses > 1:
            raise KeyboardInterrupt

    def _request(self) -> None:
        self.set(Stop(StopReason.INTERRUPTED, "Ctrl-C"))
