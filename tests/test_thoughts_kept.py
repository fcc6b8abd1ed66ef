"""What a model thinks is kept apart from what it answers: in explanations, receipts and chats."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest
import script
from program import Done, Program
from rendering import Pipe
from speaker import write_speaker
from test_thinking import TEMPLATE, metadata

from llmparams_cli.backends.reply import Reply
from llmparams_cli.backends.words import Words
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.jobs.chat.choices import chosen
from llmparams_cli.jobs.chat.talk import Chat
from llmparams_cli.jobs.explain import near_stops
from llmparams_cli.params.settings import resolve
from llmparams_cli.protocol import Message, ModelInfo, Piece, Started, Token, Usage
from llmparams_cli.records.chats import entries, sessions
from llmparams_cli.records.chats.entries import Answered
from llmparams_cli.records.chats.journal import ChatJournal
from llmparams_cli.templates.marks import USUAL, marks_of
from llmparams_cli.text.speech import Marks

TEXTS = ("<think>\nI add.\n</think>\n\n4.", "<think>\nI multiply.\n</think>\n\n4.")


@pytest.fixture
def thinker(program: Program) -> Program:
    """The program with a model that thinks; the seed decides what."""
    program.variables["LLMPARAMS_MODEL"] = f"scripted:{script.write(program.place, *TEXTS)}"
    del program.variables["LLMPARAMS_THREADS"]
    return program


# --- which tokens are thoughts


def marked(text: str, marks: Marks = USUAL, prompt: str = "") -> list[tuple[str, bool]]:
    """The tokens of a text, and whether each is a thought or a mark."""
    words = Words(100)
    phase = marks.first_phase(prompt)
    started = Started(prompt, (1,), 1, ModelInfo("", "", 0, ""), 100, marks=marks, phase=phase)
    reply = Reply(resolve([]), started)
    for id in words.tokenize(text):
        reply.add(words, Token(id, words.text(id)))
    assert reply.reasoning_tokens == sum(token.is_thought for token in reply.marked)
    return [(token.text, token.is_thought) for token in reply.marked]


def split(text: str, *given: Any) -> tuple[str, str]:
    found = marked(text, *given)
    thought, said = (
        "".join(t for t, is_thought in found if is_thought is k) for k in (True, False)
    )
    return thought, said


def test_tokens_of_thoughts_and_of_their_marks_are_told_from_the_answers() -> None:
    assert split("<think>\nI add.\n</think>\n\n4 <b>") == ("<think>\nI add.\n</think>\n\n", "4 <b>")
    assert split("I add.</think>4", USUAL, "<think>\n") == ("I add.</think>", "4")
    assert split("<think>I add") == ("<think>I add", "")
    for plain in ("4.", " <b>4", "\n\n4"):
        assert split(plain) == ("", plain)


def test_the_turns_of_gpt_oss_are_told_apart() -> None:
    marks = marks_of("<|channel|>analysis")
    before = (
        "<|channel|>analysis<|message|>I add.<|end|><|start|>assistant<|channel|>final<|message|>"
    )
    assert split(before + "4.", marks) == (before, "4.")


# --- explain


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real model that thinks two tokens."""
    path = tmp_path_factory.mktemp("speaker") / "sums.gguf"
    return str(write_speaker(path, metadata(), TEMPLATE, "<think>I add</think>four</s>"))


@pytest.mark.real_model
def test_an_explanation_marks_thoughts_and_numbers_every_draw(
    program: Program, speaker: str
) -> None:
    call = ("explain", "Hi", "-m", speaker, "--seed", "1")
    data = program.call(*call, "--json").json
    assert (data["text"], data["reasoning"]) == ("four", "I add")
    assert [each.get("is_thought", False) for each in data["tokens"]] == [True] * 4 + [False] * 2
    assert [each["number"] for each in data["tokens"]] == [1, 2, 3, 4, 5, 6]
    rows = [line for line in program.call(*call).text.splitlines() if line[:4].strip().isdecimal()]
    assert [line.split()[1][:1] for line in rows] == ["│"] * 4 + ['"'] * 2
    assert "draw 3 of 6, a thought: " in program.call(*call, "--at", "3").text
    assert "draw 5 of 6: " in program.call(*call, "--at", "5").text
    page = program.call(*call, "--html", "-").text
    kept = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert kept["thoughts"] == [True] * 4 + [False] * 2


