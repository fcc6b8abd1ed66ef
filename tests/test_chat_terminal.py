"""A chat on a pseudo-terminal, and what becomes of it when it is interrupted or killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import termios
from typing import Any

import pytest
from program import Program, Session, wait_until

from llmparams_cli.commands.chat.slash import completions
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode

BACKENDS = ("llama", "scripted")  # see conftest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="terminals and signals of POSIX")

ENTER, ALT_ENTER, TAB, UP = "\r", "\x1b\r", "\t", "\x1b[A"
ENDLESS = ("--ignore-eos", "-n", "-1", "--context", "30000", "--temperature", "2")
PROMPT = "\x1b[?2004h"  # with every prompt, the terminal is asked to mark what is pasted
# The terminal of the tests answers no questions.
QUIET_TERMINAL: dict[str, Any] = {"PROMPT_TOOLKIT_NO_CPR": "1"}


def begin(program: Program, *flags: str, width: int = 80) -> Session:
    """A chat that waits for its first message."""
    session = program.terminal("chat", *flags, width=width, **QUIET_TERMINAL)
    session.wait_for("Ctrl-D leaves")
    session.wait_for(PROMPT)
    return session


def enter(session: Session, text: str, then: str = "") -> None:
    """Type a line, and wait for what comes of it, and for the next prompt."""
    session.type(text + ENTER)
    if then:
        session.wait_for(then)
    session.wait_for(PROMPT)


def entries(program: Program) -> list[dict[str, Any]]:
    [path] = program.place.glob("state/chats/*.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def test_a_conversation_at_a_terminal(program: Program) -> None:
    session = begin(program, "-n", "20", "--temperature", "0.9")
    enter(session, "What is top-k? " * 12, "answer ")
    enter(session, "/set temp 0.2")
    enter(session, "/sett x")
    enter(session, "And top-p?", "answer ")
    enter(session, "/undo")
    session.press_ctrl_d()
    shown = session.end()
    assert shown.code == 0
    text = "\n".join(shown.lines)
    for part in (
        "> What is top-k?",
        "temperature 0.9 → 0.2 (chat /set)",
        "did you mean /set?",
        "taken back: And top-p?",
        "llmparams chat --continue goes on",
    ):
        assert part in text
    kept = [int(count) for count in re.findall(r"prompt \d+ new \+ (\d+) kept", text)]
    assert kept[0] == 0 < kept[1]  # whole blocks of the first prompt
    assert [entry["kind"] for entry in entries(program)][-1] == "undo"
    assert any(line.endswith(" tokens/s · end-of-generation") or "max-tokens" in line
               for line in shown.lines)  # fmt: skip


@pytest.mark.parametrize("width", [80, 40])
def test_a_full_context_is_told_at_any_width(program: Program, width: int) -> None:
    session = begin(program, "--context", "256", "-n", "60", "--ignore-eos", width=width)
    for number in range(4):
        enter(session, f"Story {number}", "answer ")
    enter(session, "/tokens")
    session.press_ctrl_d()
    shown = session.end()
    assert shown.code == 0
    text = " ".join(" ".join(shown.lines).split())
    assert re.search(r"the context was full: the oldest \d turns? left the model's view", text)
    assert re.search(r"\d turns? out of the model's view", text)
    assert sum(entry.get("turns", 0) for entry in entries(program)) > 0
    received = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown.received).decode()
    asides = [line for line in received.split("\r\n") if re.search("░|new [+]|context was", line)]
    assert asides and max(map(len, asides)) <= width


@pytest.mark.script(delay=0.001)
def test_ctrl_c_stops_the_answer_and_not_the_chat(program: Program) -> None:
    session = begin(program, *ENDLESS, "--color-by", "probability")
    session.type("Go on for ever." + ENTER)
    session.wait_for("48;5")
    session.press_ctrl_c()
    session.wait_for("interrupted (Ctrl-C)")
    session.wait_for(PROMPT)
    session.type("half a line")
    session.wait_for("half a line")
    session.press_ctrl_c()  # at the prompt
    session.wait_for(PROMPT)
    enter(session, "/set max_tokens 3")
    enter(session, "And now?", "max-tokens (3 tokens)")
    session.press_ctrl_d()
    assert session.end().code == 0
    first, _ = (entry for entry in entries(program) if entry["kind"] == "answer")
    assert first["stop"] == "interrupted" and first["text"]
    said = [entry["text"] for entry in entries(program) if entry["kind"] == "message"]
    assert said == ["Go on for ever.", "And now?"]


@pytest.mark.real_model
@pytest.mark.parametrize(("presses", "told"), [(1, "nothing was answered"), (2, "interrupted")])
def test_ctrl_c_ends_the_reading_of_a_long_prompt(
    program: Program, presses: int, told: str
) -> None:
    (program.place / "long.txt").write_text("word " * 10_000)
    session = begin(program, "--system", "@long.txt", "--context", "30000", "--ubatch-size", "1")
    session.type("hi" + ENTER)
    wait_until(lambda: [e["kind"] for e in entries(program)][-1:] == ["message"])
    session.wait_for("reading")  # the progress bar: the library is at work
    for _ in range(presses):
        session.press_ctrl_c()
    session.wait_for(told)
    session.wait_for(PROMPT)
    enter(session, "/system Be brief.", "system text")
    enter(session, "/set max_tokens 3", "max_tokens")
    enter(session, "/retry", "max-tokens (3 tokens)")
    session.press_ctrl_d()
    assert session.end().code == 0
    assert [e["kind"] for e in entries(program)][-1] == "answer"


def test_lines_are_edited_completed_and_remembered(program: Program) -> None:
    session = begin(program, "-n", "3")
    session.type(f"one{ALT_ENTER}two\\{ENTER}three{ENTER}")
    session.wait_for("answer ")
    session.wait_for(PROMPT)
    session.type("\x1b[200~pasted\nlines\x1b[201~" + ENTER)
    session.wait_for("answer ")
    session.wait_for(PROMPT)
    session.type(f"/set top_k 7{ENTER}")
    session.wait_for("top_k 40 → 7")
    session.wait_for(PROMPT)
    session.type(f"/edit{ENTER}")
    session.wait_for("pasted")
    session.type(f" end{ENTER}")
    session.wait_for("answer ")
    session.wait_for(PROMPT)
    session.press_ctrl_d()
    assert session.end().code == 0
    said = [entry["text"] for entry in entries(program) if entry["kind"] == "message"]
    assert said == ["one\ntwo\nthree", "pasted\nlines", "pasted\nlines end"]
    again = program.terminal("chat", "--continue", "-n", "2", **QUIET_TERMINAL)
    again.wait_for("2 turns so far")
    again.wait_for(PROMPT)
    again.type(UP)  # the last message of the chat before
    again.wait_for("lines end")
    again.press_ctrl_c()
    again.wait_for(PROMPT)
    again.press_ctrl_d()
    assert again.end().code == 0


def test_what_can_come_next_is_offered(program: Program) -> None:
    (program.place / "state" / "chats").mkdir(parents=True)
    (program.place / "state" / "chats" / "mine.jsonl").write_text("x")
    env = Environment(variables=program.variables, directory=program.place)

    def offered(before: str) -> list[str]:
        return [text for text, _ in completions(env, before)]

    assert offered("/se") == ["/set"]
    assert offered("/set top_") == ["top_k", "top_p", "top_n_sigma"]
    assert offered("/set mmap ") == ["true", "false"]
    assert offered("/set flash_attention o") == ["on", "off"]
    assert offered("/preset legal") == ["legal-summary"]
    assert offered("/preset precise cr") == ["creative-chat"]
    assert offered("/load ") == ["mine"]
    assert offered("/export ") == ["md", "json"]
    assert "system" in offered("/unset ")
    assert offered("/help ") == offered("hello /s") == offered("/set top_k ") == []


@pytest.mark.script(delay=0.001)
@pytest.mark.parametrize("when", ["message", "answer"])
def test_a_killed_chat_goes_on(program: Program, when: str) -> None:
    """Killed while a prompt is read, or in the middle of an answer."""
    process = program.start("chat", "--session", "one", *ENDLESS, stdin=subprocess.PIPE)
    assert process.stdin and process.stdout
    process.stdin.write(b"/set max_tokens 4\nWhat is top-k?\n/set max_tokens -1\n")
    long = b"word " * 9000 if when == "message" else b"Go on for ever."
    process.stdin.write(b"/set ubatch_size 1\n" + long + b"\n")
    process.stdin.flush()
    process.stdout.readline()  # the first answer
    if when == "answer":
        process.stdout.read(20)
    else:
        wait_until(lambda: [e["kind"] for e in entries(program)].count("message") == 2)
    process.send_signal(signal.SIGKILL)
    program.end(process)
    assert [e["kind"] for e in entries(program)][-1] == "message"
    done = program.call("chat", "--continue", "-n", "3", stdin=b"/params ubatch_size\nhi\n")
    assert done.code == 0, done.stderr
    assert "one: 2 turns so far" in done.stderr
    assert "the last message has no answer yet: /retry asks for it" in done.stderr
    assert "ubatch_size 1 (chat /set)" in done.text
    kinds = [e["kind"] for e in entries(program)]
    assert kinds[-4:] == ["settings", "undo", "message", "answer"]


@pytest.mark.script(delay=0.001)
def test_ctrl_c_ends_a_script_and_keeps_what_was_written(program: Program) -> None:
    process = program.start("chat", *ENDLESS, stdin=subprocess.PIPE)
    assert process.stdin and process.stdout
    process.stdin.write(b"Go on for ever.\nnever asked\n")
    process.stdin.flush()
    process.stdout.read(20)
    process.send_signal(signal.SIGINT)
    done = program.end(process)
    assert done.code == ExitCode.INTERRUPTED
    *_, message, answer = entries(program)
    assert message["text"] == "Go on for ever."
    assert answer["stop"] == "interrupted" and answer["text"]


def test_a_reader_that_leaves_ends_the_chat_in_peace(program: Program) -> None:
    done = program.shell("yes hi | head -n 50 | llmparams chat -n 9 -q | head -n 1 | wc -l")
    assert done.text.split() == ["1"]
    assert done.stderr == ""


def test_what_a_session_says_cannot_take_over_the_terminal(program: Program) -> None:
    wild = "\x1b]0;title\x07\x1b[2J\u202e"
    program.call("chat", "--session", "one", "-n", "2", stdin=f"{wild}\n".encode())
    for flags in (("--session", "one"), ("list",)):
        session = program.terminal("chat", *flags, **QUIET_TERMINAL)
        if flags != ("list",):
            session.wait_for("so far")
            session.wait_for(PROMPT)
            enter(session, "/export md")
            session.press_ctrl_d()
        shown = session.end()
        assert "<1b>]0;title" in "".join(shown.lines)
        assert shown.screen.title == ""
        assert b"\x1b[2J" not in shown.received


def test_help_and_scripts_do_without_the_line_editor(program: Program) -> None:
    code = (
        "import sys; from llmparams_cli.cli import run; from llmparams_cli.env import Environment;"
        "run(sys.argv[1:], Environment()); print(*sys.modules, file=sys.stderr)"
    )
    for arguments in (["--help"], ["chat", "--help"], ["chat", "--no-save", "-n", "1"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            input="/set top_k 3\n",
            capture_output=True,
            text=True,
            check=True,
            env=program.variables,
            cwd=program.place,
        )
        assert "prompt_toolkit" not in done.stderr.split()


def test_a_command_where_a_message_is_edited(program: Program) -> None:
    session = begin(program, "-n", "3")
    enter(session, "Hello", "answer ")
    session.type(f"/edit{ENTER}")
    session.wait_for("edit> ")
    enter(session, "/tokens", "for the answer")  # behind the message, which stays
    session.type(f"/edit{ENTER}")
    session.wait_for("edit> ")
    enter(session, " and/or", "answer ")
    session.press_ctrl_d()
    assert session.end().code == 0
    said = [entry["text"] for entry in entries(program) if entry["kind"] == "message"]
    assert said == ["Hello", "Hello and/or"]


def below_a_shell(program: Program, command: str) -> Session:
    variables = program.variables | QUIET_TERMINAL
    return Session(("-c", command), variables, program.place, 80, "bash")


def test_a_conversation_whose_answers_go_into_a_pipe(program: Program) -> None:
    command = f'"{sys.executable}" -m llmparams_cli chat hello -n 3 | tee log'
    session = below_a_shell(program, command)
    session.wait_for(PROMPT)
    session.type("And you?" + ENTER)
    session.wait_for(PROMPT)
    session.press_ctrl_d()
    session.end()
    answers = [entry["text"] for entry in entries(program) if entry["kind"] == "answer"]
    assert (program.place / "log").read_text() == "".join(f"{text}\n" for text in answers)
    assert len(answers) == 2


def modes(session: Session) -> tuple[bool, bool]:
    """Does the terminal edit lines, and does it echo?"""
    local = termios.tcgetattr(session.terminal)[3]
    return bool(local & termios.ICANON), bool(local & termios.ECHO)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_prompt_leaves_the_terminal_as_it_was(program: Program, how: int) -> None:
    # The shell keeps the terminal open after the chat.
    command = f'"{sys.executable}" -m llmparams_cli chat -n 3; echo "left with $?"; read line'
    session = below_a_shell(program, command)
    session.wait_for("Ctrl-D leaves")
    session.wait_for(PROMPT)
    wait_until(lambda: modes(session) == (False, False))
    session.signal_the_program(how)
    session.wait_for(f"left with {128 + how}")
    assert modes(session) == (True, True)
    session.type("\n")
    session.end()


@pytest.mark.script(delay=0.001)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_an_answer_keeps_what_there_is(program: Program, how: int) -> None:
    process = program.start("chat", *ENDLESS, stdin=subprocess.PIPE)
    assert process.stdin and process.stdout
    process.stdin.write(b"Go on for ever.\n")
    process.stdin.flush()
    process.stdout.read(20)
    process.send_signal(how)
    assert program.end(process).code == -how
    *_, message, answer = entries(program)
    assert message["text"] == "Go on for ever."
    assert answer["stop"] == "interrupted" and answer["text"]


def test_ctrl_z_stops_the_program_and_fg_goes_on(program: Program) -> None:
    command = f'set -m; "{sys.executable}" -m llmparams_cli chat -n 3; echo "held: $?"; fg'
    session = below_a_shell(program, command)
    session.wait_for("Ctrl-D leaves")
    session.wait_for(PROMPT)
    session.type("half a")
    session.wait_for("half a")
    session.type("\x1a")
    session.wait_for("held: 148")
    session.wait_for("half a")
    enter(session, " line", "answer ")
    session.press_ctrl_d()
    session.end()
    assert [e["text"] for e in entries(program) if e["kind"] == "message"] == ["half a line"]
