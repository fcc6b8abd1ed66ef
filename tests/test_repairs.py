"""Every message reaches the model: what a chat template drops or refuses is put elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import pytest
from models import write_llama
from program import Program

from llmparams_cli.errors import ExitCode, ModelError
from llmparams_cli.protocol import Message
from llmparams_cli.templates.repairs import Repairs, Template
from llmparams_cli.text.jinja import TooMuch

TURN = "<{{ m.role }}>{{ m.content }}<|end|>"
OWN = "{% for m in messages %}{% if %s %}" + TURN + "{% endif %}{% endfor %}<|assistant|>"
DROPS = OWN.replace("%s", "m.role != 'system'")
REFUSES = "{% if messages[0].role == 'system' %}{{ raise_exception('no role') }}{% endif %}" + DROPS
NO_EMPTY = (
    "{% for m in messages %}{% if m.role == 'assistant' and not m.content %}"
    "{{ raise_exception('empty') }}{% endif %}" + TURN + "{% endfor %}<|assistant|>"
)
KEEPS_ALL = OWN.replace("%s", "true")
NO_PLACE, NO_EMPTY_PLACE = "has no place for a system text", "has no place for an empty answer"


def model(program: Program, template: str | None, **metadata: object) -> str:
    return str(write_llama(program.place / "model.gguf", chat_template=template, metadata=metadata))


def asked(program: Program, template: str, text: str, *arguments: str) -> tuple[str, str]:
    """The prompt that a text becomes, and what was noted."""
    path = model(program, template)
    done = program.call("generate", text, "-m", path, "-n", "1", "--json", *arguments)
    assert done.code == 0, done.stderr
    return done.json["prompt"], done.stderr


@pytest.mark.parametrize("template", [DROPS, REFUSES])
def test_a_system_text_without_a_place_goes_before_the_message(
    program: Program, template: str
) -> None:
    prompt, notes = asked(program, template, "hi", "--system", "Be brief.")
    assert prompt == "<user>Be brief.\n\nhi<|end|><|assistant|>"
    assert notes.count(NO_PLACE) == 1


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        (KEEPS_ALL, "<system>x<|end|><user>hi<|end|><|assistant|>"),
        (KEEPS_ALL.replace("m.content", "m.content | upper"), None),
        (KEEPS_ALL.replace("m.content", "m.content | tojson"), None),
        (KEEPS_ALL.replace("m.content", "m.content.split('</think>')[-1] | trim"), None),
        # It looks at texts, so that no probe passes it.
        (
            "{% if messages[0].content != 'x' %}{{ raise_exception('') }}{% endif %}" + KEEPS_ALL,
            None,
        ),
    ],
)
def test_what_a_template_has_a_place_for_is_left_alone(
    program: Program, template: str, prompt: str | None
) -> None:
    made, notes = asked(program, template, "hi", "--system", "x")
    assert made.startswith("<system>") and "<user>" in made
    assert prompt in (made, None)
    assert "place" not in notes


def test_a_text_that_is_in_the_template_anyway_is_missed_all_the_same(program: Program) -> None:
    prompt, notes = asked(program, "Be brief. x " + DROPS, "hi", "--system", "x")
    assert prompt == "Be brief. x <user>x\n\nhi<|end|><|assistant|>"
    assert NO_PLACE in notes


def test_where_no_probe_passes_the_text_itself_is_looked_for(program: Program) -> None:
    looks = "{% if 'hi' not in messages[-1].content %}{{ raise_exception('') }}{% endif %}"
    prompt, notes = asked(program, looks + DROPS, "hi", "--system", "Be brief.")
    assert prompt == "<user>Be brief.\n\nhi<|end|><|assistant|>"
    assert NO_PLACE in notes
    quotes = KEEPS_ALL.replace("m.content", "m.content | tojson")
    prompt, notes = asked(program, looks + quotes, " hi\n", "--system", 'Be "brief".\n')
    assert prompt.startswith('<system>"Be \\"brief\\".') and "place" not in notes


def test_a_control_token_in_a_system_text_stays_text_before_the_message(program: Program) -> None:
    path = model(program, DROPS)

    def tokens(text: str) -> int:
        arguments = ("-m", path, "-n", "1", "--json", "--system", text)
        done = program.call("generate", "hi", *arguments)
        assert text in done.json["prompt"]
        return int(done.json["usage"]["prompt_tokens"])

    assert tokens("<|end|>") == tokens("<|enk|>")


def test_a_text_that_nothing_helps_is_refused(program: Program) -> None:
    path = model(program, "{{ messages[0].content }}")
    done = program.call("generate", "Where\x1b am I? " * 9, "-m", path, "--system", "Be brief.")
    assert done.code == 0 and NO_PLACE in done.stderr  # the first message has both
    path = model(program, "a fixed text{# of no message #}")
    line = program.call("generate", "Where\x1b am I? " * 9, "-m", path).complaint(ExitCode.MODEL)
    assert "drops a text: the user message 'Where\\x1b am I?" in line
    assert "--chat-template" in line and "--raw" not in line and len(line) < 200
    line = program.call("generate", "a<|end|>b", "-m", path).complaint(ExitCode.MODEL)
    assert "'a<|end|>b'" in line


def test_the_first_trouble_is_the_one_that_is_told(program: Program) -> None:
    path = model(program, "{{ raise_exception('on ' ~ messages | length) }}")
    line = program.call("generate", "hi", "-m", path, "--system", "x").complaint(ExitCode.MODEL)
    assert "on 2" in line


def test_an_empty_answer_does_not_end_a_chat(program: Program) -> None:
    path = model(program, NO_EMPTY)
    silent = ("-m", path, "--grammar", 'root ::= ""')
    done = program.call("chat", *silent, stdin=b"one\ntwo\nthree\n")
    assert done.code == 0, done.stderr
    assert done.text == "\n\n\n"
    assert done.stderr.count(NO_EMPTY_PLACE) == 1
    done = program.call("chat", "--continue", "-m", path, "-n", "2", stdin=b"four\n/tokens\n")
    assert done.code == 0, done.stderr


def test_the_messages_around_an_empty_answer_become_one() -> None:
    conversation = [
        Message("system", "S"),
        Message("user", "a"),
        Message("assistant", "", "a thought"),
        Message("user", "b"),
        Message("assistant", " \n"),
        Message("user", "c"),
        Message("assistant", "d"),
        Message("user", "e"),
    ]
    notes: list[str] = []

    def run(messages: Sequence[Message]) -> str:
        if any(m.role == "assistant" and not m.content.strip() for m in messages):
            raise ModelError("empty")
        return "|".join(m.content for m in messages if m.role != "system")

    text = Repairs().render(Template(run, "", str), conversation, notes.append)
    assert text == "S\n\na\n\nb\n\nc|d|e"
    assert [NO_PLACE in notes[0], NO_EMPTY_PLACE in notes[1]] == [True, True]


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
def test_nothing_is_noted_while_the_user_types(program: Program) -> None:
    """The last answer is read ahead then, in a prompt of its own."""
    path = model(program, NO_EMPTY)
    silent = ("-m", path, "--grammar", 'root ::= ""', "--no-save")
    session = program.terminal("chat", *silent, PROMPT_TOOLKIT_NO_CPR="1")
    ready = "\x1b[?2004h"  # with every prompt, the terminal is asked to mark what is pasted
    session.wait_for(ready)
    session.type("one\r")
    session.wait_for("answer 0")
    session.wait_for(ready)
    time.sleep(0.3)  # for what would come too early
    session.type("two\r")
    session.wait_for("answer 0")
    session.wait_for(ready)
    session.press_ctrl_d()
    lines = session.end().lines
    [noted] = [place for place, line in enumerate(lines) if NO_EMPTY_PLACE in line]
    assert lines.index("> two") < noted


class Counting:
    """A template without a system role that counts how often it is run."""

    def __init__(self) -> None:
        self.runs = 0
        self.repairs = Repairs()

    def __call__(self, *texts: str, about: str = "", reasoning: str = "") -> int:
        """How many runs it takes to say these texts: a system text, a message, an answer, …"""
        before = self.runs
        roles = ("system", "user", "assistant", "user")
        messages = [
            Message(role, text, reasoning if role == "assistant" else "")
            for role, text in zip(roles, texts, strict=False)
            if text
        ]
        template = Template(self.run, about, str)
        assert texts[1] in self.repairs.render(template, messages, lambda _note: None)
        return self.runs - before

    def run(self, messages: Sequence[Message]) -> str:
        self.runs += 1
        return "".join(m.content for m in messages if m.role != "system")


def test_only_the_first_conversation_of_a_shape_is_probed() -> None:
    runs = Counting()
    assert (runs("", "a"), runs("", "b"), runs("", "c")) == (2, 1, 1)
    assert (runs("s", "a"), runs("t", "b")) == (2, 1)  # put before it: the same shape again
    assert (runs("", "a", "b", "c"), runs("", "d", "e", "f")) == (2, 1)
    assert (runs("", "a", "b", "c", reasoning="r"), runs("", "a", "b", "c", reasoning="r")) == (
        2,
        1,
    )
    assert (runs("", "a", about="thinking"), runs("", "b", about="thinking")) == (2, 1)


def test_past_thoughts_may_be_dropped() -> None:
    assert Counting()("", "a", "b", "c", reasoning="because") == 2


def test_a_template_that_takes_for_ever_is_not_tried_again() -> None:
    runs = []

    def run(messages: Sequence[Message]) -> str:
        runs.append(messages)
        raise ModelError("late") from TooMuch()

    with pytest.raises(ModelError, match="late"):
        Repairs().render(
            Template(run, "", str), [Message("system", "s"), Message("user", "a")], print
        )
    assert len(runs) == 1


# --- no template


def test_a_model_without_a_template_says_so_once(program: Program) -> None:
    path = model(program, None)
    once = "this model has no chat template"
    done = program.call("generate", "hi", "-m", path, "-n", "1")
    assert done.stderr.count(once) == 1 and "system text" not in done.stderr
    done = program.call("chat", "-m", path, "-n", "1", stdin=b"one\ntwo\nthree\n")
    assert done.stderr.count(once) == 1 and "system text" not in done.stderr
    assert done.stderr.index(once) < done.stderr.index("cut off")  # of the first turn
    assert once not in program.call("generate", "hi", "-m", path, "-n", "1", "--raw").stderr
    assert once not in program.call("generate", "hi", "-m", path, "-n", "1", "-q").stderr
    assert "template" not in program.call("generate", "Once upon a time", "-n", "1").stderr


@pytest.mark.parametrize("arguments", [(), ("--raw",)])
def test_an_end_token_that_the_file_wants_after_every_text_is_left_out(
    program: Program, arguments: tuple[str, ...]
) -> None:
    path = model(program, None, **{"tokenizer.ggml.add_eos_token": True})
    done = program.call("generate", "ab", "-m", path, "-n", "1", "--json", *arguments)
    assert done.json["usage"]["prompt_tokens"] == 2
    assert done.stderr.count("add_eos_token") == 1
    model(program, None)
    assert "add_eos_token" not in program.call("generate", "ab", "-m", path, "-n", "1").stderr
