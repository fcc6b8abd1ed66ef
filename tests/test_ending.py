"""When an answer ends: the first reason counts, and no text is lost or told twice."""

from __future__ import annotations

from llmparams_cli.ending import Ending, Stop, StopReason

LATE = Stop(StopReason.TIME_LIMIT, "1 s")


def test_an_answer_of_no_tokens_has_ended_before_it_begins() -> None:
    ending: Ending[int] = Ending([], 0)
    assert ending.stop == Stop(StopReason.MAX_TOKENS, "0 tokens")


def test_the_last_token_that_is_allowed_brings_its_text_along() -> None:
    ending: Ending[int] = Ending(["xyz"], 2)
    assert ending.add(b"abx", 1) == [("ab", 1, False)] and ending.stop is None
    assert ending.add(b"y", 2) == [("x", 1, False), ("y", 2, False)]
    assert ending.stop == Stop(StopReason.MAX_TOKENS, "2 tokens")


def test_what_was_held_back_is_told_at_the_end_and_once() -> None:
    ending: Ending[int] = Ending(["xyz"], -1)
    ending.add(b"abxy", 1)
    assert ending.end(LATE) == [("xy", 1, False)]
    assert ending.end(LATE) == []


def test_the_first_reason_stays() -> None:
    ending: Ending[int] = Ending(["xyz"], 1)
    assert ending.add(b"abxyzc", 1) == [("ab", 1, False)]
    assert ending.end(LATE) == ending.end_token("<end>") == []
    assert ending.stop == Stop(StopReason.STOP_SEQUENCE, "xyz")
