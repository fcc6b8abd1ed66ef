"""`llmparams chat` without a terminal: what is said, set, taken back, kept and restored."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from program import Done, Program

import llmparams_cli.commands.chat
from llmparams_cli.errors import ExitCode
from llmparams_cli.params.settings import Source

BACKENDS = ("llama", "scripted")  # see conftest

SHORT = ("-n", "12", "--temperature", "0")
DIRECTORY = "state/chats"


def chat(program: Program, *lines: str, flags: tuple[str, ...] = SHORT, **variables: str) -> Done:
    """Drive a chat by lines of standard input."""
    stdin = "".join(f"{line}\n" for line in lines).encode()
    return program.call("chat", *flags, stdin=stdin, **variables)


def entries(program: Program, name: str = "") -> list[dict[str, Any]]:
    """The lines of a chat's file; without a name, of the only one."""
    [path] = (program.place / DIRECTORY).glob(f"{name or '*'}.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def kinds(program: Program, name: str = "") -> list[str]:
    return [entry["kind"] for entry in entries(program, name)]


def of_kind(program: Program, kind: str, name: str = "") -> list[dict[str, Any]]:
    return [entry for entry in entries(program, name) if entry["kind"] == kind]


def exported(done: Done) -> dict[str, Any]:
    """The JSON at the end of the output."""
    document: dict[str, Any] = json.loads(done.text[done.text.index("{\n") :])
    return document


def test_what_is_set_in_a_chat_lies_above_everything_else() -> None:
    assert list(Source)[-3:] == [Source.FLAG, Source.ROW, Source.CHAT]


def test_every_line_is_a_message_and_gets_an_answer(program: Program) -> None:
    done = chat(program, "What is top-k?", "", "And top-p?")
    assert done.code == 0
    first, second = of_kind(program, "answer")
    assert done.text == f"{first['text']}\n{second['text']}\n"
    assert [m["text"] for m in of_kind(program, "message")] == ["What is top-k?", "And top-p?"]


def test_only_what_is_new_of_a_conversation_is_read(program: Program) -> None:
    long = "What is top-k? " * 12
    done = chat(program, long, "And top-p?", flags=(*SHORT, "--verbose"))
    first, second = (answer["usage"] for answer in of_kind(program, "answer"))
    assert first["cached_tokens"] == 0
    whole_blocks = (first["prompt_tokens"] - 1) // 64 * 64
    assert second["cached_tokens"] == whole_blocks > 0
    new = second["prompt_tokens"] - second["cached_tokens"]
    assert f"prompt {new} new + {second['cached_tokens']} kept" in done.stderr


def test_a_backslash_continues_a_line_and_two_slashes_begin_with_one(program: Program) -> None:
    chat(program, "one\\", "two", "//etc/hosts is what?")
    said = [message["text"] for message in of_kind(program, "message")]
    assert said == ["one\ntwo", "/etc/hosts is what?"]


def test_parameters_change_live_and_say_where_they_come_from(program: Program) -> None:
    done = chat(
        program,
        *("/set temp 0.2", "/params temperature", "/unset temperature", "/params temperature"),
        *("/set stop '.' \"a b\"", "/params stop", "/set top_k=3", "/set top-k 3"),
        flags=("--temperature", "0.7", "--no-save"),
    )
    assert done.code == 0, done.stderr
    assert "temperature 0.2 (chat /set)\n  overrode 0.7  (flag --temperature)" in done.text
    assert "temperature 0.7 (flag --temperature)\n  overrode 0.8  (default)" in done.text
    assert 'stop [".", "a b"] (chat /set)' in done.text
    assert "temperature 0.7 → 0.2 (chat /set)" in done.stderr
    assert "temperature 0.2 → 0.7 (flag --temperature)" in done.stderr
    assert "top_k was 3 already" in done.stderr


@pytest.mark.parametrize("text", ["stop=a=b", "stop = a=b", "stop a=b", "--stop  'a=b'"])
def test_a_name_and_its_value_stand_apart_by_a_blank_or_the_first_equals(
    program: Program, text: str
) -> None:
    done = chat(program, f"/set {text}", "/params stop", flags=("--no-save",))
    assert 'stop ["a=b"] (chat /set)' in done.text


def test_all_parameters_are_shown_with_their_origins(program: Program) -> None:
    done = chat(program, "/set top_k 7", "/system Be brief.", "/params", flags=("--no-save",))
    assert re.search(r"^  top_k +7 +chat /set", done.text, re.MULTILINE)
    assert "system: Be brief.  (chat /system)" in done.text


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("/set temperature -1", ("/set temperature", "-1 is out of range")),
        ("/set temprature 1", ("'temprature'", "did you mean temperature?")),
        ("/set temperature", ("/set temperature", "needs a value")),
        ("/set", ("/set needs NAME VALUE",)),
        ("/set mirostat 9", ("/set mirostat", "9 is out of range")),
        ("/set logit_bias 42", ("/set logit_bias", "TOKEN=BIAS")),
        ("/set stop 'open", ("/set stop",)),
        ("/set json_schema {", ("/set json_schema", "not JSON")),
        ("/unset temperature", ("/unset temperature", "flag --temperature")),
        ("/unset system", ("/unset system",)),
        ("/preset 'open", ("/preset: No closing quotation",)),
        ("/preset legal-sumary", ("legal-sumary", "did you mean legal-summary?")),
        ("/presets legal-summary", ("/presets", "did you mean /preset?")),
        ("/", ("unknown command /",)),
        ("/xyzzy", ("/xyzzy", "/help")),
        ("/help me", ("/help takes no argument", "'me'")),
        ("/retry", ("/retry: nothing was said yet",)),
        ("/undo", ("/undo: nothing was said yet",)),
        ("/edit", ("/edit: nothing was said yet",)),
        ("/why", ("/why: nothing was answered",)),
        ("/why all", ("/why: nothing was answered",)),
        ("/export pdf", ("/export", "'pdf'", "md or json")),
        ("/export md missing\0name", ("/export",)),
        ("/save ../x", ("'../x' cannot be a chat's name",)),
        ("/load nobody", ("there is no chat 'nobody'",)),
    ],
)
def test_a_wrong_command_ends_a_script_in_one_line(
    program: Program, line: str, parts: tuple[str, ...]
) -> None:
    done = chat(program, line, "never asked")
    complaint = done.complaint(done.code)
    assert done.code in (ExitCode.USAGE, ExitCode.PRESET)
    for part in parts:
        assert part in complaint


