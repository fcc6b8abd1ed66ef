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

from llmparams_cli.errors import ExitCode
from llmparams_cli.text.units import percent

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
        factor = 1.1 if growth == "exponential" else 1.1**count
        otherwise = before / factor if before > 0 else before * factor
        assert entry["other_growth"] == pytest.approx(before - otherwise, abs=1e-5)
        assert entry["frequency"] == pytest.approx(0.3 * count)
        assert entry["presence"] == 0.5
        taken = entry["repetition"] + entry["frequency"] + entry["presence"]
        assert entry["after"] == pytest.approx(before - taken, abs=1e-4)


JAPANESE = "Repeat after me: こんにちは世界"
Flags = tuple[str, ...]
# A prompt, flags of all runs, those of the first alone; and for each --what-if those of the run
# that it stands for.
WHAT_IFS: dict[str, tuple[str, Flags, Flags, dict[str, Flags]]] = {
    "stops at and across the joint": (
        "Tell me a story",
        ("--temperature", "1"),
        ("--stop", " was"),
        {
            "temperature=0.2": ("--temperature", "0.2", "--stop", " was"),
            "top_k=1": ("--top-k", "1", "--stop", " was"),
            "stop=a t": ("--stop", "a t"),
            "stop=he,top_k=3": ("--top-k", "3", "--stop", "he"),
        },
    ),
    "characters across tokens": (
        JAPANESE,
        ("--temperature", "1"),
        (),
        {
            "temp=0.2": ("--temperature", "0.2"),
            "--top-k=2": ("--top-k", "2"),
            "seed=77": ("--seed", "77"),
            "stop=は": ("--stop", "は"),
        },
    ),
    "ends": (
        "hi",
        ("--ignore-eos", "-n", "24"),
        (),
        {
            "ignore_eos=false": ("--no-ignore-eos",),
            "ignore_eos=false,-n=40": ("--no-ignore-eos", "-n", "40"),
            "max_tokens=3": ("-n", "3"),
            "n-predict=30": ("-n", "30"),
            "deterministic,max_tokens=5": ("-p", "deterministic", "-n", "5"),
        },
    ),
    "memories": (
        "Tell me a story",
        ("--mirostat", "2", "--repeat-penalty", "1.1", "-n", "16"),
        (),
        {
            "mirostat=1": ("--mirostat", "1"),
            "mirostat=0,adaptive_p_target=0.3": ("--mirostat", "0", "--adaptive-p-target", "0.3"),
            "repeat_penalty=1.3": ("--repeat-penalty", "1.3"),
            "mirostat=0,xtc_probability=0.5": ("--mirostat", "0", "--xtc-probability", "0.5"),
        },
    ),
    "grammars": (
        "Tell me a story",
        ("--grammar", 'root ::= [a-zA-Z]+ " " [a-z]+', "-n", "12"),
        (),
        {
            "grammar=none": ("--grammar", "none"),
            'grammar=root ::= [A-Za-z ]* "!"': ("--grammar", 'root ::= [A-Za-z ]* "!"'),
            "temperature=2": ("--temperature", "2"),
        },
    ),
    "the later wins": (
        "Tell me a story",
        ("--temperature", "1"),
        (),
        {
            "seed=99": ("--seed", "99"),
            "top_k=1,top_k=0": ("--top-k", "0"),
            "top_k=0,top_k=1": ("--top-k", "1"),
            "deterministic,temperature=1.8": ("--temperature", "1.8"),
            "deterministic,temp=1.5,temperature=0,top_k=0": ("--temperature", "0"),
            "temperature=2,top_k=1": ("--top-k", "1"),
            "top_k=1,temperature=2": ("--top-k", "1"),
        },
    ),
}


@pytest.mark.parametrize("case", WHAT_IFS)
def test_what_if_is_what_really_happens(case: str, program: Program) -> None:
    """Text and end are those of a real run, wherever and however the two part."""
    prompt, flags, own, others = WHAT_IFS[case]
    parted = set()
    for seed in range(6):
        run = (prompt, "--seed", str(seed), "--json", "-n", "16", *flags)
        options = [word for text in others for word in ("--what-if", text)]
        document = program.call("explain", *run, *own, *options, "--continue").json
        for what_if, other in zip(document["what_if"], others.values(), strict=True):
            # A grammar, the first of these flags, cannot be given twice.
            kept = flags[2:] if "--grammar" in other else flags
            real = program.call("generate", *run[: -len(flags)], *kept, *other).json
            place = (case, seed, what_if["changes"])
            same = what_if["number"] is what_if["ends_at"] is None and not what_if["goes_on"]
            parted.add(same)
            assert (document["text"] if same else what_if["text"]) == real["text"], place
            assert (document["stop"] if same else what_if["stop"]) == real["stop"], place
            if real["stop"]["reason"] != "stop-sequence":  # that may take from it
                assert what_if["ends_at"] or real["text"].startswith(what_if["same_text"]), place
    assert False in parted