@pytest.mark.real_model
def test_a_what_if_tells_its_thoughts_apart_from_its_answer(program: Program, speaker: str) -> None:
    call = ("explain", "Hi", "-m", speaker, "--seed", "1", "-n", "4", "--continue")
    others = ("--what-if", "max_tokens=3", "--what-if", "max_tokens=-1")
    shorter, longer = program.call(*call, *others, "--json").json["what_if"]
    assert (shorter["text"], shorter["reasoning"]) == ("", "I add")
    assert (shorter["same_text"], shorter["ends_at"]) == ("<think> I add", 3)
    assert (longer["text"], longer["reasoning"]) == ("four", "I add")
    told = program.call(*call, *others).text.partition("with max_tokens 3:")[2]
    first, second = told.split("with max_tokens -1:")
    assert first.splitlines()[1] == "  (only thoughts)"
    assert second.splitlines()[1] == "  four"
    page = program.call(*call, *others, "--html", "-").text
    kept = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert [kept["text"], *(each["text"] for each in kept["what_if"])] == [
        "(only thoughts)", "(only thoughts)", "four"
    ]  # fmt: skip


def test_only_the_answer_can_come_near_a_stop_sequence() -> None:
    texts, thoughts = ["ab", "c", "ab", ""], [True, True, False]
    end = Stop(StopReason.END_OF_GENERATION, "")
    [near] = near_stops(texts, thoughts, ["abc"], end)
    assert (near.seen, near.at, near.number) == ("ab", 2, 3)
    [closed] = near_stops(texts, thoughts, ["c"], Stop(StopReason.STOP_SEQUENCE, "c"))
    assert (closed.matched, closed.seen, closed.number) == (True, "c", 2)


# --- receipts and the log


def receipt(program: Program, **changes: Any) -> str:
    """The receipt of a run with seed 0, changed afterwards."""
    program.call("generate", "2+2?", "--seed", "0", "--receipt", "run.json")
    path = program.place / "run.json"
    document = json.loads(path.read_text())
    assert (document["text"], document["reasoning"]) == ("4.", "I add.")
    for name, value in changes.items():
        document[name] = value
        if value is None:
            del document[name], document["checksums"][name]
    path.write_text(json.dumps(document))
    return "run.json"


def test_a_replay_compares_the_thoughts_too(thinker: Program) -> None:
    same = thinker.call("replay", receipt(thinker), "--json")
    assert (same.code, same.json["identical"]) == (0, True)
    assert same.json["reasoning"] == {"recorded": "I add.", "replayed": "I add."}
    other = thinker.call("replay", receipt(thinker), "--set", "seed=1", "--json")
    assert (other.code, other.json["text"]["replayed"]) == (8, "4.")
    assert other.json["parting"]["is_thought"] is True
    text = thinker.call("replay", "run.json", "--set", "seed=1").text
    assert "on, in its thoughts (" in text
    assert "recorded, up to end-of-generation:\n│ I add.\n\n4.\n" in text


def test_thoughts_that_were_edited_in_a_receipt_are_named(thinker: Program) -> None:
    done = thinker.call("replay", receipt(thinker, reasoning="I guess."), "--json")
    assert (done.code, done.json["identical"]) == (8, False)
    assert any(reason.startswith("reasoning: edited") for reason in done.json["reasons"])
    wrong = thinker.call("replay", receipt(thinker, reasoning=4)).complaint(2)
    assert "reasoning: 4 is not text" in wrong