def test_settings_that_exclude_each_other_are_refused_and_change_nothing(program: Program) -> None:
    lines = ('/set grammar root ::= "a"', "/set json_schema {}")
    assert "excludes" in chat(program, *lines).complaint(ExitCode.USAGE)


def test_what_has_no_effect_is_said(program: Program) -> None:
    done = chat(program, "/set top_k 5", flags=("--temperature", "0", "--no-save"))
    assert "top_k 5 (chat /set) has no effect" in done.stderr


def test_a_preset_replaces_the_presets_and_stays_below_what_was_set(program: Program) -> None:
    done = chat(
        program,
        *("/set top_p 0.5", "/preset legal-summary", "/params top_p", "/params temperature"),
        *("/system", "/preset", "/preset -", "/params temperature", "/system"),
        flags=("-p", "creative-chat", "--no-save"),
    )
    assert done.code == 0, done.stderr
    assert "temperature 1.1 → 0.2 (preset" in done.stderr
    assert "top_p 0.5 (chat /set)\n  overrode 0.9  (preset" in done.text
    assert "temperature 0.2 (preset" in done.text
    assert "in use: legal-summary" in done.text
    assert "temperature 0.8 (default)" in done.text
    assert "there is no system text" in done.text


def test_a_presets_prompt_is_applied_to_every_message(program: Program) -> None:
    (program.place / "ask.yaml").write_text(
        'system: Be {brief}.\nprompt: "What is {{ input }} in {{ place }}?"\n'
        "variables: {place: here}\n"
    )
    flags = (*SHORT, "-p", "./ask.yaml")
    done = chat(program, "top-k", "/preset ./ask.yaml place=there", "top-p", flags=flags)
    assert done.code == 0, done.stderr
    assert [(m["text"], m["sent"]) for m in of_kind(program, "message")] == [
        ("top-k", "What is top-k in here?"),
        ("top-p", "What is top-p in there?"),
    ]
    messages = exported(chat(program, "/export json", flags=("--continue",)))["messages"]
    assert messages[0] == {"role": "system", "content": "Be {brief}."}
    assert messages[1]["content"] == "What is top-k in here?"


