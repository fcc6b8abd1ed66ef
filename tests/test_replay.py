"""`replay`: the same answer again, or where and why it is another one."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models import write_llama
from program import Program, Shown

from llmparams_cli.errors import ExitCode
from llmparams_cli.models import builtin
from llmparams_cli.models.gguf import read_model
from llmparams_cli.protocol import Finished, Stop, StopReason, Timing, Token, Usage
from llmparams_cli.records import reading
from llmparams_cli.records.comparison import NEAR_TIE, Difference, Drawn, Parting, Replay

DIFFERENT, USAGE = ExitCode.DIFFERENT, ExitCode.USAGE
GREEDY = ("generate", "Tell me a story", "-n", "20", "--temperature", "0", "--quiet")
SAMPLED = ("generate", "Tell me a story", "-n", "20", "--seed", "3", "--quiet")


def write(program: Program, *arguments: str) -> dict[str, Any]:
    """A run with the receipt run.json."""
    done = program.call(*arguments, "--receipt", "run.json")
    assert done.code == 0, done.stderr
    return read(program)


def read(program: Program) -> dict[str, Any]:
    document = json.loads((program.place / "run.json").read_text())
    assert isinstance(document, dict)
    return document


def edit(program: Program, change: Callable[[dict[str, Any]], object]) -> None:
    document = read(program)
    change(document)
    (program.place / "run.json").write_text(json.dumps(document))


def report(program: Program, *arguments: str, code: int = DIFFERENT) -> dict[str, Any]:
    done = program.call("replay", "run.json", "--json", *arguments)
    assert done.code == code, done.stderr + done.text
    assert isinstance(done.json, dict)
    return done.json


def flip(path: Path, weights: int | None = None) -> None:
    """Change the signs of so many weights of a model, or of a whole matrix; its size and its
    date stay.
    """
    header = read_model(path)
    [tensor] = [t for t in header.tensors if t.name == "blk.0.attn_v.weight"]
    assert tensor.type.name == "F16"
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(header.data_offset + tensor.offset)
        data = bytearray(file.read(2 * weights if weights else tensor.bytes))
        data[1::2] = bytes(byte ^ 0x80 for byte in data[1::2])
        file.seek(header.data_offset + tensor.offset)
        file.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


# --- the same answer


@pytest.mark.parametrize("arguments", [GREEDY, SAMPLED])
def test_the_same_settings_give_the_same_answer(program: Program, arguments: Any) -> None:
    receipt = write(program, *arguments)
    result = report(program, code=0)
    assert result["identical"] is True
    assert (result["parting"], result["differences"], result["reasons"]) == (None, [], [])
    assert result["text"] == {"recorded": receipt["text"], "replayed": receipt["text"]}
    text = program.call("replay", "run.json").text
    assert (
        text == "identical: 20 tokens up to max-tokens; the same model file, library and machine\n"
    )


def test_a_seed_drawn_at_random_is_drawn_again(program: Program) -> None:
    write(program, *SAMPLED[:4], "--temperature", "1.5", "--quiet")
    assert report(program, code=0)["identical"]


def test_every_setting_survives_the_receipt(program: Program) -> None:
    (program.place / "yes.gbnf").write_text("root ::= [a-z ]{5,30}")
    write(
        program,
        *("generate", "Say it", "--seed", "5", "--grammar", "@yes.gbnf", "--stop", "q"),
        *("--logit-bias", "42=false", "--repeat-penalty", "1.2", "--system", "Be brief."),
        *("--sampler-order", "top_k,temperature", "--logprobs", "2", "--json"),
    )
    result = report(program, code=0)
    assert result["identical"] and result["drift"] == 0.0


def test_presets_and_variables_of_today_change_nothing(program: Program) -> None:
    write(program, *GREEDY)
    (program.place / "llmparams.yaml").write_text("parameters:\n  max_tokens: 3\n")
    assert report(
        program,
        code=0,
    ).get("identical")
    done = program.call("replay", "run.json", LLMPARAMS_MAX_TOKENS="2")
    assert done.code == 0


def test_a_chat_template_and_raw_text_are_told_apart(program: Program) -> None:
    write(program, *GREEDY, "--raw")
    assert report(program, code=0)["identical"]


def test_a_run_that_the_clock_ended_stops_at_the_same_token(program: Program) -> None:
    receipt = write(program, *GREEDY)
    cut = len(receipt["answer_ids"]) - 5

    def interrupt(document: dict[str, Any]) -> None:
        for name in ("answer_ids", "answer_texts"):
            document[name] = document[name][:cut]
        document["text"] = "".join(document["answer_texts"])
        document["stop"] = {"reason": "time-limit", "detail": "1 s"}

    edit(program, interrupt)
    result = report(program, code=0)
    assert result["identical"]
    assert result["tokens"] == {"recorded": cut, "replayed": cut}


def test_the_last_run_and_an_id_of_the_log_can_be_replayed(program: Program) -> None:
    assert program.call(*SAMPLED).code == 0
    [run] = program.call("log", "--json").json
    for name in ("last", run["id"], run["id"][:12], run["id"][-6:]):
        assert program.call("replay", name).text.startswith("identical: 20 tokens"), name


# --- another answer


def test_a_changed_temperature_is_found_where_it_first_matters(program: Program) -> None:
    receipt = write(program, *SAMPLED)
    edit(program, lambda d: d["parameters"]["temperature"].update(value=1.9))
    result = report(program)
    parting = result["parting"]
    index = parting["index"]
    assert result["text"]["replayed"] != receipt["text"]
    assert parting["before"] == "".join(receipt["answer_texts"][:index])
    assert parting["recorded"]["id"] == receipt["answer_ids"][index]
    assert parting["recorded"]["text"] == receipt["answer_texts"][index]
    assert parting["replayed"]["id"] != parting["recorded"]["id"]
    assert parting["recorded"]["logprob"] <= 0 and parting["replayed"]["logprob"] <= 0
    assert result["differences"] == [
        {"what": "parameters.temperature", "recorded": None, "replayed": "1.9"}
    ]


def test_the_numbers_of_a_parting_are_the_models_own(program: Program) -> None:
    arguments = ("--json", "--logprobs", "100", "--temperature", "0.8", "--seed", "3")
    done = program.call(
        "generate", "Tell me a story", "-n", "20", *arguments, "--receipt", "run.json"
    )
    tokens = done.json["tokens"]
    parting = report(program, "--set", "temperature=1.9")["parting"]
    there = tokens[parting["index"]]
    top = {candidate["id"]: candidate["logprob"] for candidate in there["top"]}
    assert parting["recorded"]["recorded_logprob"] == there["logprob"]
    assert parting["recorded"]["logprob"] == pytest.approx(there["logprob"], abs=1e-5)
    assert parting["replayed"]["logprob"] == pytest.approx(top[parting["replayed"]["id"]], abs=1e-5)


def test_one_setting_can_be_changed_and_both_texts_are_shown(program: Program) -> None:
    receipt = write(program, *SAMPLED)
    done = program.call("replay", "run.json", "--set", "temperature=1.9", "--set", "top-k=0")
    assert done.code == DIFFERENT
    assert "parameters.temperature: 0.8 recorded, 1.9 (--set) here" in done.text
    assert "parameters.top_k: 40 recorded, 0 (--set) here" in done.text
    assert f"recorded, up to max-tokens:\n{receipt['text']}\n" in done.text
    same = program.call("replay", "run.json", "--set", "xtc_threshold=0.2")
    assert same.text.startswith("identical: 20 tokens") and "although" in same.text


def test_an_answer_that_goes_on_or_ends_sooner_says_so(program: Program) -> None:
    write(program, *GREEDY)
    longer = report(program, "--set", "max_tokens=25")["parting"]
    assert longer["index"] == 20 and longer["recorded"]["id"] is None
    assert longer["recorded"]["text"] == "max-tokens (20 tokens)"
    shorter = report(program, "--set", "max_tokens=15")["parting"]
    assert shorter["index"] == 15 and shorter["replayed"]["id"] is None
    assert (
        "the end: max-tokens (15 tokens)"
        in program.call("replay", "run.json", "--set", "max_tokens=15").text
    )


def test_repeated_lists_are_joined(program: Program) -> None:
    text = write(program, *GREEDY)["answer_texts"][3]
    result = report(program, "--set", "stop=xyzzy", "--set", f"stop={text}")
    assert result["stop"]["replayed"] == {"reason": "stop-sequence", "detail": text}
    shown = json.dumps(["xyzzy", text], ensure_ascii=False)
    assert result["differences"][0]["replayed"] == f"{shown} (--set)"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("temperature", "has no ="),
        ("temprature=1", "did you mean temperature?"),
        ("temperature=-1", "--set temperature: -1 is out of range"),
        ("num_predict=3", "did you mean max_tokens?"),
    ],
)
def test_a_wrong_change_is_one_line(program: Program, change: str, words: str) -> None:
    write(program, *GREEDY, "-n", "1")
    assert words in program.call("replay", "run.json", "--set", change).complaint(USAGE)


def test_an_edited_seed_is_the_one_that_runs(program: Program) -> None:
    receipt = write(program, *SAMPLED)
    edit(program, lambda d: d.update(seed=4))
    result = report(program)
    again = program.call(*SAMPLED, "--seed", "4", "--no-newline").text
    assert result["text"]["replayed"] == again
    assert result["text"]["replayed"] != receipt["text"]
    assert result["differences"] == [{"what": "seed", "recorded": None, "replayed": "4"}]


def test_an_edited_prompt_is_found(program: Program) -> None:
    write(program, *GREEDY)
    edit(program, lambda d: d["messages"][0].update(content="What is top-k?"))
    result = report(program)
    whats = [difference["what"] for difference in result["differences"]]
    assert whats[0] == "messages"
    assert whats[1].startswith("prompt token ")


def test_an_edited_answer_is_found(program: Program) -> None:
    write(program, *GREEDY)
    edit(program, lambda d: d.update(text="something else"))
    result = report(program)
    assert result["parting"] is None
    assert result["differences"] == [{"what": "text", "recorded": None, "replayed": "otherwise"}]
    assert "the same 20 tokens, but another text" in program.call("replay", "run.json").text


# --- another model


def test_one_flipped_weight_is_found_though_size_and_date_are_the_same(program: Program) -> None:
    path = program.place / "model.gguf"
    shutil.copy(builtin.PATH, path)
    recorded = write(program, *GREEDY, "--model", "model.gguf")["model"]["sha256"]
    program.call(*GREEDY, "--model", "model.gguf")  # whose hash is remembered now
    flip(path, weights=1)
    done = program.call("replay", "run.json", "--json")
    assert done.code == (0 if done.json["identical"] else DIFFERENT)
    [difference] = done.json["differences"]
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    assert difference == {
        "what": "model file",
        "recorded": f"SHA-256 {recorded[:16]}…",
        "replayed": f"SHA-256 {now[:16]}…",
    }


def test_a_damaged_matrix_gives_another_answer_and_is_the_reason(program: Program) -> None:
    path = program.place / "model.gguf"
    shutil.copy(builtin.PATH, path)
    write(program, *GREEDY, "--model", "model.gguf")
    flip(path)
    result = report(program)
    assert result["parting"]["index"] < 20
    assert result["reasons"][0].startswith("model file: SHA-256 ")


def test_another_file_with_the_same_answer_is_told(program: Program) -> None:
    path = program.place / "model.gguf"
    shutil.copy(builtin.PATH, path)
    write(program, *GREEDY, "--model", "model.gguf")
    with path.open("ab") as file:
        file.write(b"\0")
    done = program.call("replay", "run.json")
    assert done.code == 0
    assert done.text.startswith("identical: 20 tokens up to max-tokens\n")
    assert "although  model file: SHA-256 " in done.text


def test_a_swapped_model_shows_the_recorded_tokens_by_their_own_names(program: Program) -> None:
    receipt = write(program, *GREEDY)
    write_llama(program.place / "tiny.gguf")
    result = report(program, "--model", "tiny.gguf")
    whats = [difference["what"] for difference in result["differences"]]
    assert whats[0] == "model file" and whats[1].startswith("prompt token 1 ")
    assert result["parting"]["recorded"]["text"] == receipt["answer_texts"][0]


def test_a_model_that_moved_is_named_with_the_cure(program: Program) -> None:
    path = write_llama(program.place / "tiny.gguf")
    write(program, *GREEDY, "--model", "tiny.gguf")
    path.rename(program.place / "moved.gguf")
    line = program.call("replay", "run.json").complaint(ExitCode.MODEL)
    assert "tiny.gguf" in line and "--model PATH" in line
    assert report(program, "--model", "moved.gguf", code=0)["identical"]


def test_the_built_in_model_is_found_wherever_it_is_installed(program: Program) -> None:
    write(program, *GREEDY)
    edit(program, lambda d: d["model"].update(path="/elsewhere/model.gguf"))
    assert report(program, code=0)["differences"] == []


def test_a_receipt_without_a_hash_is_compared_by_size_and_samples(program: Program) -> None:
    write(program, *GREEDY)
    edit(program, lambda d: d["model"].update(sha256=None, fingerprint="0" * 64))
    [difference] = report(program, code=0)["differences"]
    assert "fingerprint 0000000000000000…" in difference["recorded"]


# --- other circumstances


@pytest.mark.parametrize(
    ("section", "name", "value", "what"),
    [
        ("library", "llama-cpp-python", "0.2.0", "library llama-cpp-python"),
        ("library", "llama.cpp", "b1", "library llama.cpp"),
        ("device", "threads", 64, "device threads"),
        ("device", "gpus", ["H200"], "device gpus"),
        ("batch", "ubatch_size", 7, "batch ubatch_size"),
        ("batch", "cached_tokens", 7, "batch cached_tokens"),
    ],
)
def test_what_else_was_different_is_told(
    program: Program, section: str, name: str, value: Any, what: str
) -> None:
    write(program, *GREEDY, "-n", "2")
    edit(program, lambda d: d[section].update({name: value}))
    [difference] = report(program, code=0)["differences"]
    shown = value[0] if isinstance(value, list) else str(value)
    assert (difference["what"], difference["recorded"]) == (what, shown)


def test_another_version_of_the_program_is_told(program: Program) -> None:
    write(program, *GREEDY, "-n", "2")
    edit(program, lambda d: d.update(program="0.0.1"))
    [difference] = report(program, code=0)["differences"]
    assert difference["what"] == "program version" and difference["recorded"] == "0.0.1"


def made(one: float | None, other: float | None, drift: float | None = None) -> Replay:
    """A replay in which nothing differs but the token."""
    stop = Stop(StopReason.MAX_TOKENS, "1 tokens")
    finished = Finished("b", stop, Usage(1, 1), Timing(0, 0, 0, 0), (Token(2, "b"),))
    parting = Parting(0, "", Drawn(1, "a", one), Drawn(2, "b", other), None)
    receipt = object.__new__(reading.Receipt)
    object.__setattr__(receipt, "text", "a")
    return Replay(receipt, finished, parting, (), drift)


def test_where_nothing_differs_the_reason_is_rounding_or_unknown() -> None:
    [reason] = made(-1.0, -1.0 - NEAR_TIE / 2).reasons()
    assert reason.startswith("a near-tie")
    [reason] = made(-1.0, -2.0, drift=0.01).reasons()
    assert reason.startswith("rounding: ") and "0.01" in reason
    for unknown in (made(-1.0, -2.0), made(None, -1.0), made(-1.0, -2.0, drift=1e-7)):
        assert unknown.reasons() == ["unknown: nothing that the receipt knows of differs"]


@pytest.mark.parametrize(("gap", "near"), [(0.0, True), (0.04, True), (0.06, False), (0.3, False)])
def test_a_near_tie_is_no_wider_than_rounding(gap: float, near: bool) -> None:
    """The ways in which a prompt can be read differ by 0.02; a gap of 0.06 is no accident."""
    for replay in (made(-1.0, -1.0 - gap), made(-1.0 - gap, -1.0)):
        assert replay.parting is not None
        assert replay.parting.to_object()["near_tie"] is near
        assert replay.reasons()[0].startswith("a near-tie" if near else "unknown")


def test_an_impossible_token_has_no_number_in_json() -> None:
    assert Drawn(1, "a", -math.inf).to_object()["logprob"] is None
    assert str(Difference("x", "1", "2")) == "x: 1 recorded, 2 here"


# --- what is not there, and how it looks


def test_what_is_no_receipt_is_one_line(program: Program) -> None:
    assert "the log is empty" in program.call("replay", "last").complaint(USAGE)
    assert "no.json cannot be read" in program.call("replay", "no.json").complaint(USAGE)
    assert "cannot be read" in program.call("replay", ".").complaint(USAGE)
    program.call(*GREEDY, "-n", "1")
    line = program.call("replay", "zebra").complaint(USAGE)
    assert "no run 'zebra'" in line and "llmparams log" in line


def test_a_terminal_gets_colour_and_no_escapes_of_the_receipt(program: Program) -> None:
    write(program, *GREEDY)

    def poison(document: dict[str, Any]) -> None:
        document["answer_texts"][0] = "\x1b[2J"
        document["text"] = "\x1b[2Jgone"
        document["stop"]["detail"] = "\x1b[2J"
        document["library"]["llama.cpp"] = "\x1b[2J"

    edit(program, poison)
    shown: Shown = program.terminal("replay", "run.json", "--set", "seed=1").end()
    assert shown.code == DIFFERENT
    assert b"\x1b[2J" not in shown.received
    assert "<1b>[2Jgone" in "\n".join(shown.lines)
    assert b"\x1b[1;33mdifferent" in shown.received


def test_a_change_that_cannot_matter_is_told(program: Program) -> None:
    write(program, *GREEDY)
    done = program.call("replay", "run.json", "--set", "seed=9")
    assert done.code == 0
    assert "seed 9 (flag --set) has no effect" in done.stderr


def test_the_log_keeps_no_replays(program: Program) -> None:
    write(program, *GREEDY, "-n", "1")
    assert program.call("replay", "run.json").code == 0
    assert len(program.call("log", "--json").json) == 1
