"""Ctrl-C: the first asks for the end, the second does not wait; but C is never passed through."""

import ctypes
import signal

import pytest

from llmparams_cli.interrupt import Control, called_from_c


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
