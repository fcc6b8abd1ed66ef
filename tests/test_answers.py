"""What every command makes of how an answer ends: nothing stays open, whoever ended it."""

from __future__ import annotations

import pytest
from asked import SHORT, raw

from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import all_whole, scored, whole
from llmparams_cli.jobs.explain import watching, with_effects
from llmparams_cli.protocol import Finished, Passage, Scored, Started, Timing, Usage

CTRL_C = Stop(StopReason.INTERRUPTED, "Ctrl-C")


class Kept:
    """As much of a trace as is asked for here."""

    closed = False

    def effects(self, report):
        raise AssertionError("nobody waits for them")

    def close(self):
        self.closed = True


@pytest.fixture
def interrupted():
    return Finished("", CTRL_C, Usage(1, 0), Timing(0, 0, 0, 0), trace=Kept())


def test_the_trace_of_an_answer_that_ctrl_c_ended_is_closed(interrupted):
    with pytest.raises(KeyboardInterrupt):
        whole(interrupted)
    assert interrupted.trace.closed


def test_after_ctrl_c_no_setting_is_tried_otherwise(interrupted):
    watched = watching(Control(), lambda _what, _done: None)
    assert with_effects(interrupted, watched) is interrupted
    assert interrupted.trace.closed


def test_ctrl_c_before_all_have_started_leaves_no_part_of_the_answers(backend):
    backend.test_control.set(CTRL_C)
    with pytest.raises(KeyboardInterrupt):
        list(all_whole(backend, [raw(SHORT), raw(SHORT)]))


@pytest.mark.parametrize("stop", [None, Stop(StopReason.TIME_LIMIT, "1 s"), CTRL_C])
def test_what_was_scored_is_closed_if_ctrl_c_ended_it(stop):
    trace = Kept()

    class Backend:
        def score(self, passages):
            yield 0, Scored(Started("", (0,), 0, None, 8), trace, stop)

    if stop is CTRL_C:
        with pytest.raises(KeyboardInterrupt):
            scored(Backend(), Passage(raw(SHORT), "x"))
    else:
        assert scored(Backend(), Passage(raw(SHORT), "x")).trace is trace
    assert trace.closed == (stop is CTRL_C)