def test_what_if_tells_where_the_text_ends_or_that_it_goes_on(program: Program) -> None:
    run = ("explain", "Once upon a time", "--seed", "7", "-n", "12", "--json")
    others = ("max_tokens=5", "max_tokens=40", "stop=there", "seed=7")
    document = program.call(*run, *(word for text in others for word in ("--what-if", text))).json
    shorter, longer, stopped, same = document["what_if"]
    assert (shorter["number"], shorter["ends_at"]) == (None, 5)
    assert document["text"].startswith(shorter["text"])
    assert shorter["stop"]["reason"] == "max-tokens"
    assert (longer["number"], longer["ends_at"], longer["goes_on"]) == (None, None, True)
    assert stopped["stop"] == {"reason": "stop-sequence", "detail": "there"}
    assert stopped["text"] == document["text"].split("there")[0]
    assert (same["ends_at"], same["goes_on"]) == (None, False)
    shown = program.call(*run[:-1], "--what-if", others[0], "--what-if", others[1]).text
    assert "every draw is the same, but the text ends after 5: max-tokens (5 tokens)" in shown
    assert "every draw is the same, but the text goes on" in shown


def test_a_stop_sequence_at_the_last_token_takes_from_the_text(program: Program) -> None:
    run = ("explain", "Once upon a time", "--seed", "7", "-n", "12", "--json")
    text = program.call(*run).json["text"]
    stop = next(text[at:] for at in range(len(text) - 1, 0, -1) if text.find(text[at:]) == at)
    [found] = program.call(*run, "--what-if", f"stop={stop}").json["what_if"]
    assert (found["number"], found["ends_at"], found["goes_on"]) == (None, 12, False)
    assert found["text"] == text.removesuffix(stop)
    assert found["stop"] == {"reason": "stop-sequence", "detail": stop}


@pytest.mark.parametrize(
    "flags",
    [
        ("--mirostat", "2"),
        ("--adaptive-p-target", "0.3"),
        ("--xtc-probability", "0.5"),
        ("--grammar", 'root ::= [a-zA-Z, ]+ "."'),
    ],
    ids=" ".join,
)
def test_the_probabilities_of_a_what_if_are_those_drawn_from(
    flags: tuple[str, ...], program: Program
) -> None:
    """The run's own is that of its last stage; the other's that of the other run's."""
    for seed in range(4):
        run = ("explain", "Tell me a story", "-n", "16", "--json", "--seed", str(seed), *flags)
        document = program.call(*run, "--what-if", "temperature=1.7").json
        [what_if] = document["what_if"]
        if what_if["number"] is None:
            continue
        other = program.call(*run, "--temperature", "1.7").json
        place = what_if["number"] - 1
        assert what_if["probability"] == pytest.approx(drawn(document["tokens"][place], -1))
        assert what_if["instead_probability"] == pytest.approx(drawn(other["tokens"][place], -1))


FIXED = ["context", "lora", "flash_attention", "cache_type_k", "threads", "time_limit", "-ngl"]
FIXED += ["thinking", "template_arg", "chat_template"]  # they make another prompt


@pytest.mark.parametrize("name", FIXED)
def test_what_if_refuses_what_a_replay_cannot_change(name: str, program: Program) -> None:
    complaint = program.call("explain", "hi", "--what-if", f"{name}=1").complaint(2)
    assert "the draws are made again, the model is not run again" in complaint


def test_what_if_says_what_it_leaves_out_of_a_preset(program: Program) -> None:
    (program.place / "p.yaml").write_text(
        "system: Speak as a fox.\nprompt: 'Say {{ input }}'\nparameters:\n  context: 999\n"
        "  chat_template: chatml\n"
    )
    done = program.call("explain", "hi", "-n", "2", "--what-if", "./p.yaml,top_k=1", "--json")
    [what_if] = done.json["what_if"]
    assert what_if["changes"] == ["preset ./p.yaml", "top_k 1"]
    assert "without its system text, prompt, context, chat_template" in done.stderr


