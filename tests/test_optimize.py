"""`optimize`: scripted models whose best setting is known, through the real program."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
from models import write_adapter
from program import Program, wait_until
from searched import LONG, TOKENS, Task

from llmparams_cli.analysis.optimization import split
from llmparams_cli.backends.scripted import ScriptedBackend
from llmparams_cli.errors import ExitCode
from llmparams_cli.jobs.optimization import search
from llmparams_cli.presets.cases import read_cases

pytest.importorskip("optuna")


@pytest.fixture
def task(program: Program) -> Task:
    return Task(program)


def test_a_planted_number_is_found_and_proved(task: Task) -> None:
    found = task.search("--over", "max_tokens=1..70", "--over", "temperature=0..1")
    assert 20 <= found["best"]["values"]["max_tokens"] <= 24
    assert (found["best"]["score"], found["default"]["score"]) == (1.0, 0.0)
    assert found["better"] and found["held_back"]["difference"] == 1
    assert found["held_back"]["interval"][0] > 0.4 and len(found["held_back"]["winner"]) == 10
    assert len(found["trials"]) == 50
    # It was searched, not guessed: later trials are nearer than the first ones.
    tried = [abs(trial["values"]["max_tokens"] - 22) for trial in found["trials"]]
    assert sum(tried[-10:]) < sum(tried[:10])


def test_the_winner_is_a_preset_that_carries_its_evidence(task: Task) -> None:
    flags = ("--over", "max_tokens=1..30", "--over", "temperature=0.1..1.5", "--seeds", "2")
    done = task.call(*flags, "-o", "best", "--stop", "never")
    assert "better than the default by 100 points (95 % interval +" in done.text, done.stderr
    assert "temperature 1.5 (flag --over) has no effect" in done.stderr
    text = (task.program.place / "presets" / "best.yaml").read_text()
    assert text.startswith("# llmparams optimize --cases ")
    assert "--over 'temperature=0.1..1.5'" in text or "--over temperature=0.1..1.5" in text
    assert "# 2026-11-26, model script (SHA-256 " in text
    assert "# Searched: 30 trials on 10 cases, seeds 1 to 2: 100%, the default 0%." in text
    assert "# Proved on 10 cases held back, seeds 3 to 4: 100%, the default 0%;" in text
    assert "points, p = 0.002)." in text and "# found by optimize" in text
    evaluated = task.program.call(
        "evaluate", f"scripted:{task.script}", "--cases", str(task.cases), "-p", "best", "--json"
    )
    assert evaluated.json["variants"][0]["passed"] == 20
    shown = task.program.call("presets", "show", "best", "--json").json
    assert "never" in json.dumps(shown)


def test_what_changes_nothing_is_no_winner_and_no_preset(task: Task) -> None:
    task.answer("- texts: [right answer, wrong answer]")
    task.expect(*["{contains: right}"] * 20)
    done = task.call("--over", "max_tokens=20..90", "--trials", "15", "--seeds", "3", "-o", "best")
    assert done.code == 0 and "no setting beat the default" in done.text
    assert "no preset is written" in done.stderr
    assert not (task.program.place / "presets").exists()


def test_luck_on_the_searched_cases_does_not_survive_the_others(task: Task) -> None:
    task.expect(*["{tokens: {min: 1}}"] * 20)
    searched, _ = split(read_cases(task.cases, ""), 0.5)
    lucky = {case.mark.line - 1 for case in searched}
    task.expect(*("{tokens: {max: 5}}" if n in lucky else "{tokens: {min: 1}}" for n in range(20)))
    found = task.search("--over", "max_tokens=1..10", "-o", "best")
    assert found["best"]["score"] == 1 and found["default"]["score"] == 0
    assert not found["better"] and found["held_back"]["p"] == 1
    assert "no setting beat the default: no difference shown" in found["verdict"]
    assert not (task.program.place / "presets").exists()


def test_presets_and_system_texts_are_choices(task: Task) -> None:
    task.answer("- {when: please, text: yes it is}", "- text: no")
    task.expect(*["{contains: yes}"] * 12)
    for name, prompt in (("plain", "{{ input }}"), ("polite", "please {{ input }}")):
        (task.program.place / f"{name}.yaml").write_text(f"prompt: '{prompt}'")
        (task.program.place / f"{name}.txt").write_text(f"Be {name}.")
    over = ("--over", "preset=plain.yaml,polite.yaml", "--over", "system=@plain.txt,@polite.txt")
    found = task.search(*over, "-o", "best")
    assert found["best"]["values"] == {"preset": "polite.yaml", "system": "@plain.txt"}
    assert len(found["trials"]) == 4  # all there are
    text = (task.program.place / "presets" / "best.yaml").read_text()
    assert f'extends: ["{task.program.place}/polite.yaml"]' in text and "system: " in text
    assert "Be plain." in text


@pytest.mark.real_model
def test_what_has_no_effect_at_a_point_does_not_vary_there(task: Task) -> None:
    """top_k and xtc_threshold are nothing beside mirostat, and its tau is nothing without it."""
    axes = ("mirostat=0,2", "mirostat_tau=3,5", "top_k=1,40", "xtc_probability=0,0.5")
    over = [word for axis in (*axes, "xtc_threshold=0.1,0.3") for word in ("--over", axis)]
    task.expect(*["{tokens: {min: 1}}"] * 8)
    done = task.program.call(
        "optimize", "--cases", str(task.cases), *over, "-n", "2", "--trials", "90", "--json"
    )
    assert "has no effect" not in done.stderr
    tried = [trial["values"] for trial in done.json["trials"]]
    with_it = [each for each in tried if each["mirostat"] == "2"]
    assert sorted(map(sorted, with_it)) == [["mirostat", "mirostat_tau"]] * 2
    others = [each for each in tried if each["mirostat"] == "0"]
    assert len(tried) == len(with_it) + len(others) and len(others) == 4
    for each in others:
        assert "mirostat_tau" not in each
        # After top_k 1, XTC has no choice either.
        assert ("xtc_probability" in each) is (each["top_k"] == "40")
        assert ("xtc_threshold" in each) is (each.get("xtc_probability") == "0.5")


@pytest.mark.real_model
def test_adapters_are_choices_in_one_search(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    write_adapter(task.program.place)
    task.expect(*["{tokens: {min: 1}}"] * 8)
    flags = ("--metric", "mean:logprob", "-n", "3", "--temperature", "0", "--minimize", "-o", "it")
    done = task.program.call(
        *("optimize", "-m", "base.gguf", "--cases", str(task.cases), *flags, "--json"),
        *("--over", "lora=none,lora.gguf,lora.gguf:-2"),
    )
    assert done.code == 0, done.stderr
    by = {trial["values"]["lora"]: trial["scores"] for trial in done.json["trials"]}
    assert by["none"] == done.json["default"]["scores"]
    assert by["lora.gguf"] != by["none"] != by["lora.gguf:-2"] != by["lora.gguf"]
    gone = ("--over", "lora=none,gone.gguf,lora.gguf")
    monkeypatch.setattr(search, "opened", None)  # it is told before a model is loaded
    again = task.program.call("optimize", "-m", "base.gguf", "--cases", str(task.cases), *gone)
    assert "gone.gguf does not exist" in again.complaint(ExitCode.MODEL)


def test_values_that_contradict_each_other_are_not_tried(task: Task) -> None:
    task.answer("- text: yes", "- text: no")
    over = ("--over", "flash_attention=on,off", "--over", "cache_type_v=f16,q8_0")
    found = task.search(*over, "--over", "max_tokens=1,2,3")
    assert len(found["trials"]) == 3  # a script follows max_tokens alone


def test_held_back_cases_are_others_with_other_seeds(task: Task) -> None:
    task.expect(*[f"{TOKENS}, seeds: [{n}, 7]" for n in range(20)])
    cases = read_cases(task.cases, "")
    searched, held = split(cases, 0.5)
    assert sorted(c.mark.line for c in [*searched, *held]) == list(range(1, 21))
    assert {c.seeds for c in held} == {(20, 21)} and len(held) == 10
    assert [c.seeds[0] for c in searched] == [c.mark.line - 1 for c in searched]
    assert len(split(cases, 0.0)[1]) == 6 and len(split(cases, 1.0)[0]) == 2


def test_trials_share_batches(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    answer = ScriptedBackend.answer

    def counted(backend: ScriptedBackend, requests: Any) -> Any:
        sizes.append(len(requests))
        return answer(backend, requests)

    monkeypatch.setattr(ScriptedBackend, "answer", counted)
    task.search("--over", "max_tokens=1..60", "--trials", "15", "--seeds", "2")
    # The default and seven trials on half of the cases; at the end the winner's proof.
    assert sizes[0] == 8 * 5 * 2 and sizes[-1] == 2 * 10 * 2
    assert sum(sizes[:-1]) < 2 * 8 * 10 * 2  # of two batches with nothing given up


def test_hopeless_trials_are_given_up_and_cannot_win(task: Task) -> None:
    task.expect(*["{tokens: {min: 20}}"] * 40)
    found = task.search("--over", "max_tokens=1..30", "--trials", "30", "--max-tokens", "5")
    lengths = {trial["values"]["max_tokens"]: len(trial["scores"]) for trial in found["trials"]}
    assert len(found["default"]["scores"]) == 20  # hopeless, too, but the measure of all
    assert all(lengths[n] == 20 for n in lengths if n >= 20)
    assert any(lengths[n] == 5 for n in lengths)  # a quarter of the cases was enough
    assert found["best"]["values"]["max_tokens"] >= 20 and found["better"]
    for trial in found["trials"]:
        assert trial["given_up"] is (len(trial["scores"]) < 20)
    done = task.call("--over", "max_tokens=1..30", "--trials", "30", "--max-tokens", "5")
    count = sum(trial["given_up"] for trial in found["trials"])
    assert f"{count} given up early: clearly worse" in done.text


def test_nothing_is_tried_twice(task: Task) -> None:
    found = task.search("--over", "max_tokens=1..18", "--trials", "15")
    assert len({trial["values"]["max_tokens"] for trial in found["trials"]}) == 15
    assert len(task.search("--over", "max_tokens=1..9", "--minutes", "9")["trials"]) == 9


def test_all_trials_have_the_same_seeds(task: Task) -> None:
    task.answer("- texts: [right answer here, wrong answer]")
    task.expect(*["{contains: right}"] * 20)
    found = task.search("--over", "max_tokens=9..90", "--trials", "9", "--seeds", "4")
    assert len({tuple(trial["scores"]) for trial in found["trials"]}) == 1
    assert 0 < found["default"]["score"] < 1


def test_a_resumed_search_is_the_one_that_was_not_interrupted(task: Task) -> None:
    over = ("--over", "max_tokens=1..60", "--over", "temperature=0..1")
    whole = task.search(*over, "--trials", "23")
    task.search(*over, "--trials", "7")
    assert task.search(*over, "--trials", "23", "--resume") == whole
    assert len(task.search(*over, "--trials", "7")["trials"]) == 7  # begins anew


def test_only_the_same_search_is_resumed(task: Task) -> None:
    over = ("--over", "max_tokens=1..60")
    task.search(*over, "--trials", "2")
    task.answer("- text: something else")
    done = task.call(*over, "--resume")
    assert "no such search was begun" in done.complaint(ExitCode.USAGE)


def test_a_file_that_was_edited_is_another_search(task: Task) -> None:
    place = task.program.place
    for name in "ab":
        (place / f"{name}.json").write_text('{"type": "integer"}')
    (place / "in.txt").write_text("one")
    task.cases.write_text("- {file: in.txt, expect: {tokens: {min: 1}}}\n" * 8)
    task.answer("- {when: one, text: a b c}", "- text: a b")
    over = ("--over", "max_tokens=1,2,3", "--trials")
    task.search(*over, "1")
    (place / "in.txt").write_text("two")
    assert "no such search" in task.call(*over, "2", "--resume").complaint(ExitCode.USAGE)
    (place / "one.txt").write_text("Be kind.")
    (place / "two.txt").write_text("Be brief.")
    over = ("--over", "system=@one.txt,@two.txt", *over)
    task.search(*over, "1")
    assert task.call(*over, "2", "--resume").code == 0
    (place / "two.txt").write_text("Be long.")
    assert "no such search" in task.call(*over, "2", "--resume").complaint(ExitCode.USAGE)


@pytest.mark.real_model
def test_a_value_or_an_adapter_from_a_file_is_known_by_its_content(task: Task) -> None:
    place = task.program.place
    path = write_adapter(place)
    task.expect(*["{tokens: {min: 1}}"] * 8)
    common = ("optimize", "-m", "base.gguf", "--cases", str(task.cases), "-n", "1")
    for file, flags in (
        (path, ("--over", "lora=none,lora.gguf")),
        (place / "a.json", ("--over", "json_schema=@a.json,@b.json")),
    ):
        if file.suffix == ".json":
            (place / "a.json").write_text('{"type": "integer"}')
            (place / "b.json").write_text('{"type": "boolean"}')
        search = (*common, *flags, "--trials")
        assert task.program.call(*search, "1").code == 0
        assert task.program.call(*search, "1", "--resume").code == 0
        if file.suffix == ".json":
            file.write_text('{"type": "null"}')
        else:
            file.write_bytes(file.read_bytes() + bytes(32))
        done = task.program.call(*search, "1", "--resume")
        assert "no such search" in done.complaint(ExitCode.USAGE)


@pytest.mark.real_model
def test_a_trial_that_cannot_be_answered_is_left_out_with_its_reason(task: Task) -> None:
    task.expect(*["{tokens: {min: 1}}"] * 8)
    done = task.program.call(
        *("optimize", "--cases", str(task.cases), "-n", "4", "--json"),
        *("--over", "context=2,64", "--over", "temperature=0,1"),
    )
    assert done.code == 0, done.stderr
    tried = {tuple(t["values"].values()): len(t["scores"]) for t in done.json["trials"]}
    assert tried == {("2", "0"): 0, ("2", "1"): 0, ("64", "0"): 2, ("64", "1"): 2}
    reasons = [trial["failure"] for trial in done.json["trials"]]
    assert reasons[0].startswith("the prompt has") and reasons[2:] == [None, None]
    again = task.program.call(
        *("optimize", "--cases", str(task.cases), "-n", "4", "--resume"),
        *("--over", "context=2,64", "--over", "temperature=0,1"),
    )
    assert "cannot be run: context=2 temperature=0: the prompt has" in again.text
    assert "undefined" not in again.text


def test_an_undefined_metric_is_told_before_the_budget_is_spent(task: Task) -> None:
    task.answer("- text: one")
    over = ("--over", "max_tokens=1..60", "--metric", "mean:distinct-2", "--trials", "60")
    done = task.call(*over)
    assert "undefined for the default's answers" in done.complaint(ExitCode.USAGE)
    (journal,) = (Path(task.program.variables["LLMPARAMS_STATE_DIR"]) / "optimize").iterdir()
    assert journal.read_bytes().count(b"\n") == 1  # nothing is kept of it


def test_the_preset_is_there_though_nobody_reads_the_output(task: Task) -> None:
    command = ("--over", "max_tokens=1..30", "-o", "best", "--json", "--hold-back", "0")
    done = task.program.shell(f"llmparams {shlex.join(task.arguments(*command))} > /dev/full")
    assert done.code == ExitCode.OUTPUT
    text = (task.program.place / "presets" / "best.yaml").read_text()
    assert " --hold-back 0.0 " in text.splitlines()[0]


def test_a_torn_journal_loses_its_last_line_and_a_broken_one_is_named(task: Task) -> None:
    over = ("--over", "max_tokens=1..60", "--trials")
    task.search(*over, "7")
    (journal,) = (Path(task.program.variables["LLMPARAMS_STATE_DIR"]) / "optimize").iterdir()
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 9
    journal.write_bytes(b"".join(lines)[:-5])
    assert len(task.search(*over, "7", "--resume")["trials"]) == 7
    journal.write_bytes(lines[0] + b'{"values": 3}\n')
    assert ".jsonl:2: not a trial" in task.call(*over, "7", "--resume").complaint(ExitCode.USAGE)


def test_ctrl_c_keeps_what_is_done(task: Task) -> None:
    task.answer(f"- text: {LONG}", delay=0.002)
    over = ("--over", "max_tokens=1..60", "--trials")
    process = task.program.start(*task.arguments(*over, "400"))
    state = Path(task.program.variables["LLMPARAMS_STATE_DIR"]) / "optimize"
    wait_until(lambda: any(p.read_bytes().count(b"\n") > 8 for p in state.glob("*.jsonl")))
    process.send_signal(signal.SIGINT)
    done = task.program.end(process)
    assert done.code == ExitCode.INTERRUPTED and done.stdout == b""
    assert "trials are kept: the same command with --resume goes on" in done.stderr
    assert len(task.search(*over, "7", "--resume")["trials"]) >= 7


@pytest.mark.parametrize(
    ("flags", "best"),
    [
        (("--metric", "mean:tokens"), 9),
        (("--metric", "mean:tokens", "--minimize"), 3),
        (("--metric", "command:wc -w"), 9),
        (("--metric", "mean:length:5-6"), 5),
    ],
)
def test_metrics(flags: tuple[str, ...], best: int, task: Task) -> None:
    found = task.search("--over", "max_tokens=3..9", "--max-tokens", "7", *flags)
    assert found["best"]["values"] == {"max_tokens": best} and found["better"]
    assert found["held_back"]["difference"] > 0


def test_a_metric_that_is_no_number_ends_the_search(task: Task) -> None:
    done = task.call("--over", "max_tokens=3..9", "--metric", "command:echo none")
    assert "printed 'none'" in done.complaint(ExitCode.USAGE)
    done = task.call("--over", "max_tokens=3..9", "--metric", "mean:thought")
    assert "undefined for the default's answers" in done.complaint(ExitCode.USAGE)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--over", "temperature"), "has no values"),
        (("--over", "temperatur=0..1"), "did you mean temperature?"),
        (("--over", "temperature=1..0.5"), "the range is empty"),
        (("--over", "temperature=0..x"), "'x' is not a number"),
        (("--over", "top_p=0.5..2"), "2 is out of range"),
        (("--over", "temperature=1"), "there is nothing to choose"),
        (("--over", "preset=a"), "there is nothing to choose"),
        (("--over", "mmap=on,off"), "one model is loaded once"),
        (("--over", "seed=1..9"), "all trials have the same seeds"),
        (("--over", "top_k=1..9", "--over", "top_k=20,30"), "top_k is given twice"),
        (("--over", "top_k=1..9", "--metric", "speed"), "--metric 'speed' is unknown"),
        (("--over", "top_k=1..9", "--metric", "mean:speed"), "is unknown"),
        (("--over", "max_tokens=1..9", "--minutes", "0"), "no time"),
        (("--over", "max_tokens=1..9", "--minutes", "nan"), "no time"),
        (("--over", "top_k=1..9", "--hold-back", "nan"), "is no number"),
        (("--over", "temperature=0..inf"), "not a finite number"),
        (("--over", "max_tokens=1..9", "--resume"), "no such search was begun"),
        (("--over", "max_tokens=5..5"), "the range is empty (--over temperature=0.1..1.5"),
        (("--over", "max_tokens=-1..5"), "-1 has a meaning of its own and is no bound"),
        (("--over", "temperature=0.5,0.50"), "0.5 and 0.50 are the same"),
        (("--over", "top_k=1..9"), "this backend does not follow it (let something else vary)"),
        (("--over", "cache_type_v=q8_0,q4_0", "--flash-attention", "off"), "needs flash attention"),
    ],
)
def test_what_cannot_be_searched_is_refused(flags: Any, words: str, task: Task) -> None:
    assert words in task.call(*flags).complaint(ExitCode.USAGE)


def test_seven_cases_are_too_few(task: Task) -> None:
    task.expect(*[TOKENS] * 7)
    done = task.call("--over", "max_tokens=1..60")
    assert "7 cases are too few" in done.complaint(ExitCode.USAGE)


def test_a_preset_that_is_there_is_not_searched_for(task: Task) -> None:
    (task.program.place / "best.yaml").write_text("description: mine")
    done = task.call("--over", "max_tokens=1..60", "-o", "best.yaml")
    assert "--force replaces it" in done.complaint(ExitCode.PRESET)
    assert task.call("--over", "max_tokens=1..30", "-o", "best.yaml", "--force").code == 0
    assert "found by optimize" in (task.program.place / "best.yaml").read_text()


def test_minutes_are_a_budget(task: Task) -> None:
    found = task.search("--over", "max_tokens=1..60", "--minutes", "0.000001")
    assert len(found["trials"]) == 7  # what began before


def test_on_a_narrow_terminal(task: Task) -> None:
    over = ("--over", "max_tokens=1..30", "--over", "temperature=0.1..1.5", "--trials", "15")
    shown = task.program.terminal(*task.arguments(*over), width=60).end()
    assert shown.code == 0 and any("15 trials on 10 cases" in line for line in shown.lines)