def test_what_belongs_to_the_model_or_the_context_is_made_again(program: Program) -> None:
    lines = ("hi", "/set mmap off", "hi", "/set context 300", "hi " * 70, "/set top_k 9", "hi")
    done = chat(program, *lines, flags=(*SHORT, "--verbose"))
    assert "the model is loaded again for the next answer" in done.stderr
    assert "the context is made again, and the whole chat read" in done.stderr
    first, *others = (answer["usage"]["cached_tokens"] for answer in of_kind(program, "answer"))
    assert (first, others[:2]) == (0, [0, 0])
    assert others[2] > 0
    assert "context 300" in done.stderr.splitlines()[-1]


@pytest.mark.real_model
def test_a_setting_that_cannot_be_met_can_be_taken_back(program: Program) -> None:
    done = chat(program, "hi", "/set context 100000000", "/tokens")
    assert done.code == ExitCode.BACKEND
    again = chat(program, "/unset context", "hi", flags=("--continue",))
    assert again.code == 0, again.stderr


@pytest.mark.real_model
def test_another_try_takes_another_seed(program: Program) -> None:
    wild = ("--temperature", "2", "--min-p", "0", "-n", "30")
    lines = ("Tell me a story.", "/retry", "/set seed 40", "/retry", "/retry")
    assert chat(program, *lines, flags=wild).code == 0
    answers = of_kind(program, "answer")
    assert answers[0]["seed"] != answers[1]["seed"]
    assert [answer["seed"] for answer in answers[2:]] == [42, 43]
    assert len({answer["text"] for answer in answers}) == 4
    document = exported(chat(program, "/export json", flags=("--continue",)))
    assert [m["role"] for m in document["messages"]] == ["user", "assistant"]
    assert document["messages"][1]["content"] == answers[-1]["text"]


@pytest.mark.script("One fox, and then another fox, told each other one long story.")
def test_at_temperature_0_another_try_says_that_it_is_the_same(program: Program) -> None:
    done = chat(program, "hi", "/retry")
    assert "the answer will be the same" in done.stderr
    first, second = done.text.splitlines()
    assert first == second


def test_turns_are_taken_back_and_edited(program: Program) -> None:
    lines = ("What is top-k?", "And top-p?", "/undo", "/edit What is min-p?", "/export json")
    messages = exported(chat(program, *lines))["messages"]
    assert [m["content"] for m in messages if m["role"] == "user"] == ["What is min-p?"]
    assert kinds(program).count("message") == 3  # nothing is lost


def test_a_cleared_chat_begins_anew(program: Program) -> None:
    done = chat(program, "hi", "/clear", "/clear", "/tokens", "/edit")
    assert "history 0" in done.text
    assert "/edit: nothing was said yet" in done.stderr


def test_tokens_add_up_to_the_context(program: Program) -> None:
    flags = (*SHORT, "--context", "256", "--system", "Be brief.")
    done = chat(program, "What is top-k?", "/tokens", flags=flags)
    bar, legend = done.text.splitlines()[-2:]
    parts = re.search(r"system (\d+).*history (\d+).*answer (\d+).*free (\d+).*of (\d+)", legend)
    assert parts
    *counts, total = map(int, parts.groups())
    assert sum(counts) == total == 256
    assert counts[2] == 12
    assert len(set(bar)) == 4
    [answer] = of_kind(program, "answer")
    usage = answer["usage"]
    assert counts[0] + counts[1] >= usage["prompt_tokens"] - usage["cached_tokens"]


