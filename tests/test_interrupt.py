"""Ctrl-C: the first asks for the end, the second does not wait; but C is never passed through."""

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control, called_from_c
from llmparams_cli.jobs.chat.loaded import LoadedModel
from llmparams_cli.jobs.prepare import prepare
from llmparams_cli.protocol import Message, Request


def test_the_second_ctrl_c_raises_but_not_in_what_c_calls(capfd: pytest.CaptureFixture[str]):
    reached = []

    @called_from_c
    def callback():
        signal.raise_signal(signal.SIGINT)
        reached.append("end")

    from_c = ctypes.CFUNCTYPE(None)(callback)
    with Control() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.stop and interrupt.stop.detail == "Ctrl-C"
        from_c()
        assert reached == ["end"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_gently_the_first_one_only_lets_nothing_new_begin(number: signal.Signals):
    before = signal.getsignal(number)
    with Control(gently=True) as control:
        assert not control.is_leaving
        signal.raise_signal(number)
        assert control.is_leaving and control.stop is None and not control.is_urgent
        signal.raise_signal(number)
        assert control.stop and control.is_urgent is False
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_whoever_stops_begins_nothing_new():
    control = Control()
    assert not control.is_leaving
    control.set(Stop(StopReason.INTERRUPTED, "the client left"))
    assert control.is_leaving and not control.reset().is_leaving


def test_what_was_interrupted_can_be_interrupted_again():
    interrupt = Control()
    for _ in range(3):
        with interrupt.reset():
            assert interrupt.stop is None
            interrupt.check()
            signal.raise_signal(signal.SIGINT)  # the first one again: it does not raise
            assert interrupt.stop and interrupt.stop.detail == "Ctrl-C"
            with pytest.raises(KeyboardInterrupt):
                interrupt.check()


def test_the_first_reason_to_stop_stays():
    control = Control()
    control.set(Stop(StopReason.INTERRUPTED, "the client left"))
    control.set(Stop(StopReason.INTERRUPTED, "Ctrl-C"))
    assert control.stop and control.stop.detail == "the client left"


def test_c_is_told_to_return_by_an_alarm_and_by_a_wish_to_stop():
    control = Control()
    wants_end, data = control.callback(ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p))
    with control.alarm(0):
        while not wants_end(data):
            pass
    assert not wants_end(data)
    with control.alarm(60):
        control.set(Stop(StopReason.INTERRUPTED, "Ctrl-C"))
    assert wants_end(data), "the alarm that did not ring takes nothing back"
    control.reset()
    assert not wants_end(data)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc on this system")
def test_listening_to_ctrl_c_leaves_nothing_open():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with Control():
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_read_ahead_ends_in_the_middle_of_a_call(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for it, at Ctrl-C too, waits for no block of a slow model."""
    env = Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, quiet=True)
    model, prepared = LoadedModel(env, lambda _what, _done: None), prepare(env, [], {})
    given_up, reading = [], Event()
    decode = Context.decode

    def until_given_up(context: Context, *call: Any) -> bool:
        reading.set()
        for _ in range(1000):
            if not decode(context, *call):
                given_up.append(True)
                return False
        return True

    monkeypatch.setattr(Context, "decode", until_given_up)
    with closing(model):
        model.load(prepared, prepared.settings)
        request = Request((Message("user", "word " * 200),), prepared.settings)
        with pytest.raises(KeyboardInterrupt), model.reading_ahead(prepared, request):
            reading.wait()
            raise KeyboardInterrupt
    assert given_up


def test_the_third_ctrl_c_ends_a_process_that_is_deaf_in_c():
    code = (
        "import ctypes, os, signal, threading, time\n"
        "from llmparams_cli.interrupt import Control\n"
        "def press():\n"
        "    for _ in range(3):\n"
        "        time.sleep(0.2)\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "with Control():\n"
        "    threading.Thread(target=press).start()\n"
        "    mutex = ctypes.create_string_buffer(64)\n"
        "    libc = ctypes.CDLL(None)\n"
        "    libc.pthread_mutex_lock(mutex)\n"
        "    libc.pthread_mutex_lock(mutex)\n"  # never returns, and signals do not wake it up
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True)
    assert (done.returncode, done.stderr) == (130, b"\n")


def test_an_end_that_something_swallowed_comes_all_the_same():
    code = (
        "import os, signal, time\n"
        "from llmparams_cli import interrupt\n"
        "interrupt.GRACE = 0.3\n"
        "with interrupt.orderly_end():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(60)\n"
        "    except SystemExit:\n"
        "        time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=50, stdin=subprocess.DEVNULL)
    assert done.returncode == 128 + signal.SIGTERM
