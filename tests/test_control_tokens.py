"""Control tokens by their names: in raw prompts, in stops, biases, targets and grammars."""

from __future__ import annotations

import json
import math

import pytest
from models import sentencepiece, write_llama
from program import Program

from llmparams_cli.errors import ExitCode

pytestmark = pytest.mark.real_model

TOKENS: list[str] = sentencepiece()["tokenizer.ggml.tokens"]
SPECIAL = ("--raw", "--special")
SPELLED = ["▁<", "|", "user", "|", ">"]
USER = "<|user|>"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("spm") / "m.gguf"
    size = len(TOKENS)
    return str(write_llama(path, vocabulary=size, metadata=sentencepiece(), feed_forward=64))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same model without a chat template."""
    path = tmp_path_factory.mktemp("bare") / "m.gguf"
    metadata = sentencepiece()
    return str(write_llama(path, vocabulary=len(TOKENS), metadata=metadata, chat_template=None))


def read(program: Program, model: str, *arguments: str, stdin: bytes = b"") -> list[str]:
    """The tokens that the model reads."""
    receipt = ("--receipt", "run.json", "-n", "1", "-q")
    done = program.call("generate", "-m", model, *arguments, *receipt, stdin=stdin)
    assert done.code == 0, done.stderr
    return [TOKENS[id] for id in written(program)["prompt_ids"]]


def written(program: Program) -> dict[str, object]:
    document = json.loads((program.place / "run.json").read_text())
    assert isinstance(document, dict)
    return document


def spelled(text: str) -> list[str]:
    """The letters of a text, after a blank."""
    return [f"▁{text[0]}", *text[1:]]


# --- raw prompts


def test_names_are_tokens_in_a_raw_prompt_if_asked_for(program: Program, model: str) -> None:
    assert read(program, model, "--raw", USER) == ["<s>", *spelled(USER)]
    assert read(program, model, *SPECIAL, USER) == ["<s>", USER]
    assert read(program, model, *SPECIAL, f"the{USER}cat<|end|>") == [
        "<s>", "▁the", USER, "▁cat", "<|end|>",
    ]  # fmt: skip


@pytest.mark.parametrize("prompt", ["the", "<s>the"])
def test_there_is_one_bos_token_whoever_wrote_it(program: Program, model: str, prompt: str) -> None:
    assert read(program, model, *SPECIAL, prompt) == ["<s>", "▁the"]


def test_a_model_without_a_template_needs_no_raw(program: Program, bare: str) -> None:
    assert read(program, bare, "--special", USER) == ["<s>", USER]
    assert read(program, bare, USER) == ["<s>", *spelled(USER)]


@pytest.mark.parametrize("command", ["generate", "explain", "compare"])
def test_beside_a_template_it_is_refused(program: Program, model: str, command: str) -> None:
    more = ("--samples", "2") if command == "compare" else ()
    line = program.call(command, "-m", model, "--special", USER, *more).complaint(ExitCode.USAGE)
    assert "--special" in line and "--raw --special" in line


@pytest.mark.parametrize("command", ["explain", "compare"])
def test_every_command_with_raw_has_it(program: Program, model: str, command: str) -> None:
    more = ("--samples", "2") if command == "compare" else ()
    flags = (command, "-m", model, USER * 40, "-n", "1", "--context", "64", "--json", *more)
    assert program.call(*flags, *SPECIAL).code == 0  # 40 tokens and BOS
    assert program.call(*flags, "--raw").code == ExitCode.CONTEXT
    beside = (flags[0], *flags[1:3], "the", *flags[4:], *SPECIAL)
    assert program.call(*beside, stdin=USER.encode() * 40).code == ExitCode.CONTEXT


# --- pipes that nobody named


@pytest.mark.parametrize("named", [("-",), (), ("--file", "-"), ("--file", "prompt.txt")])
def test_a_named_source_or_the_whole_prompt_has_tokens(
    program: Program, model: str, named: tuple[str, ...]
) -> None:
    (program.place / "prompt.txt").write_text(USER)
    stdin = b"" if "prompt.txt" in named else USER.encode()
    assert read(program, model, *SPECIAL, *named, stdin=stdin) == ["<s>", USER]


def test_a_pipe_beside_an_argument_is_text(program: Program, model: str) -> None:
    got = read(program, model, *SPECIAL, USER, stdin=USER.encode())
    assert got == ["<s>", USER, "▁", "<0x0A>", "<0x0A>", *USER]
    assert read(program, model, *SPECIAL, "", stdin=USER.encode()) == ["<s>", *spelled(USER)]
    got = read(program, model, *SPECIAL, USER, "--file", "-", stdin=USER.encode())
    assert got == ["<s>", USER, "▁", "<0x0A>", "<0x0A>", USER]


def test_no_name_begins_in_the_argument_and_ends_in_the_pipe(program: Program, model: str) -> None:
    (program.place / "p.yaml").write_text('prompt: "<|{{ input }}|>"\n')
    preset = ("--preset", "./p.yaml")
    assert read(program, model, *SPECIAL, *preset, "user") == ["<s>", USER]
    assert read(program, model, *SPECIAL, *preset, stdin=b"user") == ["<s>", *spelled(USER)]


def test_a_presets_own_text_has_tokens_and_what_is_piped_has_none(
    program: Program, model: str
) -> None:
    (program.place / "p.yaml").write_text("prompt: '{{ input }}<|end|>{{ input }}'\n")
    preset = (*SPECIAL, "--preset", "./p.yaml")
    assert read(program, model, *preset, USER) == ["<s>", USER, "<|end|>", USER]
    assert read(program, model, *preset, "-", stdin=USER.encode()) == [
        "<s>", USER, "<|end|>", USER,
    ]  # fmt: skip
    got = read(program, model, *preset, stdin=USER.encode())
    assert got == ["<s>", *spelled(USER), "<|end|>", *spelled(USER)]


def test_a_preset_that_reads_no_input_gets_the_pipe_as_text(program: Program, model: str) -> None:
    (program.place / "p.yaml").write_text("prompt: <|user|>\n")
    got = read(program, model, *SPECIAL, "--preset", "./p.yaml", stdin=b"<|end|>")
    assert got == ["<s>", USER, "▁", "<0x0A>", "<0x0A>", *"<|end|>"]


def test_a_preset_that_changes_a_pipe_is_refused(program: Program, model: str) -> None:
    (program.place / "p.yaml").write_text("prompt: '{{ input | upper }}<|end|>'\n")
    flags = ("generate", "-m", model, *SPECIAL, "--preset", "./p.yaml", "-n", "1")
    line = program.call(*flags, stdin=b"the").complaint(ExitCode.USAGE)
    assert "p.yaml:1" in line and "- in place of the prompt" in line
    assert program.call(*flags, "-", stdin=b"the").code == 0
    assert program.call(*flags[:3], "--raw", *flags[5:], stdin=b"the").code == 0


# --- a prompt that does not fit


@pytest.mark.parametrize("overflow", ["truncate-start", "truncate-middle"])
def test_what_is_dropped_is_text(program: Program, model: str, overflow: str) -> None:
    prompt = USER + "the cat " * 60 + "<|assistant|>" + "the cat " * 60 + "<|end|>"
    flags = (*SPECIAL, "--overflow", overflow, "--context", "64", "-n", "1")
    got = read(program, model, *flags, prompt, stdin=b"<|end|>")
    assert [token for token in got if token.startswith("<|")] == [
        USER, "<|assistant|>", "<|end|>",
    ]  # fmt: skip
    assert got[-7:] == [*"<|end|>"]
    assert 32 < len(got) < 64


# --- receipts


def test_a_receipt_keeps_it(program: Program, model: str) -> None:
    read(program, model, *SPECIAL, USER, stdin=b"<|end|>")
    document = written(program)
    assert document["special"] is True
    assert document["messages"] == [
        {"role": "user", "content": "<|user|>\n\n<|end|>", "literal": [[10, 17]]}
    ]
    done = program.call("replay", "run.json", "--json")
    assert (done.code, done.json["differences"]) == (0, [])


@pytest.mark.parametrize("change", [{"special": False}, {"special": None}])
def test_an_edit_of_it_is_found(program: Program, model: str, change: dict[str, object]) -> None:
    read(program, model, *SPECIAL, USER)
    document = {**written(program), **change}
    if document["special"] is None:
        del document["special"]
    (program.place / "run.json").write_text(json.dumps(document))
    done = program.call("replay", "run.json", "--json")
    assert done.code == ExitCode.DIFFERENT
    assert done.json["differences"][0]["what"] == "special"


@pytest.mark.parametrize("literal", [[[3, 1]], [[0, 99]], [[1]], [[0, 2], [1, 3]], [["a", 1]], 1])
def test_ranges_that_are_none_are_refused(program: Program, model: str, literal: object) -> None:
    read(program, model, *SPECIAL, USER, stdin=b"<|end|>")
    document = written(program)
    document["messages"][0]["literal"] = literal  # type: ignore[index]
    (program.place / "run.json").write_text(json.dumps(document))
    assert "messages[0].literal" in program.call("replay", "run.json").complaint(ExitCode.USAGE)


def test_without_it_a_receipt_is_as_before(program: Program, model: str) -> None:
    read(program, model, "--raw", USER)
    document = written(program)
    assert "special" not in document and "special" not in document["checksums"]  # type: ignore[operator]
    assert program.call("replay", "run.json").code == 0


# --- stops, biases, targets, grammars, tests of presets


def ends(program: Program, model: str, *arguments: str) -> tuple[str, str, int]:
    flags = ("-m", model, "--raw", "the", "--temperature", "0", "-n", "3", "--json")
    done = program.call("generate", *flags, *arguments)
    assert done.code == 0, done.stderr
    stop = done.json["stop"]
    return stop["reason"], stop["detail"], done.json["usage"]["completion_tokens"]


def test_a_bias_for_the_name_of_a_control_token_is_for_that_token(
    program: Program, model: str
) -> None:
    forced = (f"{USER}=100", "--stop", USER)
    assert ends(program, model, "-l", *forced) == ("stop-sequence", USER, 1)
    assert ends(program, model, "-l", "</s>=100") == ("end-of-generation", "</s>", 0)
    assert ends(program, model, "-l", f"{USER}=100", "-l", f"{USER}=false")[0] == "max-tokens"


def test_a_bias_for_more_than_a_name_is_for_every_token_of_the_text(
    program: Program, model: str
) -> None:
    flags = ("-m", model, "--raw", "the", "-n", "1", "--json", "--top-k", "0", "--temperature", "1")
    for text, count in ((USER, 1), (f"{USER}a", len({*USER, "a"})), (" fox", 1)):
        done = program.call("explain", *flags, "-l", f"{text}=false")
        kept = {stage["name"]: stage["kept"] for stage in done.json["tokens"][0]["stages"]}
        assert kept["model"] - kept["logit_bias"] == count, text


def test_dry_sees_no_repetition_across_a_control_token(program: Program, model: str) -> None:
    prompt = f"the cat{USER}fox the cat{USER}"
    flags = (*SPECIAL, prompt, "-l", " fox=20", "--temperature", "0", "--penalize-prompt")
    dry = ("--dry-multiplier", "50", "--dry-sequence-breakers")
    for breaker, is_fox in ((USER, True), ("zzz", False)):
        read(program, model, *flags, *dry, breaker)
        assert (written(program)["answer_ids"] == [TOKENS.index("▁fox")]) is is_fox


def test_explain_finds_the_control_token_that_ended_a_text(program: Program, model: str) -> None:
    flags = ("--raw", "the", "-l", f"{USER}=100", "--stop", USER, "-n", "3", "-q")
    done = program.call("explain", "-m", model, *flags, "--color", "never")
    assert f'stop sequence "{USER}" matched at character 0, by draw 1' in done.text
    flags = ("--raw", "the", "-l", f"{USER}=100", "--what-if", f"stop={USER}", "-n", "3", "-q")
    done = program.call("explain", "-m", model, *flags, "--color", "never")
    assert f'the text ends after 1: stop-sequence ("{USER}")' in done.text


def test_a_target_has_control_tokens_if_the_prompt_may(program: Program, model: str) -> None:
    (program.place / "target.txt").write_text(f"a{USER}")
    flags = ("explain", "-m", model, "--target", "target.txt", "--json", "the")
    for special, count in (((*SPECIAL,), 2), (("--raw",), 1 + len(USER))):
        done = program.call(*flags, *special)
        assert done.code == 0, done.stderr
        assert len(done.json["tokens"]) == count


def test_a_grammar_names_a_control_token_outside_quotes(program: Program, model: str) -> None:
    done = program.call(
        "generate", "-m", model, "--raw", "the", "-n", "2", "--grammar", f"root ::= {USER} {USER}",
        "--receipt", "run.json", "-q",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert written(program)["answer_ids"] == [TOKENS.index(USER)] * 2


def test_a_presets_test_expects_a_control_token_first(program: Program, model: str) -> None:
    flags = ("-m", model, "the", "-l", f"{USER}=100", "-n", "1", "--json", "--logprobs", "0")
    probability = math.exp(program.call("generate", *flags).json["tokens"][0]["logprob"])
    around = f"{{text: '{USER}', min: {probability * 0.999}, max: {probability * 1.001}}}"
    (program.place / "p.yaml").write_text(
        f"model: {model}\nparameters: {{max_tokens: 1}}\n"
        f"tests: [{{input: the, expect: {{first: {around}}}}}]\n"
    )
    done = program.call("presets", "test", "./p.yaml", "--json")
    assert done.code == 0, done.text + done.stderr