def test_several_values_with_commas_are_one_what_if(program: Program) -> None:
    flags = ("--what-if", "temperature=0.4,top_p=0.5", "--what-if", "sampler_order=top_k,top_p")
    more = ("--what-if", "precise,temp=0.1", "--what-if", "stop=a, b,stop=c")
    more = (*more, "--what-if", "top_k=9,temp=2,top_k=3")
    changes = [what_if["changes"] for what_if in explained(program, *flags, *more)["what_if"]]
    assert changes == [
        ["temperature 0.4", "top_p 0.5"],
        ["sampler_order top_k,top_p"],
        ["preset precise", "temperature 0.1"],
        ['stop ["a, b", "c"]'],
        ["top_k 3", "temperature 2"],
    ]


def test_a_comma_before_what_is_no_parameter_belongs_to_the_value(program: Program) -> None:
    [found] = explained(program, "--what-if", "stop=one, a=b,temp=0.5")["what_if"]
    assert found["changes"] == ['stop ["one, a=b"]', "temperature 0.5"]


def test_the_ledger_shows_repetition_with_the_other_growth_too(program: Program) -> None:
    flags = ("--raw", "--penalize-prompt", "--presence-penalty", "0.5", "-n", "1", "--at", "1")
    for growth, other in (("once", "exponential"), ("exponential", "once")):
        repeat = ("--repeat-penalty", "1.1", "--repeat-penalty-growth", growth)
        shown = program.terminal("explain", BEARS, *flags, *repeat, width=80).end()
        assert shown.code == 0
        [head] = [line for line in shown.lines if line.startswith("token ")]
        assert head.endswith(f"after if {other}")
        assert f"if {other}: what repetition takes with" in "\n".join(shown.lines)
    assert "if once" not in program.call("explain", BEARS, *flags).text


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


def test_a_default_that_nothing_depends_on_is_no_setting_that_could_decide(
    program: Program,
) -> None:
    """At temperature 0 none of the truncating stages does anything; one was asked for."""
    effects = explained(program, "--temperature", "0", "--min-p", "0.3")["effects"]
    assert [effect["parameter"] for effect in effects] == ["temperature", "min_p"]


def test_ignore_eos_is_among_the_settings_that_decide(program: Program) -> None:
    """It decided the draw at which the model would have ended."""
    run = ("explain", "hi", "--seed", "1", "-n", "30", "--ignore-eos", "--json")
    document = program.call(*run, "--what-if", "ignore_eos=false").json
    [effect] = [each for each in document["effects"] if each["parameter"] == "ignore_eos"]
    assert min(effect["changed"]) == document["what_if"][0]["number"]
    assert document["what_if"][0]["stop"]["reason"] == "end-of-generation"


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


def test_a_prompt_is_shortened_as_far_as_the_target_needs(program: Program) -> None:
    (program.place / "t.txt").write_text(" there was a fox")
    flags = ("explain", "the fox " * 200, "--raw", "--target", "t.txt", "--context", "100")
    done = program.call(*flags, "--overflow", "truncate-start")
    [note] = [line for line in done.stderr.splitlines() if "dropped" in line]
    numbers = "had 401 tokens, the target has 4 and the context holds 100: 305 tokens"
    assert numbers in note


@pytest.mark.parametrize("width", [80, 120])
def test_a_draw_is_pictured_as_two_distributions(width: int, program: Program) -> None:
    """Logit, probability and a bar of each candidate, in the model's and as it was drawn."""
    flags = ("Tell me a story", "--seed", "2", "-n", "4", "--temperature", "2", "--mirostat", "2")
    token = program.call("explain", *flags, "--json").json["tokens"][2]
    shown = program.terminal("explain", *flags, "--at", "3", width=width).end()
    assert max(map(len, shown.lines)) <= width
    [at] = [i for i, line in enumerate(shown.lines) if line.startswith("candidate ")]
    first, last = token["stages"][0], token["stages"][-1]
    bars = []
    for place, candidate in enumerate(token["candidates"]):
        line = shown.lines[at + 1 + place]
        star = "*" if candidate["id"] == token["id"] else ""
        name = f'"{candidate["text"]}"{star}'
        assert line.startswith(name)
        logit, share, *drawn = line.removeprefix(name).split()
        assert float(logit) == pytest.approx(first["logits"][place], abs=6e-4)
        assert share == percent(first["probabilities"][place])
        assert (f"{last['logits'][place]:.3f}" in drawn) == (last["logits"][place] is not None)
        assert percent(last["probabilities"][place]) in drawn
        bars.append(line.count("█"))
    assert bars == sorted(bars, reverse=True) and bars[0] > 10
    shares = [p for p in first["probabilities"] if p is not None]
    others = shown.lines[at + 1 + len(token["candidates"])]
    assert others.split()[:3] == [
        str(first["kept"] - len(shares)), "others", percent(1 - sum(shares)),
    ]  # fmt: skip


