"""What a model thinks is apart from what it answers, wherever either is shown."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import script
from program import Program
from rendering import END, TIMING, Pipe, Terminal, settings, token

from llmparams_cli.protocol import Finished, ModelInfo, Piece, Started, Token, Usage
from llmparams_cli.render.choose import choose
from llmparams_cli.text.width import cells

THOUGHT = (
    "I add the two numbers, one after the other: two and two make four, which is even.\n\n"
    "Let me check that again."
)
SAID = "The answer is 4."
TEXT = f"<think>\n{THOUGHT}\n</think>\n\n{SAID}"
BAR = "│ "


@pytest.fixture
def thinker(program: Program) -> Program:
    """The program with a model that thinks."""
    program.variables["LLMPARAMS_MODEL"] = f"scripted:{script.write(program.place, TEXT)}"
    del program.variables["LLMPARAMS_THREADS"]
    return program


def tokens(text: str) -> list[Token]:
    """A token for each word, with the blank before it."""
    return [token(word, 0.95) for word in text.replace(" ", "\0 ").split("\0")]


def play(where: Terminal | Pipe, *parts: tuple[str, bool], **options: Any) -> None:
    """Send texts, each thought or said, through the renderer of a terminal or a pipe."""
    renderer = choose(where.env, settings=settings(), prompt="2+2?", **options)
    renderer.started(Started("2+2?", (1, 2), 42, ModelInfo("/m", "fox", 3, "F16"), 2048))
    drawn = [(each, is_thought) for text, is_thought in parts for each in tokens(text)]
    for each, is_thought in drawn:
        renderer.piece(Piece(each.text, each, is_thought))
    thought, said = ("".join(t.text for t, kind in drawn if kind is k) for k in (True, False))
    usage = Usage(2, len(drawn), reasoning_tokens=sum(is_thought for _, is_thought in drawn))
    own = tuple(each for each, _ in drawn)
    renderer.finished(Finished(said, END, usage, TIMING, own, reasoning=thought))


def both(where: Terminal | Pipe, **options: Any) -> None:
    play(where, (THOUGHT, True), (SAID, False), **options)


# --- on a terminal


@pytest.mark.parametrize("width", [14, 40, 80, 100])
def test_a_bar_stands_before_every_line_of_thoughts(width: int) -> None:
    terminal = Terminal(width, 40)
    both(terminal)
    lines = terminal.lines()
    assert lines[:2] == ["2+2?", ""]
    thought = [line for line in lines if line.startswith(BAR.strip())]
    assert lines[2 : 2 + len(thought)] == thought
    assert lines[2 + len(thought)] == ""
    assert lines[3 + len(thought)].startswith("The answer")
    # No word is broken, and none is lost.
    assert " ".join(line.removeprefix(BAR) for line in thought if line != "│").split() == (
        THOUGHT.split()
    )
    assert "│" in thought  # the empty line between two paragraphs
    assert all(cells(line) <= width for line in lines)


@pytest.mark.parametrize("width", [20, 21, 80])
def test_thoughts_in_wide_characters_and_long_words_keep_their_bars(width: int) -> None:
    text = "狐狸" * 40 + "\n\tx" + "y" * 50
    terminal = Terminal(width, 40)
    play(terminal, (text, True), ("4", False))
    lines = terminal.lines()[2:]
    thought = lines[: lines.index("")]
    assert all(line.startswith("│") for line in thought)
    seen = "".join(line.removeprefix("│") for line in thought)
    assert seen.replace(" ", "") == text.replace("\n", "").replace("\t", "")


def test_thoughts_are_dim_on_any_background() -> None:
    terminal = Terminal()
    both(terminal)
    assert f"\x1b[2m{BAR}\x1b[0m\x1b[2mI" in terminal.bytes().decode()
    screen = terminal.screen()
    assert screen.buffer[2][2].fg == "default"


@pytest.mark.parametrize(
    ("options", "variables"), [({"color": "never"}, {}), ({}, {"NO_COLOR": "1"})]
)
def test_without_colours_the_bar_tells_thoughts(
    options: dict[str, str], variables: dict[str, str]
) -> None:
    terminal = Terminal(variables={"TERM": "xterm", **variables})
    both(terminal, **options)
    assert b"\x1b" not in terminal.bytes()
    assert terminal.lines()[2].startswith(f"{BAR}I add")


def test_a_terminal_that_knows_only_ascii_has_a_bar_too() -> None:
    terminal = Terminal(encoding="ascii")
    both(terminal)
    assert terminal.lines()[2].startswith("| I add")


def test_colours_of_tokens_are_those_of_thoughts_too() -> None:
    terminal = Terminal(40, 40)
    both(terminal, color_by="probability")
    screen = terminal.screen()
    buffer = screen.buffer
    said = next(row for row, line in enumerate(screen.display) if line.strip() == SAID)
    for row in (said, 3):  # 3: a line that the terminal broke
        assert buffer[row][4].bg != "default"
    assert buffer[3][0].bg == "default"  # the bar


def test_hidden_thoughts_are_a_count_that_vanishes() -> None:
    terminal = Terminal()
    both(terminal, hide_thinking=True)
    count = len(tokens(THOUGHT))
    raw = terminal.bytes().decode()
    assert "thinking … 1 tokens" in raw and f"thinking … {count} tokens" in raw
    assert "I add" not in raw
    lines = terminal.lines()
    assert lines[:3] == ["2+2?", "", SAID]
    assert not any("thinking" in line for line in lines)


@pytest.mark.parametrize("options", [{}, {"hide_thinking": True}])
def test_quiet_is_the_answer_alone(options: dict[str, Any]) -> None:
    terminal = Terminal(quiet=True)
    both(terminal, **options)
    assert terminal.lines() == [SAID]


def test_thoughts_after_the_answer_has_begun_are_apart_from_it() -> None:
    terminal = Terminal()
    play(terminal, ("One moment.", False), ("I add.", True), ("4.", False))
    assert terminal.lines()[2:7] == ["One moment.", "", f"{BAR}I add.", "", "4."]
    last = Terminal()
    play(last, ("One moment.", False), ("I add.", True))
    thought, gap, numbers = last.lines()[4:7]
    assert (thought, gap) == (f"{BAR}I add.", "") and numbers.startswith("2 prompt")


def test_thoughts_go_on_a_line_of_their_own_where_the_answer_would_continue_one() -> None:
    terminal = Terminal()
    play(terminal, ("I add.", True), ("4.", False), continues=True)
    assert terminal.lines()[:5] == ["2+2?", "", f"{BAR}I add.", "", "4."]


def test_the_statistics_tell_how_many_tokens_were_thought(thinker: Program) -> None:
    shown = thinker.terminal("generate", "2+2?", width=100).end()
    assert shown.lines[2].startswith(f"{BAR}I add the two numbers")
    assert SAID in shown.lines
    usage = thinker.call("generate", "2+2?", "--json").json["usage"]
    total, thought = usage["completion_tokens"], usage["reasoning_tokens"]
    assert f"+ {total} completion ({thought} thought) =" in "\n".join(shown.lines)


# --- in a pipe


def test_a_pipe_has_the_answer_alone(thinker: Program) -> None:
    done = thinker.call("generate", "2+2?")
    assert (done.text, done.stderr) == (f"{SAID}\n", "")
    verbose = thinker.call("generate", "2+2?", "--verbose")
    assert verbose.text == f"{SAID}\n"
    assert verbose.stderr.startswith(f"{BAR}I add the two numbers, one after the other: two and")
    assert f"{BAR}\n{BAR}Let me check that again.\n\n" in verbose.stderr
    hidden = thinker.call("generate", "2+2?", "--verbose", "--hide-thinking")
    assert "I add" not in hidden.stderr


@pytest.mark.parametrize(("options", "shown"), [({}, True), ({"hide_thinking": True}, False)])
def test_a_terminal_beside_a_pipe_shows_the_thoughts(options: dict[str, Any], shown: bool) -> None:
    pipe = Pipe()
    terminal = Terminal(stdout=pipe.env.stdout)
    both(terminal, **options)
    assert pipe.stdout.decode() == f"{SAID}\n"
    assert terminal.lines()[0].startswith(f"{BAR}I add" if shown else "llmparams: seed")


@pytest.mark.parametrize("verbose", [False, True])
def test_a_file_for_notes_gets_thoughts_only_if_asked(verbose: bool) -> None:
    pipe = Pipe()
    terminal = Terminal(stderr=pipe.env.stderr, verbose=verbose)
    both(terminal)
    assert ("I add" in pipe.stderr) is verbose
    assert terminal.lines() == [SAID]


# --- when thoughts leave no room for an answer


LIMITS = (
    (("-n", "7"), "after 7 tokens: --max-tokens allows more"),
    (("--context", "12"), "when the context was full: --context allows more"),
    (("--time-limit", "0.4"), "at the time limit: --time-limit allows more"),
)


@pytest.mark.parametrize(("flags", "told"), LIMITS)
def test_an_answer_that_was_only_thought_is_told_with_the_cure(
    thinker: Program, flags: tuple[str, ...], told: str
) -> None:
    script.write(thinker.place, TEXT, delay=0.02)
    done = thinker.call("generate", "2+2?", *flags)
    assert (done.code, done.stdout) == (0, b"")
    [line] = done.stderr.splitlines()
    assert line.startswith("llmparams: the model was still thinking after ") and told in line
    assert line.endswith("--max-thinking-tokens makes it answer sooner")


def test_a_model_that_ends_among_its_thoughts_is_told_of_too(thinker: Program) -> None:
    script.write(thinker.place, "<think>\nI add.")
    done = thinker.call("generate", "2+2?")
    assert (done.code, done.stdout) == (0, b"")
    assert (
        "thought and gave no answer: end-of-generation (<|end|>); try another seed" in done.stderr
    )
    stopped = thinker.call("generate", "2+2?", "--stop", "</think>", "--json")
    assert "gave no answer" in stopped.stderr and stopped.json["reasoning"] == "I add."


def test_an_empty_answer_of_a_model_that_does_not_think_is_a_line(thinker: Program) -> None:
    script.write(thinker.place, SAID)
    done = thinker.call("generate", "2+2?", "--stop", "The")
    assert (done.text, done.stderr) == ("\n", "")


def test_nothing_is_said_of_thoughts_that_an_answer_follows(thinker: Program) -> None:
    count = thinker.call("generate", "2+2?", "--json").json["usage"]["completion_tokens"]
    done = thinker.call("generate", "2+2?", "-n", str(count - 1))
    assert done.text == "The answer is 4\n"
    assert "was cut off: max-tokens" in done.stderr and "thinking" not in done.stderr


def test_json_notes_it_too_and_quiet_does_not(thinker: Program) -> None:
    for style in ("--json", "--stream-json"):
        done = thinker.call("generate", "2+2?", "-n", "7", style)
        assert done.events[-1]["text"] == "" and "still thinking" in done.stderr
    assert thinker.call("generate", "2+2?", "-n", "7", "-q").stderr == ""


def test_a_terminal_shows_the_thoughts_and_the_note(thinker: Program) -> None:
    shown = thinker.terminal("generate", "2+2?", "-n", "7", width=120).end()
    assert shown.lines[2:4] == [f"{BAR}I add the", ""]
    assert shown.lines[4].startswith("7 prompt + 7 completion (7 thought)")
    assert "--max-thinking-tokens makes it answer sooner" in " ".join(shown.lines[-2:])


def test_a_chat_tells_it_in_its_own_words(thinker: Program) -> None:
    done = thinker.call("chat", "--no-save", "-n", "7", stdin=b"2+2?\n")
    assert done.stdout == b"" and "still thinking after 7 tokens" in done.stderr
    session = thinker.terminal("chat", "2+2?", "--no-save", "-n", "7", PROMPT_TOOLKIT_NO_CPR="1")
    session.wait_for("/set max_thinking_tokens N")
    session.wait_for("\x1b[?2004h")
    session.press_ctrl_d()
    lines = session.end().lines
    assert f"{BAR}I add the" in lines
    assert any("answer 7 (7 thought)" in line for line in lines)


# --- JSON, and what is computed


def test_json_has_thoughts_beside_the_text(thinker: Program) -> None:
    result = thinker.call("generate", "2+2?", "--json", "--logprobs", "0").json
    assert (result["text"], result["reasoning"]) == (SAID, THOUGHT)
    usage = result["usage"]
    assert usage["completion_tokens"] == len(result["tokens"]) == usage["reasoning_tokens"] + 5
    said = [each["text"] for each in result["tokens"] if not each.get("is_thought")]
    assert "".join(said) == SAID
    script.write(thinker.place, SAID)
    plain = thinker.call("generate", "2+2?", "--json").json
    assert "reasoning" not in plain and plain["usage"]["reasoning_tokens"] == 0


def test_a_stream_of_json_tells_thoughts_by_their_event(thinker: Program) -> None:
    events = thinker.call("generate", "2+2?", "--stream-json").events
    for name, text in (("reasoning", THOUGHT), ("text", SAID)):
        assert "".join(each["text"] for each in events if each["event"] == name) == text
    assert [events[-1][name] for name in ("text", "reasoning")] == [SAID, THOUGHT]


def test_hiding_thoughts_in_json_is_said_to_do_nothing(thinker: Program) -> None:
    done = thinker.call("generate", "2+2?", "--json", "--hide-thinking")
    assert "--hide-thinking does nothing in JSON" in done.stderr
    assert done.json["reasoning"] == THOUGHT


def test_metrics_judge_the_answer_alone(thinker: Program) -> None:
    metrics = [
        word
        for text in ("length:5-5", "regex:^The answer", "regex:two numbers", "json")
        for word in ("--metric", text)
    ]
    grid = ("compare", "2+2?", "--grid", "max_tokens=7,200", *metrics)
    done = thinker.call(*grid, "--json")
    assert "1 of 2 answers: the model was still thinking after 7 tokens" in done.stderr
    unsaid, said = (each["samples"][0] for each in done.json["variants"])
    assert (said["text"], said["reasoning"], unsaid["text"]) == (SAID, THOUGHT, "")
    numbers = said["metrics"]
    assert (numbers["tokens"], numbers["length:5-5"]) == (5, 1)
    assert (numbers["regex:^The answer"], numbers["regex:two numbers"]) == (1, 0)
    assert numbers["thought"] == len(said["token_ids"]) - 5
    assert (unsaid["metrics"]["tokens"], unsaid["metrics"]["thought"]) == (0, 7)
    table = list(csv.DictReader(io.StringIO(thinker.call(*grid, "--csv").text)))
    assert [(row["text"], row["reasoning"]) for row in table] == [
        ("", "I add the"),
        (SAID, THOUGHT),
    ]
    text = thinker.call(*grid).text
    assert "max_tokens=7\n(only thoughts)\n" in text and f"max_tokens=200\n{SAID}\n" in text
    assert "I add" not in text.split("where they part")[0]


def test_answers_that_grow_side_by_side_show_thoughts_or_their_count(thinker: Program) -> None:
    script.write(thinker.place, TEXT, delay=0.01)
    grid = ("compare", "2+2?", "--grid", "max_tokens=80,200")
    shown = thinker.terminal(*grid).end().received
    assert b"\x1b[2mI add the" in shown
    hidden = thinker.terminal(*grid, "--hide-thinking").end().received
    assert b"I add" not in hidden and "thinking … ".encode() in hidden


def test_a_compared_answer_marks_its_thoughts_in_the_page(thinker: Program) -> None:
    page = thinker.call("compare", "2+2?", "--grid", "max_tokens=100,200", "--html", "-").text
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    answer = data["rounds"][0]["answers"][0]
    said = [data["pieces"][str(id)] for id, _ in answer["tokens"][len(answer["thoughts"]) :]]
    assert "".join(said) == SAID
    assert answer["thoughts"] == list(range(len(answer["thoughts"])))


TESTED = """
model: scripted:script.yaml
tests:
- name: the answer
  input: 2+2?
  seeds: [1]
  expect:
    contains: [The answer]
    lacks: [two numbers]
    matches: ^The answer
    tokens: {min: 5, max: 5}
    characters: {max: 16}
- name: the first
  input: 2+2?
  seeds: [1]
  expect:
    first: {text: The, min: 0.1}
"""


def test_tests_of_presets_judge_the_answer_alone(thinker: Program) -> None:
    (thinker.place / "sums.yaml").write_text(TESTED)
    done = thinker.call("presets", "test", "sums.yaml", "--json")
    whole, first = done.json["tests"]
    assert whole["passed"], whole
    assert whole["runs"][0]["reasoning"] == THOUGHT and whole["runs"][0]["tokens"] == 5
    [failure] = first["runs"][0]["failures"]
    assert failure.startswith("first: the model thought before it answered")
