"""Ctrl-C, deadlines and other reasons to stop, effective in the middle of a C call too.

Python runs signal handlers only between bytecodes, and a prompt of thousands of tokens
is one C call. So a signal's wake-up byte is read by a thread, which sets a flag that
llama.cpp polls itself between two operations.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, TypeVar

from llmparams_cli.ending import Stop, StopReason

Function = TypeVar("Function", bound=Callable[..., Any])
_FROM_C: set[CodeType] = set()


def called_from_c(function: Function) -> Function:
    """Mark a function that C calls: an exception would not pass through C, but be printed."""
    _FROM_C.add(function.__code__)
    return function


class Control:
    """Tells running work to stop, and why: `stop` is None until then.

    As a context manager in the main thread it listens to Ctrl-C. The second Ctrl-C raises
    KeyboardInterrupt at once, unless C is waiting for a function of ours.
    """

    def __init__(self) -> None:
        self.stop: Stop | None = None
        self._flag = ctypes.create_string_buffer(2)
        self._presses = 0
        self._restore: list[Any] = []

    def set(self, stop: Stop) -> None:
        """Ask for the end; the first reason stays."""
        if self.stop is None:
            self.stop = stop
            self._flag[0] = b"!"

    def reset(self) -> Control:
        """Forget what was asked: the next piece of work begins afresh."""
        self.stop = None
        self._flag[0] = b"\0"
        self._presses = 0
        return self

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self._presses:
            raise KeyboardInterrupt

    @contextmanager
    def alarm(self, seconds: float | None) -> Iterator[None]:
        """Let a C call in this block return after so many seconds (None: when it is done)."""
        if seconds is None:
            yield
            return
        timer = threading.Timer(min(max(0.0, seconds), threading.TIMEOUT_MAX), self._ring)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            self._flag[0] = b"\0" if self.stop is None else b"!"

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

    def __enter__(self) -> Control:
        if threading.current_thread() is threading.main_thread() and os.name == "posix":
            self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        if self._restore:
            handler, wakeup, listener, writer = self._restore
            signal.signal(signal.SIGINT, handler)
            signal.set_wakeup_fd(wakeup)
            os.close(writer)
            listener.join()  # a byte that it reads late would end the work after a reset
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

    def _ring(self) -> None:
        self._flag[0] = b"!"