def test_a_draw_is_shown_after_the_end_of_the_text_before_it(program: Program) -> None:
    run = ("explain", "Once upon a time", "--seed", "7", "-n", "40", "-q")
    texts = [token["text"] for token in program.call(*run, "--json").json["tokens"]]
    for number in (1, 2, 5, 40):
        before = "".join(texts[: number - 1])
        shown = f"…{before[-60:]}" if len(before) > 60 else before
        lines = program.call(*run, "--at", str(number)).text.splitlines()
        assert lines[0] == f'draw {number} of 40: "{texts[number - 1]}"'
        assert lines[1] == (f'after "{shown}"' if before else "the first")
    assert len(before) > 60


def test_the_picture_of_a_draw_in_ascii_and_on_a_narrow_terminal(program: Program) -> None:
    flags = ("explain", "Once upon a time", "--raw", "--seed", "2", "-n", "4", "--at", "2")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    penalties = ("--penalize-prompt", "--repeat-penalty", "1.2", "--presence-penalty", "0.1")
    shown = program.terminal(*flags, *penalties, width=52, **ascii_only).end("ascii")
    assert max(map(len, shown.lines)) <= 52
    assert any("####" in line for line in shown.lines)
    [head] = [line for line in shown.lines if line.startswith("token ")]
    assert head.split() == ["token", "count", "logit", "repetition", "if", "exponential"]


def test_the_overview_and_the_waterfall_fit_a_terminal(program: Program) -> None:
    flags = ("--seed", "5", "-n", "6", "--frequency-penalty", "0.4")
    for more in ((), ("--at", "3")):
        shown = program.terminal("explain", "hi", *flags, *more, width=90).end()
        assert shown.code == 0
        assert max(map(len, shown.lines)) <= 90
    assert any(line.startswith("penalties, over") for line in shown.lines)


def test_a_stage_is_one_line_where_no_candidate_fits_beside_it(program: Program) -> None:
    shown = program.terminal(
        "explain", "Tell me a story", "-n", "4", "--at", "2", "-q", width=40
    ).end()
    head = next(i for i, line in enumerate(shown.lines) if line.startswith("stage"))
    assert shown.lines[head].split() == ["stage", "left", "cut", "bits", "rank"]
    rows = [line.split() for line in shown.lines[head + 1 : head + 4]]
    assert [len(row) for row in rows] == [5, 5, 5]
    assert any(line.startswith("candidate") for line in shown.lines)


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


def test_near_stops_know_what_another_stop_cut_off(program: Program) -> None:
    forced = ("--grammar", 'root ::= "Hello Felix, and more"', "--seed", "1")
    stops = ("--stop", "Felix, and", "--stop", "Felix, anx", "--stop", "Zz")
    done = program.call("explain", "hi", *forced, *stops, "--json").json
    cut, near, none = done["stop_sequences"]
    assert done["text"] == "Hello "
    assert (cut["matched"], cut["at"]) == (True, 16)
    assert (near["seen"], near["at"], near["matched"]) == ("Felix, an", 15, False)
    assert (none["seen"], none["number"]) == ("", None)
    drawn = [token["text"] for token in done["tokens"]]
    for stop in (cut, near):
        assert len("".join(drawn[: stop["number"]])) >= stop["at"]
        assert len("".join(drawn[: stop["number"] - 1])) < stop["at"]
    shown = program.call("explain", "hi", *forced, *stops).text
    assert f'the nearest was "Felix, an", up to character 15, by draw {near["number"]}' in shown


LONG = ("--ignore-eos", "-n", "900", "--seed", "1", "--temperature", "2")
EVERYTHING = (
    "--dry-multiplier", "0.8", "--xtc-probability", "0.3", "--typical-p", "0.9",
    "--top-n-sigma", "3", "--repeat-penalty", "1.1", "--frequency-penalty", "0.1",
    "--presence-penalty", "0.1", "--dynatemp-range", "0.2", "--repeat-last-n", "-1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("work", "flags"),
    [
        ("looking", (*LONG, *EVERYTHING, "--top", "1000")),
        ("comparing", (*LONG, *EVERYTHING)),
        ("continuing", ("-n", "4", "--what-if", "seed=2,max_tokens=-1,ignore_eos=1,temperature=2",
                        "--continue", "--context", "30000")),
    ],
)  # fmt: skip
def test_ctrl_c_ends_each_part_of_the_work(
    work: str, flags: tuple[str, ...], program: Program
) -> None:
    session = program.terminal("explain", "hi", *flags)
    session.wait_for(work)
    session.press_ctrl_c()
    shown = session.end()
    assert shown.code == ExitCode.INTERRUPTED
    assert not any(line.startswith("stopped: ") for line in shown.lines)


