"""In a pipe: the answer and nothing else, whatever the encoding."""

from __future__ import annotations

import contextlib
import io
import os

import pytest
from rendering import Pipe, Terminal, by_flag, play, settings, token

from llmparams_cli.env import Environment
from llmparams_cli.protocol import Stop, StopReason
from llmparams_cli.render.plain import PlainRenderer

HELLO = [token("Hello", 0.9), token(" w\x1b[31morld\r\n", 0.5), token("ö\u202e狐", 0.1)]
MAX_TOKENS = Stop(StopReason.MAX_TOKENS, "3 tokens")


def test_stdout_gets_every_byte_of_the_answer_and_no_other() -> None:
    pipe = Pipe()
    play(PlainRenderer(pipe.env, settings(), newline=False), HELLO)
    assert pipe.stdout == "Hello w\x1b[31morld\r\nö\u202e狐".encode()


def test_a_complete_answer_leaves_stderr_empty() -> None:
    pipe = Pipe()
    play(PlainRenderer(pipe.env, settings()), HELLO)
    assert pipe.stderr == ""


def test_each_piece_is_visible_before_the_next_is_made() -> None:
    pipe = Pipe()
    seen: list[bytes] = []

    class Watching(PlainRenderer):
        def piece(self, event):  # type: ignore[no-untyped-def]
            super().piece(event)
            seen.append(pipe.stdout)

    play(Watching(pipe.env, settings()), [token("a", 1), token("b", 1)])
    assert seen == [b"a", b"ab"]


@pytest.mark.parametrize(
    "reason", [r for r in StopReason if r.value not in ("end-of-generation", "stop-sequence")]
)
def test_a_cut_off_answer_is_said_on_stderr(reason: StopReason) -> None:
    pipe = Pipe()
    play(PlainRenderer(pipe.env, settings()), HELLO, stop=Stop(reason, "why"))
    assert pipe.stderr == f"llmparams: the answer was cut off: {reason.value} (why)\n"


def test_a_stop_sequence_is_no_cut_off() -> None:
    pipe = Pipe()
    play(PlainRenderer(pipe.env, settings()), HELLO, stop=Stop(StopReason.STOP_SEQUENCE, "."))
    assert pipe.stderr == ""


def test_quiet_keeps_stderr_empty() -> None:
    pipe = Pipe(quiet=True)
    play(PlainRenderer(pipe.env, settings()), HELLO, stop=MAX_TOKENS)
    assert pipe.stderr == ""


def test_verbose_puts_the_statistics_on_stderr() -> None:
    pipe = Pipe(verbose=True)
    play(PlainRenderer(pipe.env, settings()), HELLO)
    assert pipe.stderr == (
        "llmparams: 5 prompt + 3 completion = 8 tokens · 1.0 tokens/s · end-of-generation (</s>)"
        " · seed 42 · model fox · prompt 10.0 tokens/s · first token 0.750 s · load 0.250 s"
        " · context 2048\n"
    )


def with_stderr_on(terminal: Terminal, pipe: Pipe) -> Environment:
    pipe.env.stderr = terminal.env.stderr
    return pipe.env


def test_a_person_who_redirects_stdout_still_learns_the_drawn_seed() -> None:
    pipe, terminal = Pipe(), Terminal()
    play(PlainRenderer(with_stderr_on(terminal, pipe), settings()), HELLO)
    assert terminal.lines() == ["llmparams: seed 42"]


def test_a_chosen_seed_is_not_repeated() -> None:
    pipe, terminal = Pipe(), Terminal()
    chosen = settings(by_flag("seed", 42))
    play(PlainRenderer(with_stderr_on(terminal, pipe), chosen), HELLO)
    assert terminal.lines() == [""]


def test_characters_beyond_the_encoding_become_question_marks_and_that_is_said_once() -> None:
    pipe = Pipe(encoding="latin-1")
    play(PlainRenderer(pipe.env, settings()), [token("ö狐", 1), token("狐\udc80", 1)])
    assert pipe.stdout == b"\xf6???\n"
    assert pipe.stderr.count("lacks characters") == 1
    assert "iso8859-1" in pipe.stderr or "latin-1" in pipe.stderr


def test_a_reader_that_left_is_the_callers_to_handle() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stdout = os.fdopen(writing, "w", encoding="utf-8")
    renderer = PlainRenderer(Environment(stdout=stdout, stderr=io.StringIO()), settings())
    with pytest.raises(BrokenPipeError):
        play(renderer, HELLO)
    with contextlib.suppress(BrokenPipeError):
        stdout.close()