def test_a_terminal_that_knows_only_ascii_gets_a_bar_of_ascii(program: Program) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = program.pipe("chat", "--no-save", stdin=b"/tokens\n/set top_k 3\n", **ascii_only)
    assert ". free" in done.stdout.decode("ascii")
    assert "40 -> 3" in done.stderr


def test_why_tells_the_end_and_the_origins(program: Program) -> None:
    lines = ("hi", "/set top_k 3", "/why")
    done = chat(program, *lines, flags=("--temperature", "0.5", "-n", "3", "--no-save"))
    assert "stopped: max-tokens (3 tokens)" in done.text
    assert "temperature 0.5 (flag --temperature)" in done.text
    assert "top_k" not in done.text  # it was set after the answer
    assert "/why all" in done.text


def test_tokens_are_coloured_where_colours_are_wanted(program: Program) -> None:
    flags = ("--color-by", "probability", "-n", "9", "--no-save")
    assert "\x1b[38;5;" in chat(program, "hi", flags=(*flags, "--color", "always")).text
    done = chat(program, "hi", flags=flags)
    assert "\x1b" not in done.text
    assert "--color-by probability needs colours" in done.stderr


@pytest.mark.real_model
def test_why_looks_at_every_draw_of_the_last_answer(program: Program) -> None:
    flags = ("--temperature", "0.9", "-n", "6", "--ignore-eos")
    lines = ("What is top-k?", "And top-p?", "/why all", "/why 2", "And min-p?", "/why 7")
    done = chat(program, *lines, flags=flags)
    assert done.code == ExitCode.USAGE
    assert "there are 6 draws" in done.stderr
    assert "gave another answer" not in done.stderr
    assert re.findall(r'^ +(\d)  "', done.text, re.MULTILINE) == list("123456")
    assert "draw 2 of 6: " in done.text
    assert "stopped: max-tokens (6 tokens)" in done.text
    assert len(of_kind(program, "answer")) == 3  # the second look is none


def test_why_is_of_the_chat_that_is_open(program: Program) -> None:
    assert chat(program, "hi", flags=(*SHORT, "--session", "one")).code == 0
    done = chat(program, "hello", "/load one", "/why all", flags=(*SHORT, "--session", "two"))
    assert done.code == ExitCode.USAGE
    assert "/why: nothing was answered since this program started" in done.stderr


def full_chat(program: Program, when_full: str) -> Done:
    lines = [f"Tell me story number {number}, a long one." for number in range(6)]
    flags = ("--context", "256", "-n", "50", "--ignore-eos", "--when-full", when_full, "-s", "1")
    return chat(program, "/system You tell stories.", *lines, "/tokens", flags=flags)


def test_a_full_context_lets_the_oldest_turns_go_and_says_so(program: Program) -> None:
    done = full_chat(program, "drop")
    assert done.code == 0, done.stderr
    gone = [entry["turns"] for entry in of_kind(program, "out-of-view")]
    assert gone
    assert f"the context was full: the oldest {gone[0]} turn" in done.stderr
    assert f"{sum(gone)} turns out of the model's view" in done.text
    document = exported(chat(program, "/export json", flags=("--continue",)))
    seen = [message["in_view"] for message in document["messages"][1:]]
    assert seen == sorted(seen)
    assert seen.count(False) == 2 * sum(gone)
    assert len(seen) == 12  # the session keeps all
    assert document["messages"][0]["content"] == "You tell stories."


def test_dropping_leaves_room_for_further_turns(program: Program) -> None:
    full_chat(program, "drop")
    answers = of_kind(program, "answer")
    assert all(answer["stop"] == "max-tokens" for answer in answers)
    assert any(answer["usage"]["cached_tokens"] >= 64 for answer in answers)


def test_a_full_context_can_be_summarised_by_the_model(program: Program) -> None:
    done = full_chat(program, "summarize")
    assert done.code == 0, done.stderr
    summary = [e["summary"] for e in of_kind(program, "out-of-view") if "summary" in e][-1]
    assert summary
    assert "became a summary: " in done.stderr
    assert "out of the model's view; a summary stands for them" in done.text
    document = exported(chat(program, "/export json", flags=("--continue",)))
    assert document["summary"] == summary


