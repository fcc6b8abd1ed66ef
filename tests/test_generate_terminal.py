"""The program on a pseudo-terminal, as a person sees it."""

from __future__ import annotations

from program import Program

from llmparams_cli.errors import ExitCode

STORY = ("generate", "Once upon a time", "--seed", "1", "-n", "24")


def test_prompt_answer_and_one_line_of_statistics(program: Program) -> None:
    shown = program.terminal(*STORY, width=120).end()
    assert shown.code == 0
    assert "Once upon a time" in shown.lines
    statistics = shown.lines[-1]
    for part in ("prompt + 24 completion", "tokens/s", "max-tokens (24 tokens)", "seed 1"):
        assert part in statistics
    assert b"\x1b[2m" in shown.received and b"\x1b[1m" in shown.received  # dim, bright


def test_every_token_is_coloured_and_explained(program: Program) -> None:
    for by in ("probability", "entropy"):
        shown = program.terminal(*STORY, "--color-by", by).end()
        answer = shown.lines.index("Once upon a time") + 2
        assert len(shown.backgrounds(answer)) > 1
        assert any(line.startswith(by) for line in shown.lines)


def test_no_color_is_respected(program: Program) -> None:
    shown = program.terminal(*STORY, NO_COLOR="1").end()
    assert b"\x1b[" not in shown.received


def test_a_narrow_terminal_that_knows_only_ascii(program: Program) -> None:
    shown = program.terminal(*STORY, width=40, LC_ALL="C", PYTHONUTF8="0").end(encoding="ascii")
    assert shown.code == 0
    assert max(map(len, shown.lines)) <= 40


def test_ctrl_c_keeps_what_was_written(program: Program) -> None:
    endless = ("generate", "hi", "-n", "-1", "--ignore-eos", "--context", "30000")
    session = program.terminal(*endless, "--temperature", "2", width=200)
    session.wait_for("\x1b[1m")  # the answer has begun
    session.press_ctrl_c()
    shown = session.end()
    assert shown.code == ExitCode.INTERRUPTED
    assert "interrupted (Ctrl-C)" in "".join(shown.lines)
