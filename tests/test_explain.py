"""`explain`: the numbers shown are the numbers used."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from program import Program

STORY = ("explain", "Tell me a story", "--seed", "5", "-n", "16", "--json")
BEARS = "bear bear bear bear bear bear bear bear bear bear fox"


def explained(program: Program, *flags: str) -> dict[str, Any]:
    done = program.call(*STORY, *flags)
    assert done.code == 0, done.stderr
    document: dict[str, Any] = done.json
    return document


def drawn(token: dict[str, Any], stage: int) -> float | None:
    ids = [candidate["id"] for candidate in token["candidates"]]
    probability: float | None = token["stages"][stage]["probabilities"][ids.index(token["id"])]
    return probability


SETTINGS = [
    (),
    ("--temperature", "0"),
    ("--temperature", "1.5", "--top-k", "0", "--min-p", "0.02"),
    ("--mirostat", "2"),
    ("--mirostat", "1"),
    ("--repeat-penalty", "1.4", "--presence-penalty", "0.5", "--xtc-probability", "0.5"),
    ("--dry-multiplier", "0.8", "--typical-p", "0.9", "--top-n-sigma", "1.5"),
    ("--adaptive-p-target", "0.3"),
    ("--dynatemp-range", "0.5", "--sampler-order", "temperature,top_p,top_k"),
    ("--grammar", 'root ::= [a-z ]+ "."'),
    ("--logit-bias", " a=false", "--penalize-prompt", "--frequency-penalty", "0.7"),
]


@pytest.mark.parametrize("flags", SETTINGS, ids=" ".join)
def test_the_answer_is_that_of_generate_and_every_draw_is_possible(
    flags: tuple[str, ...], program: Program
) -> None:
    document = explained(program, *flags)
    arguments = ("generate", *STORY[1:], *flags)
    assert document["text"] == program.call(*arguments).json["text"]
    for token in document["tokens"]:
        assert drawn(token, -1), "what was drawn has a probability at the end"
        for stage in token["stages"]:
            known = [p for p in stage["probabilities"] if p is not None]
            assert sum(known) <= 1 + 1e-9
            assert 0 <= stage["cut"] <= 1


def test_the_first_stage_is_the_models_own_distribution(program: Program) -> None:
    document = explained(program, "--temperature", "1.3")
    logprobs = program.call("generate", *STORY[1:], "--temperature", "1.3", "--logprobs", "3").json
    for token, other in zip(document["tokens"], logprobs["tokens"], strict=True):
        assert math.log(drawn(token, 0) or 0) == pytest.approx(other["logprob"], abs=1e-5)
        assert token["stages"][0]["entropy"] == pytest.approx(other["entropy"], abs=1e-5)


def test_each_stage_follows_from_the_one_before(program: Program) -> None:
    """Truncation renormalises what it leaves; temperature divides logits."""
    document = explained(program, "--temperature", "0.7", "--top-k", "5", "--top-p", "1")
    for token in document["tokens"]:
        stages = {stage["name"]: stage for stage in token["stages"]}
        before, after = stages["model"]["probabilities"], stages["top_k"]["probabilities"]
        assert stages["top_k"]["kept"] == 5
        kept = 1 - stages["top_k"]["cut"]
        for one, other in zip(before, after, strict=True):
            assert other is None or other == pytest.approx(one / kept, rel=1e-6)
        logits = [x for x in stages["min_p"]["logits"] if x is not None]
        cold = [x for x in stages["temperature"]["logits"] if x is not None]
        assert cold == pytest.approx([x / 0.7 for x in logits], rel=1e-5)


@pytest.mark.parametrize("growth", ["once", "exponential"])
def test_bear_ten_times_fox_once(growth: str, program: Program) -> None:
    """The ledger shows the formulas: presence alike, frequency and repetition by the count."""
    flags = (
        "--raw", "--penalize-prompt", "--frequency-penalty", "0.3", "--presence-penalty", "0.5",
        "--repeat-penalty", "1.1", "--repeat-penalty-growth", growth, "-n", "1", "--json",
    )  # fmt: skip
    done = program.call("explain", BEARS, *flags, "--repeat-last-n", "-1")
    [token] = done.json["tokens"]
    entries = {entry["text"]: entry for entry in token["penalties"]}
    counts = {entry["count"] for entry in entries.values()}
    assert max(counts) >= 9
    for entry in entries.values():
        count = entry["count"]
        factor = 1.1**count if growth == "exponential" else 1.1
        before = entry["before"]
        repeated = before / factor if before > 0 else before * factor
        assert entry["repetition"] == pytest.approx(before - repeated, abs=1e-5)
        assert entry["frequency"] == pytest.approx(0.3 * count)
        assert entry["presence"] == 0.5
        taken = entry["repetition"] + entry["frequency"] + entry["presence"]
        assert entry["after"] == pytest.approx(before - taken, abs=1e-4)


def test_what_if_is_what_really_happens(program: Program) -> None:
    flags = ("--temperature", "0.8", "--what-if", "temperature=0.2", "--what-if", "top_k=1")
    document = explained(program, *flags, "--continue")
    for what_if, other in zip(
        document["what_if"], (("--temperature", "0.2"), ("--top-k", "1")), strict=True
    ):
        really = program.call("generate", *STORY[1:], "--temperature", "0.8", *other).json["text"]
        assert what_if["number"] is not None
        assert what_if["text"] == really
        assert really.startswith(what_if["same_text"] + what_if["instead"])


def test_what_if_takes_a_preset_and_the_same_value_changes_nothing(program: Program) -> None:
    flags = ("--what-if", "deterministic", "--what-if", "temperature=0.8")
    other, same = explained(program, *flags)["what_if"]
    assert other["changes"] == ["preset deterministic"]
    assert same["number"] is None


def test_a_setting_that_decides_is_told_and_one_that_does_nothing_too(program: Program) -> None:
    effects = {
        effect["parameter"]: effect
        for effect in explained(program, "--temperature", "0.05", "--top-k", "1000")["effects"]
    }
    assert effects["temperature"]["changed"]
    assert not effects["top_k"]["changed"]
    assert effects["top_k"]["draws"] == 16


def test_the_effects_are_those_of_really_leaving_a_setting_out(program: Program) -> None:
    """The first draw that a setting decided is where the text without it parts."""
    effects = explained(program, "--temperature", "1.4")["effects"]
    [top_k] = [effect for effect in effects if effect["parameter"] == "top_k"]
    what_if = explained(program, "--temperature", "1.4", "--what-if", "top_k=0")["what_if"][0]
    assert what_if["number"] == (min(top_k["changed"]) if top_k["changed"] else None)


def test_the_end_token_and_stop_sequences_are_told(program: Program) -> None:
    hello = ("explain", "hi", "--temperature", "0", "--json")
    document = program.call(*hello, "--stop", "Xylophone", "--stop", "zzz").json
    if document["stop"]["reason"] == "end-of-generation":
        assert document["tokens"][-1]["is_end"]
        assert document["tokens"][-1]["end"]["rank"] == 1
    text = document["text"]
    stop = text[3:6]
    matched = program.call(*hello, "--stop", stop).json
    [found] = matched["stop_sequences"]
    assert found["matched"]
    assert text.find(stop) + len(stop) == found["at"]


def test_fit_tells_the_tightest_settings_that_admit_a_text(
    program: Program, tmp_path: Path
) -> None:
    (program.place / "t.txt").write_text(" there was a fox")
    flags = ("explain", "Once upon a time", "--raw", "--target", "t.txt", "--json")
    fit = program.call(*flags, "--top-k", "0", "--top-p", "1", "--min-p", "0").json
    assert not any(token["removed_by"] for token in fit["tokens"])
    mean = np.mean([token["logprob"] for token in fit["tokens"]])
    assert fit["perplexity"] == pytest.approx(math.exp(-mean))
    loose = ("--top-p", "1", "--min-p", "0")
    for flag, good, bad in (
        ("--top-k", fit["top_k"], fit["top_k"] - 1),
        ("--top-p", min(1, fit["top_p"] + 1e-4), fit["top_p"] - 1e-4),
        ("--min-p", fit["min_p"] * 0.999, fit["min_p"] * 1.001),
    ):
        for value, possible in ((good, True), (bad, False)):
            done = program.call(*flags, "--top-k", "0", *loose, flag, str(value))
            gone = [token["removed_by"] for token in done.json["tokens"] if token["removed_by"]]
            assert (not gone) == possible, (flag, value)


def test_the_overview_and_the_waterfall_fit_a_terminal(program: Program) -> None:
    flags = ("--seed", "5", "-n", "6", "--frequency-penalty", "0.4")
    for more in ((), ("--at", "3")):
        shown = program.terminal("explain", "hi", *flags, *more, width=90).end()
        assert shown.code == 0
        assert max(map(len, shown.lines)) <= 90
    assert any(line.startswith("penalties, over") for line in shown.lines)


@pytest.mark.parametrize("width", [20, 34, 40, 62, 80])
def test_a_narrow_terminal_gets_fewer_columns_and_a_line_for_every_draw(
    width: int, program: Program
) -> None:
    flags = ("--seed", "5", "-n", "6", "--temperature", "1.5", "--dynatemp-range", "0.4")
    shown = program.terminal("explain", "hi", *flags, "-q", width=width).end()
    assert shown.code == 0
    head, *draws = shown.lines[:7]
    assert "drawn" in head
    assert all(line.count('"') or "…" in line for line in draws), shown.lines
    assert not shown.lines[7]
    written = re.sub(r"\x1b\[\d*m", "", shown.received.decode()).splitlines()
    assert max(map(len, written)) <= max(width, 32), "words, and no halves of them"


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--what-if", "temprature=1"), 2, "unknown parameter 'temprature'"),
        (("--what-if", "top_p=3"), 2, "--what-if top_p: 3 is out of range"),
        (("--what-if", "nonsense"), 3, "unknown preset 'nonsense'"),
        (("--continue",), 2, "--continue has nothing to continue"),
        (("--at", "99", "-n", "3"), 2, "--at 99: there are 3 draws"),
        (("--target", "none.txt"), 2, "--target none.txt: No such file"),
    ],
)
def test_slips_are_told(flags: tuple[str, ...], code: int, message: str, program: Program) -> None:
    assert message in program.call("explain", "Tell me a story", *flags).complaint(code)


def test_nothing_that_a_model_writes_reaches_the_terminal_raw(program: Program) -> None:
    grammar = 'root ::= "\\x1b[31m" "\\u202e" "a"'
    for more in ((), ("--at", "1")):
        done = program.call("explain", "x", "--grammar", grammar, *more)
        assert done.code == 0, done.stderr
        assert b"\x1b" not in done.stdout and "\u202e" not in done.text
    assert json.loads(program.call("explain", "x", "--grammar", grammar, "--json").stdout)


def test_full_statistics_tell_what_each_setting_changed(program: Program) -> None:
    full = ("generate", *STORY[1:-1], "--stats", "full")
    effects = program.call(*full, "--json").json["effects"]
    assert effects == explained(program)["effects"]
    lines = program.call(*full).stderr.splitlines()
    assert any("min_p 0.05" in line and "16 draws" in line for line in lines)
    assert "effects" not in program.call(*full[:-2], "--json").json


def test_a_grammar_is_told_by_its_beginning(program: Program) -> None:
    words = " | ".join(f'"{word} of many words"' for word in ("this", "that", "other"))
    told = program.call("explain", "x", "--grammar", f"root ::= {words}", "-n", "4", "-q").text
    [line] = [line for line in told.splitlines() if line.startswith("  grammar ")]
    assert "... decided" in line and len(line) < 100
    grids = ("--grid", "grammar=@a.gbnf,@b.gbnf", "-n", "4")
    for name, first in (("a", "this"), ("b", "that")):
        (program.place / f"{name}.gbnf").write_text(f'root ::= "{first}" | {words}')
    done = program.call("compare", "x", *grids, "--top-k", "1")
    heads = [line for line in done.text.splitlines() if line.startswith("grammar=root")]
    assert len(heads) == 4 and all(len(line.split("  ")[0]) <= 80 for line in heads)