def test_a_full_context_can_be_refused(program: Program) -> None:
    done = full_chat(program, "refuse")
    assert done.code == ExitCode.CONTEXT
    assert "the chat is full" in done.stderr
    assert kinds(program)[-1] == "message"
    again = chat(program, "/set context 1024", "/retry", flags=("--continue", "-n", "5"))
    assert again.code == 0, again.stderr
    assert "has no answer yet: /retry asks for it" in again.stderr
    assert kinds(program)[-1] == "answer"


def test_a_message_beyond_the_context_is_refused_whatever_the_mode(program: Program) -> None:
    done = chat(program, "hi", "word " * 400, flags=("--context", "256", "-n", "5"))
    assert done.code == ExitCode.CONTEXT
    assert "the message has" in done.stderr
    done = chat(program, "hi", flags=("--continue",))
    assert done.code == 0, done.stderr
    assert "this message replaces the one before" in done.stderr


@pytest.mark.parametrize("when_full", ["drop", "summarize", "refuse"])
def test_a_message_fits_if_there_is_room_for_one_token_more(
    program: Program, when_full: str
) -> None:
    text = "the fox and the crow " * 6
    flags = ("-n", "1", "--ignore-eos", "--when-full", when_full)
    assert chat(program, text, flags=(*flags, "--session", "free")).code == 0
    [answer] = of_kind(program, "answer", "free")
    count = answer["usage"]["prompt_tokens"]
    done = chat(program, text, flags=(*flags, "--no-save", "--context", str(count)))
    said = (
        f"its prompt of {count} tokens and 1 for the answer are more than the {count} of"
        if when_full == "refuse"
        else f"the message has {count} tokens and the context holds {count} (/set context"
    )
    assert said in done.complaint(ExitCode.CONTEXT)
    fits = (*flags, "--session", "full", "--context", str(count + 1))
    done = chat(program, text, flags=fits)
    assert done.code == 0, done.stderr
    [answer] = of_kind(program, "answer", "full")
    assert answer["usage"]["completion_tokens"] == 1


@pytest.mark.script("yes")
def test_a_chat_goes_on_with_its_settings(program: Program) -> None:
    (program.place / "grammar.gbnf").write_text('root ::= "yes" | "no"')
    flags = ("-p", "precise", "--grammar", "@grammar.gbnf", "--session", "one")
    assert chat(program, "/set top_k 7", "/system Be brief.", "hi", flags=flags).code == 0
    (program.place / "grammar.gbnf").unlink()
    lines = ("/params top_k", "/params temperature", "/system", "And now?")
    done = chat(program, *lines, flags=("--continue", "--temperature", "0.3"))
    assert done.code == 0, done.stderr
    assert "top_k 7 (chat /set)" in done.text
    assert "temperature 0.3 (flag --temperature)\n  overrode 0.2  (preset" in done.text
    assert "temperature: was 0.2, is 0.3 (flag --temperature)" in done.stderr
    assert "Be brief.  (chat /system)" in done.text
    assert done.text.splitlines()[-1] in ("yes", "no")
    assert len(of_kind(program, "answer", "one")) == 2
    assert "0.3 (flag" in chat(program, "/params temperature", flags=("--continue",)).text


def test_a_chat_that_is_not_kept_can_be_saved_though_none_was_before(program: Program) -> None:
    flags = (*SHORT, "--no-save")
    done = chat(program, "hi", "/save first", "And now?", flags=flags)
    assert done.code == 0, done.stderr
    assert kinds(program, "first") == ["chat", "message", "answer", "message", "answer"]
    done = chat(program, "hi", "/save first", flags=flags)
    assert "there is a chat 'first' already" in done.stderr
    assert len(entries(program, "first")) == 5


