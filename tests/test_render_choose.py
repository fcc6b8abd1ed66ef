"""The renderer follows from the format, the terminal and the colours."""

from __future__ import annotations

from typing import Any

import pytest
from rendering import Pipe, Terminal, play, settings, token

from llmparams_cli.render.choose import choose
from llmparams_cli.render.json_output import JsonRenderer, StreamJsonRenderer
from llmparams_cli.render.plain import PlainRenderer
from llmparams_cli.render.terminal import TerminalRenderer


def chosen(where: Pipe | Terminal, **options: Any) -> object:
    renderer = choose(where.env, settings=settings(), prompt="hi", **options)
    if isinstance(where, Terminal):
        where.bytes()
    return renderer


@pytest.mark.parametrize("where", [Pipe, Terminal])
def test_a_json_format_wins_over_terminal_and_colour(where: type[Pipe | Terminal]) -> None:
    assert isinstance(chosen(where(), output="json", color="always"), JsonRenderer)
    assert isinstance(chosen(where(), output="stream-json"), StreamJsonRenderer)


def test_a_terminal_gets_the_terminal_renderer_even_without_colour() -> None:
    assert isinstance(chosen(Terminal()), TerminalRenderer)
    assert isinstance(chosen(Terminal(), color="never"), TerminalRenderer)
    assert isinstance(chosen(Terminal(variables={"NO_COLOR": "1"})), TerminalRenderer)


def test_a_pipe_gets_the_plain_answer_unless_colour_is_forced() -> None:
    assert isinstance(chosen(Pipe()), PlainRenderer)
    assert isinstance(chosen(Pipe(), color="never"), PlainRenderer)
    assert isinstance(chosen(Pipe(), color="always"), TerminalRenderer)


def test_a_pipe_stays_exact_under_color_by_and_says_why() -> None:
    pipe = Pipe()
    renderer = chosen(pipe, color_by="entropy")
    assert isinstance(renderer, PlainRenderer)
    assert "--color-by entropy needs colours" in pipe.stderr
    assert "--color always" in pipe.stderr


def test_color_by_without_colour_says_so_and_prints_the_answer() -> None:
    terminal = Terminal(variables={"NO_COLOR": "1"})
    renderer = choose(terminal.env, settings=settings(), prompt="hi", color_by="probability")
    play(renderer, [token("yes", 0.5)])
    text = terminal.bytes().decode()
    assert "needs colours" in text
    assert "yes" in text
    assert "\x1b" not in text


def test_color_by_does_nothing_in_json_and_that_is_said() -> None:
    pipe = Pipe()
    chosen(pipe, output="json", color_by="entropy")
    assert "--logprobs" in pipe.stderr
    assert pipe.stdout == b""


def test_json_is_indented_for_a_person_and_one_line_for_a_pipe() -> None:
    terminal, pipe = Terminal(), Pipe()
    for where in (terminal, pipe):
        renderer = choose(where.env, settings=settings(), prompt="hi", output="json")
        play(renderer, [token("yes", 1)])
    assert terminal.bytes().startswith(b'{\r\n  "text": "yes",')
    assert pipe.stdout.startswith(b'{"text": "yes",')
