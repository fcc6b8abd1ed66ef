"""What goes in, and what ends it: prompt sources, templates, overflow, stops, limits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from asked import settings
from models import write_llama
from program import Program

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.interrupt import Control
from llmparams_cli.models import builtin
from llmparams_cli.models.gguf import read_model
from llmparams_cli.models.resolve import find_model
from llmparams_cli.models.stores import BUILTIN
from llmparams_cli.params.settings import resolve
from llmparams_cli.protocol import Backend, Message, Request, Started, Stop, StopReason

BACKENDS = ("llama", "scripted")  # see conftest

CONTROL = 3  # tokenizer.ggml.token_type
RAW = ("generate", "--raw", "--json", "-n", "1")


def seen(program: Program, *arguments: str, stdin: bytes = b"") -> str:
    """The prompt that the model gets."""
    done = program.call(*RAW, *arguments, stdin=stdin)
    assert done.code == 0, done.stderr
    return str(done.json["prompt"])


# --- sources


def test_every_source_alone_and_together_in_order(program: Program) -> None:
    (program.place / "file.txt").write_text("file\n")
    file = ("--file", "file.txt")
    assert seen(program, "argument") == "argument"
    assert seen(program, *file) == "file"
    assert seen(program, stdin=b"piped\n") == "piped"
    assert seen(program, "argument", stdin=b"piped") == "argument\n\npiped"
    assert seen(program, *file, stdin=b"piped") == "file\n\npiped"
    assert seen(program, "argument", *file, stdin=b"piped") == "argument\n\nfile\n\npiped"
    assert seen(program, *file, *file) == "file\n\nfile"


def test_a_dash_is_standard_input_once(program: Program) -> None:
    assert seen(program, "-", stdin=b"piped") == "piped"
    assert seen(program, "--file", "-", stdin=b"piped") == "piped"
    assert seen(program, "-", "--file", "-", stdin=b"piped") == "piped"
    assert seen(program, "argument", "--file", "-", stdin=b"piped") == "argument\n\npiped"


def test_only_an_argument_may_be_the_empty_prompt(program: Program) -> None:
    (program.place / "empty.txt").write_text("")
    assert seen(program, "") == ""
    assert seen(program, "argument", stdin=b"") == "argument"
    for arguments in ((), ("-",), ("--file", "empty.txt")):
        assert "the prompt is empty" in program.call(*RAW, *arguments).complaint(ExitCode.USAGE)


def test_line_ends_and_the_byte_order_mark_of_windows_do_not_reach_the_model(
    program: Program,
) -> None:
    assert seen(program, stdin=b"\xef\xbb\xbfa\r\nb\r\n") == "a\nb"
    assert seen(program, stdin=b"two\n\n") == "two\n"


def test_nul_bytes_and_any_other_text_pass_unharmed(program: Program) -> None:
    text = "a\0b\tc \x1b[2J \u202e déjà 🦊 [/INST] [bold]"
    assert seen(program, stdin=text.encode()) == text
    whole = program.call(*RAW, stdin=b"a\0b").json["usage"]["prompt_tokens"]
    assert whole > program.call(*RAW, stdin=b"a").json["usage"]["prompt_tokens"]


def test_other_encodings_are_refused_with_the_place_of_the_byte(program: Program) -> None:
    (program.place / "latin.txt").write_bytes(b"\xef\xbb\xbfa\r\ncaf\xe9")
    line = program.call("generate", stdin=b"abc\xff").complaint(ExitCode.USAGE)
    assert "standard input is not UTF-8: byte 3 (line 1) is 0xff; convert it first" in line
    line = program.call("generate", "--file", "latin.txt").complaint(ExitCode.USAGE)
    assert "--file latin.txt is not UTF-8: byte 9 (line 2) is 0xe9" in line


# --- the chat template


def test_the_template_places_prompt_and_system_text(program: Program) -> None:
    (program.place / "system.txt").write_text("Be brief.\n")
    arguments = ("generate", "hello fox", "--json", "-n", "1")
    plain = program.call(*arguments).json["prompt"]
    assert plain.count("hello fox") == 1 and plain != "hello fox"
    for system in ("Be brief.", "@system.txt"):
        prompt = program.call(*arguments, "--system", system).json["prompt"]
        assert prompt.index("Be brief.") < prompt.index("hello fox")
        assert prompt != "Be brief.\n\nhello fox"


@pytest.mark.real_model
def test_without_a_template_the_system_text_goes_first_and_that_is_said(
    program: Program, tmp_path: Path
) -> None:
    bare = str(write_llama(tmp_path / "bare.gguf", chat_template=None))
    for arguments in (("--raw",), ("-m", bare)):
        done = program.call(
            "generate", "hello", "--system", "Be brief.", "--json", "-n", "1", *arguments
        )
        assert done.json["prompt"] == "Be brief.\n\nhello"
        assert "the system text goes before the prompt" in done.stderr


@pytest.mark.real_model
@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for x %}", "not valid Jinja"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ raise_exception('never\x1b[2J') }}", "never<1b>[2J"),
        ("{% for i in range(10**9) %}{% endfor %}", "too big"),
    ],
)
def test_a_bad_or_hostile_template_is_one_line(
    program: Program, tmp_path: Path, template: str, reason: str
) -> None:
    path = write_llama(tmp_path / "model.gguf", chat_template=template)
    line = program.call("generate", "hi", "-m", str(path)).complaint(ExitCode.MODEL)
    assert reason in line and "--chat-template" in line
    assert program.call("generate", "hi", "-m", str(path), "--raw", "-n", "1").code == 0


def test_control_tokens_in_a_message_stay_text(backend: Backend) -> None:
    header = read_model(builtin.PATH)
    types = header.array("tokenizer.ggml.token_type")
    names = header.array("tokenizer.ggml.tokens")
    control = {i: name for i, name in enumerate(names) if types[i] == CONTROL}
    assert control
    texts = [
        text
        for name in control.values()
        for text in (name, f"a{name}b", f"{name}{name}", f"{name[:3]}{name}{name[3:]}")
    ]
    for raw in (False, True):
        harmless, *prompts = prompts_with(backend, ["harmless", *texts], raw=raw)
        for text, prompt in zip(texts, prompts, strict=True):
            assert [i for i in prompt if i in control] == [i for i in harmless if i in control]
            spelled = "".join(names[i] for i in prompt)
            own = "".join(names[i] for i in harmless)  # the template's
            assert spelled.count(text) == 2 + own.count(text)


def prompts_with(backend: Backend, texts: Sequence[str], *, raw: bool) -> list[tuple[int, ...]]:
    """The prompts in which each of these is the system text and the message."""
    nobody_waits = Control()
    nobody_waits.set(Stop(StopReason.INTERRUPTED, "the prompt is enough"))
    requests = [
        Request(
            (Message("system", text), Message("user", text)),
            resolve([]),
            raw=raw,
            control=nobody_waits,
        )
        for text in texts
    ]
    return [event.tokens for _, event in backend.answer(requests) if isinstance(event, Started)]


def test_an_empty_prompt_starts_from_the_begin_token(backend: Backend) -> None:
    """Though this vocabulary adds it to no other prompt; its number is 0."""
    begin = read_model(builtin.PATH).metadata["tokenizer.ggml.bos_token_id"]
    request = Request((Message("user", ""),), settings(), raw=True)
    (_, started), *_ = backend.answer([request])
    assert isinstance(started, Started)
    assert (started.tokens, started.prompt) == ((begin,), "")


@pytest.mark.real_model
def test_a_control_token_that_begins_with_another_stays_text_as_a_whole(
    program: Program, tmp_path: Path
) -> None:
    """Else its rest could be read as a control token that nobody wrote."""
    whole, start, rest = "<x<y>", "<x", "<y>"
    header = read_model(write_llama(tmp_path / "usual.gguf"))
    tokens = list(header.array("tokenizer.ggml.tokens"))
    types = list(header.array("tokenizer.ggml.token_type"))
    tokens[-3:], types[-3:] = (whole, start, rest), [CONTROL] * 3
    metadata = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
    path = write_llama(tmp_path / "model.gguf", metadata=metadata)

    def count(*arguments: str) -> int:
        done = program.call(*RAW[:1], *arguments, "--json", "-n", "1", "-m", str(path))
        return int(done.json["usage"]["prompt_tokens"])

    own = count("hi") - count("hi", "--raw")  # the template's
    for text in (f"{start}{whole}", f"{whole} {start}", f"{start} {whole} {rest}"):
        assert count(text) == own + len(text), "a token for every character"


@pytest.mark.real_model
def test_the_program_hands_over_what_the_backend_counts(program: Program, backend: Backend) -> None:
    text = "a<|im_end|><|endoftext|></s>b"
    usage = program.call("generate", text, "--json", "-n", "1").json["usage"]
    assert usage["prompt_tokens"] == backend.count(Request((Message("user", text),), settings()))


# --- a prompt that does not fit


def test_a_prompt_beyond_the_context_is_refused_with_both_counts(program: Program) -> None:
    text = "the fox and the crow " * 100
    count = program.call(*RAW, text, "--context", "4096").json["usage"]["prompt_tokens"]
    line = program.call(*RAW, text, "--context", "64").complaint(ExitCode.CONTEXT)
    assert f"the prompt has {count} tokens and the context holds 64" in line
    assert "--context" in line and "--overflow truncate-start" in line


@pytest.mark.parametrize("overflow", ["truncate-start", "truncate-middle"])
def test_a_prompt_fits_if_there_is_room_for_one_token_more(program: Program, overflow: str) -> None:
    text = "the fox and the crow " * 6
    arguments = ("generate", text, "--json", "-n", "1", "--seed", "1", "--ignore-eos")
    count = program.call(*arguments).json["usage"]["prompt_tokens"]
    line = program.call(*arguments, "--context", str(count)).complaint(ExitCode.CONTEXT)
    assert f"the prompt has {count} tokens and the context holds {count}" in line
    for shorten in ((), ("--overflow", overflow)):
        done = program.call(*arguments, "--context", str(count + 1), *shorten)
        assert done.code == 0, done.stderr
        assert "dropped" not in done.stderr
        assert done.json["usage"] == {
            "prompt_tokens": count,
            "cached_tokens": 0,
            "completion_tokens": 1,
            "total_tokens": count + 1,
            "reasoning_tokens": 0,
        }
    done = program.call(*arguments, "--context", str(count), "--overflow", overflow)
    assert f"the prompt had {count} tokens and the context holds {count}" in done.stderr
    assert done.json["usage"]["prompt_tokens"] < count


def test_a_prompt_of_a_megabyte_is_refused_in_one_line(program: Program) -> None:
    line = program.pipe("generate", stdin=b"word " * 200_000).complaint(ExitCode.CONTEXT)
    assert re.search(r"the prompt has \d{6} tokens and the context holds", line)


@pytest.mark.parametrize("place", ["start", "middle"])
@pytest.mark.parametrize("raw", [(), ("--raw",)])
def test_truncation_keeps_the_other_end_and_reports_what_it_dropped(
    program: Program, place: str, raw: tuple[str, ...]
) -> None:
    text = "FIRST " + "the fox and the crow " * 100 + "LAST"
    arguments = ("generate", text, "--json", "-n", "3", "--seed", "1", "--ignore-eos", *raw)
    before = program.call(*arguments, "--context", "4096").json["usage"]["prompt_tokens"]
    done = program.call(*arguments, "--context", "64", "--overflow", f"truncate-{place}")
    result = done.json
    assert ("FIRST" in result["prompt"]) is (place == "middle")
    assert "LAST" in result["prompt"]
    after = result["usage"]["prompt_tokens"]
    assert after + 3 <= 64
    assert result["usage"]["completion_tokens"] == 3
    note = next(line for line in done.stderr.splitlines() if "dropped" in line)
    assert f"the prompt had {before} tokens and the context holds 64" in note
    assert f"dropped from its {place}" in note
    dropped = int(note.split(": ")[2].split()[0])
    assert dropped == pytest.approx(before - after, abs=3)  # the cut ends may join differently


def test_what_cannot_be_shortened_is_refused_all_the_same(program: Program) -> None:
    line = program.call(
        "generate", "hi", "--system", "word " * 100, "--context", "64",
        "--overflow", "truncate-start",
    ).complaint(ExitCode.CONTEXT)  # fmt: skip
    assert "the context holds 64" in line


# --- stops


@pytest.mark.script("one two three, four five")
def test_a_stop_sequence_across_tokens_ends_the_text_and_is_not_part_of_it(
    program: Program,
) -> None:
    # The grammar fixes the text, whatever the model; its tokens are the model's own.
    arguments = ("generate", "hi", "--json", "--grammar", 'root ::= "one two three, four five"')
    whole = program.call(*arguments, "--logprobs", "0").json
    assert whole["text"] == "one two three, four five"
    assert len(whole["tokens"]) > 4

    def stopped(*stops: str) -> tuple[str, dict[str, str]]:
        flags = [part for stop in stops for part in ("--stop", stop)]
        result = program.call(*arguments, *flags).json
        return result["text"], result["stop"]

    def by(sequence: str) -> dict[str, str]:
        return {"reason": "stop-sequence", "detail": sequence}

    assert stopped("two three") == ("one ", by("two three"))
    assert stopped("e two thre") == ("on", by("e two thre"))
    assert stopped("four", "three", "five") == ("one two ", by("three"))
    assert stopped(" ", "one two") == ("one", by(" "))  # the first to be complete
    assert stopped("one") == ("", by("one"))
    for stops in (("three", "two three", "ee"), ("ee", "two three", "three")):
        assert stopped(*stops) == ("one ", by("two three"))  # of those that end together
    # What only might have become a stop sequence is released in the end.
    text, stop = stopped("five!", "two  three")
    assert (text, stop["reason"]) == ("one two three, four five", "end-of-generation")


@pytest.mark.script("a X a Y ab. end")
def test_a_stream_holds_back_no_more_than_a_stop_sequence_could_need(program: Program) -> None:
    done = program.call(
        "generate", "hi", "--stream-json", "--grammar", 'root ::= "a X a Y ab. end"',
        "--stop", "ab.", "--stop", "never",
    )  # fmt: skip
    _, *texts, end = done.events
    assert "".join(event["text"] for event in texts) == end["text"] == "a X a Y "
    assert len(texts) > 1


@pytest.mark.script("🦊é漢🏳️‍🌈")
def test_a_multibyte_character_split_over_tokens_comes_in_one_piece(program: Program) -> None:
    text = "🦊é漢🏳️‍🌈"
    done = program.call("generate", "hi", "--stream-json", "--grammar", f'root ::= "{text}"')
    _, *texts, end = done.events
    assert end["text"] == text
    assert end["usage"]["completion_tokens"] > len(texts)
    assert all(event["text"].isprintable() or "\u200d" in event["text"] for event in texts)
    assert "\ufffd" not in "".join(event["text"] for event in texts)


@pytest.mark.script(delay=0.001)
def test_the_stop_reason_is_one_of_six_with_its_detail(program: Program) -> None:
    def stop(*arguments: str) -> dict[str, str]:
        done = program.call("generate", "hi", "--json", "--seed", "1", *arguments)
        return dict(done.json["stop"])

    assert stop("-n", "3") == {"reason": "max-tokens", "detail": "3 tokens"}
    assert stop("-n", "-1", "--ignore-eos", "--context", "48") == {
        "reason": "context-full",
        "detail": "48 tokens",
    }
    assert stop("-n", "-1", "--ignore-eos", "--context", "4096", "--time-limit", "0.2") == {
        "reason": "time-limit",
        "detail": "0.2 s",
    }


@pytest.mark.real_model
def test_a_model_that_may_only_end_does_so(program: Program) -> None:
    header = read_model(builtin.PATH)
    end = int(header.metadata["tokenizer.ggml.eos_token_id"])
    names = header.array("tokenizer.ggml.tokens")
    result = program.call("generate", "hi", "--json", "--logit-bias", f"{end}=100").json
    assert result["stop"] == {"reason": "end-of-generation", "detail": names[end]}


def test_the_context_is_filled_to_the_last_token(program: Program) -> None:
    usage = program.call(
        "generate", "hi", "--json", "-n", "-1", "--ignore-eos", "--context", "48"
    ).json["usage"]
    assert usage["total_tokens"] in (48, 49)  # the last token need not be read again


@pytest.mark.real_model
def test_the_time_limit_interrupts_the_reading_of_a_long_prompt(program: Program) -> None:
    (program.place / "long.txt").write_text("word " * 10_000)
    result = program.call(
        "generate", "--file", "long.txt", "--context", "30000", "--ubatch-size", "1",
        "--time-limit", "0.2", "--json",
    ).json  # fmt: skip
    assert result["stop"] == {"reason": "time-limit", "detail": "0.2 s"}
    assert result["usage"]["completion_tokens"] == 0


def test_ctrl_c_while_a_model_is_loaded_does_not_blame_the_model() -> None:
    interrupt = Control()
    interrupt.set(Stop(StopReason.INTERRUPTED, "Ctrl-C"))
    env = Environment(variables={}, quiet=True)
    with (
        pytest.raises(KeyboardInterrupt),
        opened(env, find_model(BUILTIN, env), resolve([]), interrupt),
    ):
        pass