def test_what_a_preset_says_now_counts_and_is_told(program: Program) -> None:
    (program.place / "mine.yaml").write_text("parameters: {top_k: 5}\n")
    chat(program, "hi", flags=("-p", "mine.yaml", "-n", "3"))
    (program.place / "mine.yaml").write_text("parameters: {top_k: 6}\n")
    done = chat(program, "/params top_k", flags=("--continue",))
    assert "top_k 6 (preset mine.yaml:1)" in done.text
    assert "top_k: was 5, is 6 (preset mine.yaml:1)" in done.stderr


def test_chats_are_named_saved_loaded_and_listed(program: Program) -> None:
    assert "no chats were kept" in program.call("chat", "list").stderr
    assert chat(program, "first words\\", "of it", "/save one", "/save two").code == 0
    assert chat(program, "other", flags=(*SHORT, "--session", "three")).code == 0
    (program.place / DIRECTORY / "broken.jsonl").write_text("{}\n")
    listed = program.call("chat", "list")
    rows = {row.split("\t")[0]: row.split("\t")[1:] for row in listed.text.splitlines()}
    assert list(rows) == ["broken", "three", "two"]
    assert rows["two"][1:3] == ["1", "first words\\nof it"]
    assert "broken.jsonl:1:" in rows["broken"][2]
    done = chat(program, "/load two", "/export json", "/load two")
    assert exported_name(done) == "two"
    assert "this chat is two already" in done.stderr
    assert "already" in chat(program, "hi", "/save two").stderr


def exported_name(done: Done) -> str:
    document, _ = json.JSONDecoder().raw_decode(done.text[done.text.index("{\n") :])
    name: str = document["name"]
    return name


def test_a_chat_that_keeps_nothing_leaves_nothing_until_it_is_saved(program: Program) -> None:
    assert chat(program, "hi", flags=(*SHORT, "--no-save")).code == 0
    assert chat(program, "/set top_k 3").code == 0  # nothing was said
    assert list(program.place.glob("state/**/*.jsonl")) == []
    lines = ("hi", "/save kept", "hello")
    assert chat(program, *lines, flags=(*SHORT, "--no-save")).code == 0
    assert kinds(program, "kept") == ["chat", "message", "answer", "message", "answer"]
    assert (program.place / DIRECTORY / "kept.jsonl").stat().st_mode & 0o077 == 0


def test_an_exported_file_is_whole_and_no_other_is_overwritten(program: Program) -> None:
    done = chat(program, "What is top-k?", "/export md talk.md", "/export md talk.md")
    assert done.code == ExitCode.USAGE
    assert "talk.md is there already" in done.stderr
    text = (program.place / "talk.md").read_text()
    assert "## User\n\nWhat is top-k?" in text
    assert of_kind(program, "answer")[0]["text"] in text


@pytest.mark.parametrize("name", ["../up", "/etc/x", "", ".hidden", "a/b", "a\nb", "x" * 101])
def test_a_name_is_no_path(program: Program, name: str) -> None:
    done = chat(program, "hi", flags=("--session", name))
    assert "cannot be a chat's name" in done.complaint(ExitCode.USAGE)
    assert not (program.place / "state").exists()


def test_flags_that_name_two_chats_are_refused(program: Program) -> None:
    done = chat(program, "hi", flags=("--continue", "--session", "x"))
    assert "exclude each other" in done.complaint(ExitCode.USAGE)
    done = chat(program, "hi", flags=("--continue",))
    assert "no chat to continue" in done.complaint(ExitCode.USAGE)


def test_one_chat_is_open_in_one_program(program: Program) -> None:
    process = program.start("chat", "--session", "one", "-n", "3", stdin=subprocess.PIPE)
    assert process.stdin and process.stdout
    process.stdin.write(b"hi\n")
    process.stdin.flush()
    process.stdout.readline()
    done = chat(program, "hi", flags=("--session", "one"))
    assert "'one' is open in another program" in done.complaint(ExitCode.USAGE)
    assert program.end(process).code == 0
    assert chat(program, "hi", flags=(*SHORT, "--session", "one")).code == 0