def test_a_grammar_is_told_by_its_beginning(program: Program) -> None:
    words = " | ".join(f'"{word} of many words"' for word in ("this", "that", "other"))
    told = program.call("explain", "x", "--grammar", f"root ::= {words}", "-n", "4", "-q").text
    [line] = [line for line in told.splitlines() if line.startswith("  grammar ")]
    assert "... decided" in line and len(line) < 100
    grids = ("--grid", "grammar=@a.gbnf,@b.gbnf", "-n", "4")
    for name, first in (("a", "this"), ("b", "that")):
        (program.place / f"{name}.gbnf").write_text(f'root ::= "{first}" | {words}')
    done = program.call("compare", "x", *grids, "--top-k", "1")
    heads = [line for line in done.text.splitlines() if line.startswith("grammar=@")]
    assert len(heads) == 4 and all(len(line.split("  ")[0]) <= 80 for line in heads)


def test_values_and_stop_reasons_are_told_as_by_generate(program: Program) -> None:
    flags = ("-p", "precise", "--temperature", "0.3", "--show-params", "-q")
    assert program.call("explain", *flags).text == program.call("generate", *flags).text != ""
    limited = ("explain", "hi", "-n", "2", "--fail-on", "max-tokens,context-full")
    done = program.call(*limited)
    assert done.code == 7 and done.text.startswith("draw")
    assert "generation stopped: max-tokens (2 tokens) (--fail-on max-tokens,context-full)" in (
        done.stderr
    )
    assert program.call("explain", "hi", "-n", "2", "--fail-on", "context-full").code == 0
    assert "'max' is not a stop" in program.call("explain", "hi", "--fail-on", "max").complaint(2)


def test_a_prompt_is_shortened_for_a_target_where_that_is_asked_for(program: Program) -> None:
    (program.place / "target.txt").write_text("one two three")
    long = ("explain", "word " * 100, "--context", "64", "--target", "target.txt", "--json")
    assert "the context holds 64" in program.call(*long).complaint(5)
    done = program.call(*long, "--overflow", "truncate-start")
    assert done.code == 0, done.stderr
    assert "were dropped from its start" in done.stderr
    assert "".join(token["text"] for token in done.json["tokens"]) == "one two three"


def test_the_time_limit_ends_the_reading_of_a_target_and_says_so(program: Program) -> None:
    (program.place / "target.txt").write_text("one two three")
    flags = ("--target", "target.txt", "--time-limit", "0.000001")
    assert "no token of the target was read in time" in program.call(
        "explain", "hi", *flags
    ).complaint(2)
    (program.place / "target.txt").write_text("word " * 20_000)
    flags = ("--target", "target.txt", "--time-limit", "0.3", "--context", "30000")
    done = program.call("explain", "hi", *flags, "--ubatch-size", "64", "--json")
    assert done.code == 0, done.stderr
    assert "the time limit (0.3 s) was reached" in done.stderr
    assert 0 < len(done.json["tokens"]) < 20_000


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1, "100%"), (0.9996, "100%"), (0.5, "50.0%"), (0.004, "0.40%"), (0.0001, "0.01%"),
        (9.6e-5, "0.01%"), (6e-5, "0.006%"), (3.9e-5, "0.004%"), (9.6e-6, "0.001%"),
        (4e-6, "4e-4%"), (4e-12, "4e-10%"), (0, "0%"),
    ],
)  # fmt: skip
def test_a_percentage_is_readable(share: float, text: str) -> None:
    assert percent(share) == text


def test_both_lines_of_entropies_are_on_one_scale(program: Program) -> None:
    """Temperature makes the second lower, and so does its line."""
    arguments = ("explain", "Tell me a story.", "--seed", "5", "-n", "12", "--temperature", "0.3")
    lines = program.call(*arguments).text.splitlines()
    model, drawn = (line.split()[2] for line in lines if line.startswith("entropy, "))
    assert "█" in model and "█" not in drawn
    assert all(lower <= higher for lower, higher in zip(drawn, model, strict=True))
