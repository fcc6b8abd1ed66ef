"""What a person sees, on a real pseudo-terminal."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_with
from hypothesis import strategies as st
from program import wait_until
from rendering import END, Pipe, Terminal, play, settings, token

from llmparams_cli.protocol import Stop, StopReason, Token
from llmparams_cli.render.choose import choose
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.render.terminal import columns
from llmparams_cli.render.words import Words

STORY = [token("Once", 0.95), token(" a", 0.8), token(" fox", 0.6), token(" sat.", 0.4)]
STATISTICS = (
    "5 prompt + 4 completion = 9 tokens · 1.5 tokens/s · end-of-generation (</s>)"
    " · seed 42 · model fox"
)


def show(
    terminal: Terminal,
    tokens: list[Token] = STORY,
    *,
    prompt: str = "Tell me",
    stop: Stop = END,
    name: str = "fox",
    **options: Any,
) -> Terminal:
    renderer = choose(terminal.env, settings=settings(), prompt=prompt, **options)
    play(renderer, tokens, name=name, stop=stop)
    return terminal


def test_prompt_answer_and_one_line_of_statistics() -> None:
    assert show(Terminal(120)).lines() == ["Tell me", "", "Once a fox sat.", "", STATISTICS]


def test_prompt_and_statistics_are_dim_and_the_answer_is_plain() -> None:
    received = show(Terminal(120)).bytes().decode()
    assert "\x1b[2mTell me\x1b[0m" in received
    assert "\r\n\r\nOnce a fox sat.\r\n" in received
    assert f"\x1b[2m{STATISTICS}\x1b[0m" in received


@pytest.mark.parametrize(
    ("variables", "color"),
    [({"NO_COLOR": "1"}, "auto"), ({"TERM": "dumb"}, "auto"), ({"TERM": "xterm"}, "never")],
)
def test_without_colour_no_escape_sequence_is_sent(variables: dict[str, str], color: str) -> None:
    received = show(Terminal(120, variables=variables), color=color).bytes()
    assert b"\x1b" not in received
    assert received.decode().split("\r\n")[2] == "Once a fox sat."


def test_an_answer_without_a_template_continues_the_prompt() -> None:
    terminal = show(Terminal(120), [token(" a fox.", 1)], prompt="Once upon", continues=True)
    assert terminal.lines()[0] == "Once upon a fox."


def test_an_answer_that_ends_its_line_gets_no_second_newline() -> None:
    assert show(Terminal(120), [token("Yes.\n", 1)]).lines()[2:4] == ["Yes.", ""]


def test_statistics_break_between_items_at_40_columns() -> None:
    assert show(Terminal(40)).lines()[4:] == [
        "5 prompt + 4 completion = 9 tokens",
        "1.5 tokens/s · end-of-generation (</s>)",
        "seed 42 · model fox",
    ]


def test_only_the_answer_goes_to_stdout() -> None:
    log = Pipe()
    show(Terminal(stderr=log.env.stderr))  # type: ignore[arg-type]
    assert "Tell me" in log.stderr
    assert "\x1b" not in log.stderr
    terminal = Terminal(stderr=Pipe().env.stderr)  # type: ignore[arg-type]
    assert show(terminal).lines() == ["Once a fox sat."]


def test_forced_colour_in_a_pipe_adds_nothing_but_colour() -> None:
    pipe = Pipe()
    renderer = choose(pipe.env, settings=settings(), prompt="hi", color="always")
    play(renderer, STORY)
    assert re.sub(rb"\x1b\[[\d;]*m", b"", pipe.stdout) == b"Once a fox sat.\n"


def test_quiet_leaves_only_the_answer() -> None:
    assert show(Terminal(quiet=True), color_by="entropy").lines() == ["Once a fox sat."]


def test_verbose_adds_times_and_the_context() -> None:
    text = " ".join(show(Terminal(120, verbose=True)).lines())
    assert "first token 0.750 s · load 0.250 s · context 2048" in text


def test_a_long_prompt_is_shown_by_its_beginning_and_end() -> None:
    document = "start " + "x" * 5000 + " end"
    text = "".join(show(Terminal(80, 60), prompt=document).lines())
    assert "start xxx" in text
    assert "[... 3,810 characters not shown ...]" in text
    assert "xxx end" in text


def test_lines_break_between_words_and_no_newline_is_copied() -> None:
    text = "Once upon a time there was a fox who lived in a den under the old oak."
    tokens = [token(part, 0.9) for part in re.findall(" ?[a-z]{1,3}|.", text)]
    terminal = show(Terminal(30), tokens, prompt=text)
    broken = ["Once upon a time there was a", "fox who lived in a den under", "the old oak."]
    assert terminal.lines()[:7] == [*broken, "", *broken]
    received = re.sub(r"\x1b\[\d*m", "", terminal.bytes().decode()).split("\r\n")
    assert [" ".join(line.split()) for line in received[:3]] == [text, "", text]


@pytest.mark.parametrize("tail", ["", " then", "\n"])
def test_a_word_that_fits_to_the_last_column_but_one_stays(tail: str) -> None:
    whole = show(Terminal(30), [token("x " * 12 + "fiver" + tail, 1)], prompt="")
    assert whole.lines()[2] == "x " * 12 + "fiver"
    moved = show(Terminal(30), [token("x " * 12 + "sixers" + tail, 1)], prompt="")
    assert moved.lines()[2:4] == [("x " * 12).rstrip(), "sixers" + tail.rstrip("\n")]


def test_the_bar_appears_while_the_first_call_lasts_and_tells_the_rate() -> None:
    terminal = Terminal()
    with ProgressBar(terminal.env) as bar:
        bar("reading", 0.25, 3000)
        wait_until(lambda: "reading 3,000 tokens" in terminal.received())
        assert "/s" not in terminal.received()
        bar("reading", 0.5, 3000)
        wait_until(lambda: re.search(r"reading 3,000 tokens, \d+/s", terminal.received()))
        bar("reading", 1.0)
        bar("reading", 0.0, 9)
    bar("reading", 0.5, 77)  # after it, somebody may be typing
    terminal.env.stderr.flush()
    assert terminal.lines() == [""]
    assert not re.search("9 tokens|77 tokens", terminal.received())


def test_a_bar_outlasts_other_work_and_has_lines_above() -> None:
    terminal = Terminal()
    with ProgressBar(terminal.env) as bar:
        bar("searching", 0.25)
        bar.above = "the best so far\n"
        bar("reading", 0.5)
        wait_until(lambda: re.search("best so far.*searching.*reading", terminal.received(), re.S))
        bar("reading", 1.0)
        before = len(terminal.received())
        wait_until(lambda: "searching" in terminal.received()[before:])
        assert "reading" not in terminal.received()[before:].rpartition("searching")[2]
        bar("searching", 1.0)
    terminal.env.stderr.flush()
    assert terminal.lines() == [""]


def test_a_word_is_held_back_only_where_it_may_not_fit() -> None:
    words = Words(80)
    assert words.feed("a lo") == [("a lo", "0")]
    assert words.feed("ng" + " " * 50) == [("ng" + " " * 50, "0")]
    assert words.feed("b" * 20) == []
    assert words.feed("b" * 4, "1") == [(" " * 24 + "b" * 20, "0"), ("b" * 4, "1")]
    assert words.feed("b" * 99) == [("b" * 99, "0")]  # longer than a line: shown as it comes


def test_where_no_terminal_breaks_lines_nothing_is_laid_out() -> None:
    text = "word " * 30
    for terminal in (Terminal(0), Terminal(30, variables={"TERM": "dumb"})):
        assert text in show(terminal, [token(text, 1)]).bytes().decode()
    pipe = Pipe()
    play(choose(pipe.env, settings=settings(), prompt="hi", color="always"), [token(text, 1)])
    assert text.encode() in pipe.stdout


def test_what_continues_a_prompt_is_broken_together_with_it() -> None:
    terminal = show(
        Terminal(30),
        [token("on a t", 1), token("ime.", 1)],
        prompt="x " * 9 + "Once up",
        continues=True,
    )
    assert terminal.lines()[:2] == ["x " * 9 + "Once upon a", "time."]


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b5A\r\x08\u202egnp.exe"


def test_nothing_that_a_model_file_prompt_or_stop_says_acts_on_the_terminal() -> None:
    terminal = Terminal(200)
    stop = Stop(StopReason.STOP_SEQUENCE, HOSTILE)
    show(terminal, [token(HOSTILE, 0.5)], prompt=HOSTILE, stop=stop, name=HOSTILE)
    shown = "<1b>[2J<1b>]0;owned<07><9b>5A<0d><08><202e>gnp.exe"
    lines = terminal.lines()
    assert lines[0] == lines[2] == shown
    assert f'stop-sequence ("{shown}")' in " ".join(lines[4:])
    assert f"model {shown}" in " ".join(lines[4:])
    codes = set(re.findall(rb"\x1b(?!\[[\d;]*m).", terminal.bytes()))
    assert codes == set()


def test_an_escape_sequence_split_over_tokens_stays_text() -> None:
    halves = [token("\x1b", 1), token("[31mred", 1)]
    assert show(Terminal(120), halves).lines()[2] == "<1b>[31mred"


def test_a_terminal_without_utf_8_gets_question_marks_and_plain_separators() -> None:
    terminal = show(Terminal(120, encoding="ascii"), [token("Größe", 1)], prompt="Maß?")
    lines = terminal.lines()
    assert lines[0] == "Ma??"
    assert lines[2] == "Gr??e"
    assert " | seed 42 | model fox" in lines[4]
    assert "ascii, lacks characters" in lines[5]


def backgrounds(terminal: Terminal, line: int, width: int) -> list[str]:
    cells = terminal.screen().buffer[line]
    return [cells[column].bg for column in range(width)]


def test_every_token_has_the_colour_of_its_probability() -> None:
    tokens = [token(str(i), p) for i, p in enumerate([0.95, 0.9, 0.7, 0.5, 0.3, 0.1, 0.05])]
    colors = backgrounds(show(Terminal(), tokens, color_by="probability"), 2, 8)
    assert len(set(colors[:7])) == 6
    assert colors[0] == colors[1]
    assert colors[7] == "default"


def test_every_token_has_the_colour_of_its_entropy() -> None:
    tokens = [token(str(i), 0.5, e) for i, e in enumerate([0.0, 0.49, 0.5, 1.0, 2.0, 3.0, 4.0])]
    colors = backgrounds(show(Terminal(), tokens, color_by="entropy"), 2, 8)
    assert len(set(colors[:7])) == 6
    assert colors[0] == colors[1]


def test_the_legend_has_the_colours_of_the_tokens_from_expected_to_surprising() -> None:
    tokens = [token(str(i), p) for i, p in enumerate([0.95, 0.8, 0.6, 0.4, 0.2, 0.05])]
    terminal = show(Terminal(), tokens, color_by="probability")
    lines = terminal.lines()
    assert lines[4] == "probability in the model's own distribution"
    assert lines[5].split("  ") == [" 90% or more", "70%", "50%", "30%", "10%", "less"]
    buffer = terminal.screen().buffer
    words = ["90% or more", "70%", "50%", "30%", "10%", "less"]
    legend = [buffer[5][lines[5].index(word)].bg for word in words]
    assert legend == [buffer[2][column].bg for column in range(6)]


def test_a_terminal_of_16_colours_gets_six_of_them() -> None:
    tokens = [token(str(i), p) for i, p in enumerate([0.95, 0.8, 0.6, 0.4, 0.2, 0.05])]
    terminal = show(Terminal(variables={"TERM": "linux"}), tokens, color_by="probability")
    assert b"48;5" not in terminal.bytes()
    assert len(set(backgrounds(terminal, 2, 6))) == 6


def test_the_legend_breaks_between_items_at_30_columns() -> None:
    lines = show(Terminal(30), color_by="probability").lines()
    assert [line.strip() for line in lines[4:8]] == [
        "probability in the model's own",
        "distribution",
        "90% or more  70%  50%  30%",
        "10%  less",
    ]


def test_a_token_without_numbers_is_shown_without_a_background() -> None:
    terminal = show(Terminal(), [Token(1, "x"), token("y", 0.5)], color_by="entropy")
    assert backgrounds(terminal, 2, 2)[0] == "default"
    assert terminal.lines()[2] == "xy"


# Without wide characters: pyte cuts them at the right edge, where terminals wrap them.
WORDS = st.lists(st.text("abé \u0301\n", min_size=1, max_size=9), min_size=1, max_size=12)


@given_with(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORDS, st.integers(6, 20))
def test_colouring_changes_no_character_on_the_screen(words: list[str], width: int) -> None:
    tokens = [token(word, 0.5) for word in words]
    plain = show(Terminal(width, 60, quiet=True), tokens)
    colored = show(Terminal(width, 60, quiet=True), tokens, color_by="probability")
    assert colored.lines() == plain.lines()


def test_a_wrapped_line_scrolls_in_before_its_colour_is_set() -> None:
    terminal = show(Terminal(4), [token("abcdef", 0.95)], color_by="probability", prompt="")
    assert b"abcd\x1b[0me\b\x1b[38;5;231;48;5;53mef" in terminal.bytes()


def test_a_wide_character_wraps_where_only_half_of_it_would_fit() -> None:
    terminal = show(Terminal(4), [token("abc漢d", 0.95)], color_by="probability", prompt="")
    assert "abc\x1b[0m漢\b\b\x1b[38;5;231;48;5;53m漢\x1b[0m" in terminal.bytes().decode()


def test_the_width_is_that_of_columns_the_terminal_or_80() -> None:
    terminal = Terminal(57)
    assert columns(terminal.env, terminal.env.stdout) == 57
    terminal.env.variables = {"COLUMNS": "33"}
    assert columns(terminal.env, terminal.env.stdout) == 33
    terminal.env.variables = {"COLUMNS": "0"}
    assert columns(terminal.env, terminal.env.stdout) == 57
    assert columns(terminal.env, io.StringIO()) == 80
    terminal.bytes()
    unsized = Terminal(0)
    assert columns(unsized.env, unsized.env.stdout) == 80
    unsized.bytes()