def test_a_receipt_from_before_thoughts_were_apart_stays_valid(thinker: Program) -> None:
    before: dict[str, Any] = {"reasoning": None, "usage": {"completion_tokens": 9}}
    done = thinker.call("replay", receipt(thinker, **before, text=TEXTS[0]), "--json")
    assert (done.code, done.json["identical"]) == (0, True)
    assert done.json["reasoning"] == {"recorded": None, "replayed": "I add."}
    other = thinker.call("replay", receipt(thinker, **before, text="5."), "--json")
    assert other.json["identical"] is False
    # One that tells thoughts from the answer says with that that there were none.
    told = thinker.call("replay", receipt(thinker, reasoning=None, text=TEXTS[0]), "--json")
    assert (told.json["identical"], told.json["reasoning"]["recorded"]) == (False, "")


def test_without_thoughts_an_earlier_receipt_has_the_text_alone(program: Program) -> None:
    program.call("generate", "Hi", "-n", "3", "--receipt", "run.json")
    path = program.place / "run.json"
    document = json.loads(path.read_text())
    del document["usage"]["reasoning_tokens"]
    for text, identical in ((document["text"], True), ("x" + document["text"], False)):
        path.write_text(json.dumps({**document, "text": text}))
        assert program.call("replay", "run.json", "--json").json["identical"] is identical


def test_the_log_shows_thoughts_apart(thinker: Program) -> None:
    thinker.call("generate", "2+2?", "--seed", "0")
    shown = thinker.call("log", "show", "last").text
    assert shown.endswith("\nthoughts:\n│ I add.\n\nanswer:\n4.\n")
    assert " thought)" in shown
    [run] = thinker.call("log", "--json").json
    assert run["answer"] == "4."


# --- chats


def chat(program: Program, *lines: str, flags: tuple[str, ...] = ("--seed", "0")) -> Done:
    stdin = "".join(f"{line}\n" for line in lines).encode()
    return program.call("chat", *flags, stdin=stdin)


def answers(program: Program) -> list[dict[str, Any]]:
    [path] = (program.place / "state/chats").glob("*.jsonl")
    lines = map(json.loads, path.read_text().splitlines())
    return [line for line in lines if line["kind"] == "answer"]


def test_a_chat_keeps_thoughts_beside_answers(thinker: Program) -> None:
    assert chat(thinker, "2+2?", "Again?").text == "4.\n4.\n"
    for answer in answers(thinker):
        assert (answer["text"], answer["reasoning"]) == ("4.", "I add.")
        assert answer["usage"]["reasoning_tokens"] > 4
    done = chat(thinker, "/thoughts", "/retry", "/thoughts", flags=("--continue",))
    assert done.text == "│ I add.\n4.\n│ I multiply.\n"


def test_the_template_gets_earlier_thoughts(thinker: Program) -> None:
    chat(thinker, "2+2?", flags=("--session", "sums", "--seed", "0"))
    env = Pipe(variables=thinker.variables).env
    messages = sessions.transcript(env, "sums").messages("")
    assert messages[-1] == Message("assistant", "4.", "I add.")


def test_an_answer_without_thoughts_reads_and_writes_as_before() -> None:
    plain = Answered("4.", Stop(StopReason.END_OF_GENERATION, ""), 1, Usage(1, 2))
    line = json.loads(entries.encode(plain))
    assert "reasoning" not in line
    del line["usage"]["reasoning_tokens"]
    assert entries.decode(json.dumps(line).encode()) == plain
    line["reasoning"] = 4
    with pytest.raises(ValueError, match="'reasoning' is missing or no text"):
        entries.decode(json.dumps(line).encode())


def test_exports_have_thoughts_apart(thinker: Program) -> None:
    chat(thinker, "2+2?", "/export md chat.md", "/export json chat.json")
    markdown = (thinker.place / "chat.md").read_text()
    assert markdown.endswith("## Assistant\n\n**Thoughts**\n\n> I add.\n\n4.\n")
    *_, answer = json.loads((thinker.place / "chat.json").read_text())["messages"]
    assert (answer["content"], answer["reasoning"]) == ("4.", "I add.")


