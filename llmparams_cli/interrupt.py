"""Ctrl-C, deadlines and other reasons to stop; they take effect during a C call too.

Python runs signal handlers only between bytecodes, and reading a prompt of thousands of tokens is
one C call. So a thread reads the signal's wake-up byte and sets a flag, which llama.cpp itself
polls between two operations.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, TypeVar

from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.errors import ExitCode

# Signals of who wants the program to end, such as a closed terminal; not all systems have both.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
GRACE = 5.0  # seconds that a C call may take after one of those
AGAIN = 0.1  # seconds until a signal that came inside a callback is sent once more
Function = TypeVar("Function", bound=Callable[..., Any])
PATIENCE = 3  # times that Ctrl-C is pressed
_modes: list[Any] = []  # of the terminal, before anything changed them
_came: list[int] = []  # signals that want the end
_FROM_C: set[CodeType] = set()  # what C calls; `_pressed` must not raise inside these


def called_from_c(function: Function) -> Function:
    """Mark a function that C calls: exceptions cannot pass through C, ctypes only prints them."""
    _FROM_C.add(function.__code__)
    return function


class Ended(SystemExit):
    """SIGTERM or SIGHUP came. A SystemExit, because event loops let no other exception out of a
    callback.
    """


@contextmanager
def orderly_end() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `Ended` in the block, so that terminals and files are left as
    they ought to be; then the process ends of that signal all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What is ignored on purpose, as nohup does it, stays so.
    caught = [each for each in ENDING if signal.getsignal(each) is signal.SIG_DFL]
    _modes[:] = _terminal_modes()
    try:
        for each in caught:
            signal.signal(each, _end)
        yield
    except (Ended, KeyboardInterrupt):
        if not _came:
            raise
        signal.signal(_came[0], signal.SIG_DFL)
        os.kill(os.getpid(), _came[0])
    finally:
        _came.clear()
        for each in caught:
            signal.signal(each, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    _came.append(number)
    if _is_called_from_c(frame):  # C is ending its work, and maybe the program then
        again = threading.Timer(AGAIN, os.kill, [os.getpid(), number])
        again.daemon = True
        again.start()
        return
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)  # a second one must not break the end off
    _end_at_last(number)
    raise Ended(128 + number)


def _end_at_last(number: int) -> None:
    """End the process after GRACE seconds, whatever it is in: a C call that does not return, or an
    event loop that swallowed `Ended`.
    """

    def leave() -> None:
        if _modes:
            import termios

            termios.tcsetattr(0, termios.TCSANOW, _modes)
        os._exit(128 + number)

    timer = threading.Timer(GRACE, leave)
    timer.daemon = True
    timer.start()


def _terminal_modes() -> list[Any]:
    """Those of standard input, for the way out; empty where it is no terminal."""
    try:
        import termios
    except ImportError:  # Windows
        return []
    try:
        return termios.tcgetattr(0)
    except termios.error:
        return []


def _is_called_from_c(frame: FrameType | None) -> bool:
    while frame:
        if frame.f_code in _FROM_C:
            return True
        frame = frame.f_back
    return False


class Control:
    """Tells running work to stop, and why; `stop` is None until then.

    Used as a context manager in the main thread, it listens for Ctrl-C. The second Ctrl-C raises
    KeyboardInterrupt at once, unless C is waiting for one of our functions to return. The third
    ends a process that a C call keeps from seeing any of this.

    With `gently`, the first Ctrl-C, or SIGTERM, only lets nothing new begin (`is_leaving`); the
    next ones mean what they mean otherwise from the first on.
    """

    def __init__(self, *, gently: bool = False) -> None:
        self.stop: Stop | None = None
        self.is_leaving = False
        self._gently = gently
        # A C string, empty or "!", whose address llama.cpp is given: it is changed, never
        # replaced.
        self._flag = ctypes.create_string_buffer(2)
        self._presses = 0
        self._seen = 0.0  # when the last one was
        self._heard = 0  # by the listener, which hears them while C is busy
        self._restore: list[Any] = []

    def set(self, stop: Stop) -> None:
        """Ask for the end; the first reason counts."""
        self.is_leaving = True
        if self.stop is None:
            self.stop = stop
            self._flag[0] = b"!"

    def reset(self) -> Control:
        """Forget earlier requests to stop, before the next piece of work."""
        self.stop = None
        self.is_leaving = False
        self._flag[0] = b"\0"
        self._presses = self._heard = 0
        return self

    @property
    def is_urgent(self) -> bool:
        """Was Ctrl-C pressed once more than was needed?"""
        return self._presses > 1 + self._gently

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self._presses:
            raise KeyboardInterrupt

    @contextmanager
    def alarm(self, seconds: float | None) -> Iterator[None]:
        """Interrupt a C call in this block after so many seconds; None: never."""
        if seconds is None:
            yield
            return
        # A Timer refuses to wait longer than TIMEOUT_MAX.
        timer = threading.Timer(min(max(0.0, seconds), threading.TIMEOUT_MAX), self._ring)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # one that is ringing now would set the flag after the next line
            self._flag[0] = b"\0" if self.stop is None else b"!"  # Ctrl-C came meanwhile: it stays

    def callback(self, callback_type: Any) -> tuple[Any, Any]:
        """(function, data) for `llama_context_params.abort_callback`.

        The function is libc's strlen: its result is true as soon as the flag's first byte is set. A
        Python function instead would be called for every node of every graph.
        """
        # CDLL(None), the symbols of this process, exists on POSIX only. Elsewhere a C call runs
        # to its end.
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
            handlers, wakeup, listener, writer = self._restore
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            # Only now, as no signal writes to it any more. The listener sees the end of the pipe
            # and returns.
            os.close(writer)
            listener.join()  # a byte read after the next reset would stop the wrong piece of work
            self._restore = []

    def _listen(self) -> None:
        if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
            return  # ignored on purpose by who started the program: nohup, `&` in a script
        reader, writer = os.pipe()
        os.set_blocking(writer, False)  # set_wakeup_fd accepts no other
        caught = [signal.SIGINT, *([signal.SIGTERM] if self._gently else [])]
        handlers = {number: signal.signal(number, self._pressed) for number in caught}
        wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        listener = threading.Thread(target=self._wait, args=[reader], daemon=True)
        self._restore = [handlers, wakeup, listener, writer]
        listener.start()

    def _wait(self, reader: int) -> None:
        while data := os.read(reader, 1):
            if data[0] == signal.SIGINT or (data[0] == signal.SIGTERM and self._gently):
                self._heard += 1
                self._request(self._heard)
                if self._heard >= PATIENCE and self._is_deaf():
                    os.write(2, b"\n")  # the line that a bar or an answer began
                    os._exit(ExitCode.INTERRUPTED)
            elif data[0] in ENDING:
                self.set(Stop(StopReason.INTERRUPTED, signal.Signals(data[0]).name))
                _end_at_last(data[0])
        os.close(reader)

    def _is_deaf(self) -> bool:
        """Does Python not see what was pressed just now, because a C call does not return?"""
        pressed = time.monotonic()
        time.sleep(0.5)
        return self._seen < pressed - 0.25  # it may have seen it a little before us

    def _pressed(self, _signal: int, frame: FrameType | None) -> None:
        self._presses += 1
        self._seen = time.monotonic()
        self._request(self._presses)
        # Called from C: return, so that C returns as well; the flag ends the work.
        if _is_called_from_c(frame):
            return
        if self.is_urgent:
            raise KeyboardInterrupt

    def _request(self, presses: int) -> None:
        self.is_leaving = True
        if presses > self._gently:
            self.set(Stop(StopReason.INTERRUPTED, "Ctrl-C"))

    # An alarm sets the flag alone: not every answer must end because one deadline has passed.
    def _ring(self) -> None:
        self._flag[0] = b"!"