def test_a_place_that_cannot_be_written_is_named(program: Program) -> None:
    (program.place / "file").write_text("")
    done = chat(program, "hi", LLMPARAMS_STATE_DIR=str(program.place / "file"))
    complaint = done.complaint(ExitCode.USAGE)
    assert "cannot be kept" in complaint and "--no-save" in complaint


def test_input_that_is_not_utf_8_is_refused_with_its_line(program: Program) -> None:
    done = program.call("chat", "--no-save", stdin=b"/set top_k 3\n\xff\n")
    assert "standard input:2: byte 0 is not UTF-8" in done.complaint(ExitCode.USAGE)


def test_help_names_every_command(program: Program) -> None:
    done = chat(program, "/help", "/exit", "never asked")
    for name in ("set", "unset", "preset", "params", "why", "retry", "undo", "edit", "system",
                 "save", "load", "export", "tokens", "clear", "help", "exit"):  # fmt: skip
        assert re.search(rf"^/{name}\b", done.text, re.MULTILINE)
    assert not any(program.place.glob("state/**/*.jsonl"))  # nothing was said


def test_the_commands_of_a_chat_do_not_know_its_loop() -> None:
    room = Path(llmparams_cli.commands.chat.__file__).parent
    knows = {path.stem for path in room.glob("*.py") if "chat.repl" in path.read_text()}
    assert knows == {"__init__"}


def test_other_programs_words_for_leaving(program: Program) -> None:
    for word in ("/exit", "/quit", "/bye"):
        done = chat(program, "One", word, "Two", flags=(*SHORT, "--no-save"))
        assert (done.code, len(done.text.splitlines())) == (0, 1), word


def test_the_first_message_may_be_an_argument(program: Program) -> None:
    done = program.call("chat", "Who are you?", *SHORT, stdin=b"And I?\n")
    assert done.code == 0
    assert [m["text"] for m in of_kind(program, "message")] == ["Who are you?", "And I?"]
    assert program.call("chat", "/set top_k 7", stdin=b"").stderr.count("top_k 40") == 1


def test_a_chat_that_is_not_kept_can_be_kept_after_all(program: Program) -> None:
    done = chat(program, "Hi", "/save mine", flags=(*SHORT, "--no-save"))
    assert done.code == 0
    assert kinds(program, "mine") == ["chat", "message", "answer"]


def test_settings_of_a_chat_become_a_preset(program: Program) -> None:
    lines = ("/set temperature 0.33", "/system Be brief.", "/save-preset live", "Hi")
    assert chat(program, *lines, flags=("-n", "3")).code == 0
    assert chat(program, "/save-preset live", flags=("--no-save",)).code == 3  # it is there already
    done = program.call("presets", "new", "last-chat", "--from", "last")
    assert "taking the values of the chat 2" in done.stderr
    for name in ("live", "last-chat"):
        text = (program.place / f"presets/{name}.yaml").read_text()
        assert "temperature: 0.33" in text and "from chat /set" in text
        assert 'system: "Be brief."' in text and "max_tokens: 3" in text
    program.call("generate", "hi", "-n", "5", "-q")
    done = program.call("presets", "new", "last-run", "--from", "last")
    assert "taking the values of the run 2" in done.stderr
    assert "max_tokens: 5" in (program.place / "presets/last-run.yaml").read_text()


def test_what_is_set_is_shown_and_the_rest_on_request(program: Program) -> None:
    chat_lines = chat(program, "/set top_k 7", "/params", flags=("--no-save",)).text.splitlines()
    assert any(line.startswith("  top_k ") for line in chat_lines)
    assert not any(line.startswith("  min_p ") for line in chat_lines)
    assert chat_lines[-1].endswith("more are at their defaults: /params all shows them")
    shown = chat(program, "/params all", flags=("--no-save",)).text
    assert "  min_p " in shown and "/params all" not in shown
    short = program.call("presets", "show", "precise").text
    assert "  top_k " in short and "  min_p " not in short and "--all shows them" in short
    everything = program.call("presets", "show", "precise", "--all").text
    assert "  min_p " in everything and "--all" not in everything