def test_a_chat_without_thoughts_says_so(thinker: Program) -> None:
    script.write(thinker.place, "4.")
    assert "nothing was thought" in chat(thinker, "2+2?", "/thoughts").stderr
    done = chat(thinker, "/thoughts aloud")
    assert "/thoughts: 'aloud' is neither show nor hide" in done.stderr and done.code == 2


def test_a_summary_has_no_thoughts(thinker: Program) -> None:
    script.write(thinker.place, "<think>\nWhat was said?\n</think>\n\nSums.")
    flags = ("--when-full", "summarize", "--context", "140", "-n", "20")
    long = " ".join(["word"] * 40)
    done = chat(thinker, long, long, long, flags=flags)
    assert done.code == 0, done.stderr
    [path] = (thinker.place / "state/chats").glob("*.jsonl")
    lines = map(json.loads, path.read_text().splitlines())
    summaries = [line.get("summary") for line in lines if line["kind"] == "out-of-view"]
    assert summaries == ["Sums."]


def test_ctrl_c_among_the_thoughts_keeps_them_and_the_next_turn_goes_on(thinker: Program) -> None:
    endless = "<think>\none" + " more" * 500
    script.write(thinker.place, endless, TEXTS[1], delay=0.03)
    session = thinker.terminal("chat", "2+2?", "--seed", "0", PROMPT_TOOLKIT_NO_CPR="1")
    session.wait_for("more")
    session.press_ctrl_c()
    session.wait_for("/retry asks again")
    session.wait_for("\x1b[?2004h")
    session.type("/retry\r")
    session.wait_for("end-of-generation")
    session.wait_for("\x1b[?2004h")
    session.press_ctrl_d()
    assert session.end().code == 0
    cut, whole = answers(thinker)
    assert (cut["text"], cut["stop"]) == ("", "interrupted")
    assert cut["reasoning"].startswith("one more") and cut["reasoning"].count("more") < 500
    # With those of the mark, which make no text.
    assert cut["usage"]["reasoning_tokens"] >= cut["reasoning"].count(" ") + len("<>\n1") + 1
    assert (whole["text"], whole["reasoning"]) == ("4.", "I multiply.")


def test_thoughts_of_an_answer_that_nobody_waits_for_are_kept(thinker: Program) -> None:
    env = Pipe(variables=thinker.variables).env
    choices = chosen(env, [], [], {"seed": "0"}, None)
    with closing(Chat(env, ChatJournal(None), choices, lambda *_: None)) as talk:
        talk.say("2+2?")
        with closing(talk.answer()) as events:
            for event in events:
                if isinstance(event, Piece) and event.text == " add":
                    break
        answer = talk.transcript.turns[-1].answer
    assert answer is not None
    assert (answer.text, answer.reasoning, answer.stop.reason.value) == ("", "I add", "interrupted")
    assert answer.usage.reasoning_tokens == 2


def test_hidden_thoughts_can_be_shown_while_a_chat_runs(thinker: Program) -> None:
    session = thinker.terminal("chat", "2+2?", "--hide-thinking", PROMPT_TOOLKIT_NO_CPR="1")
    session.wait_for("end-of-generation")
    session.wait_for("\x1b[?2004h")
    session.type("/thoughts show\r")
    session.wait_for("\x1b[?2004h")
    session.type("Again?\r")
    session.wait_for("end-of-generation")
    session.wait_for("\x1b[?2004h")
    session.press_ctrl_d()
    lines = session.end().lines
    shown = [place for place, line in enumerate(lines) if line.startswith("│ I ")]
    assert len(shown) == 1 and shown[0] > lines.index("thoughts are shown from here on")


def test_a_chat_that_only_thought_goes_on(thinker: Program) -> None:
    chat(thinker, "2+2?", flags=("-n", "8"))
    done = chat(thinker, "Again?", flags=("--continue", "-n", "100"))
    assert (done.code, done.text) == (0, "4.\n")
    assert [answer["text"] for answer in answers(thinker)] == ["", "4."]
