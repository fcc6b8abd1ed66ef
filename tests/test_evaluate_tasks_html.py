"""The reports of `evaluate --tasks`: the page in a real browser, and the JUnit XML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browser import browser, computed, opened
from models import write_llama
from program import Program
from test_evaluate_html import TEXTS
from test_evaluate_tasks import CHOICES, lines

from llmparams_cli.errors import ExitCode
from llmparams_cli.text.safe import one_line

HOSTILE = "</script><img src=x onerror=document.title='broken'>\x00\x1b\u202e\uffff {{data}}"
SHOWN = one_line(HOSTILE)
WRITTEN = """
dataset_path: json
dataset_kwargs: {data_files: {test: written.jsonl}}
test_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{[key, 'or else']}}"
generation_kwargs: {until: ["@@"]}
filter_list:
  - {name: <b>loose</b>, filter: [{function: regex, regex_pattern: "#(\\\\w+)"}]}
  - {name: strict, filter: [{function: take_first}]}
"""
ANSWERS = {  # to q0, q1, q2
    "good": ("#7 it is", "it is #seven", HOSTILE),
    "bad": ("#8", "#seven", ""),
}
MARKS = """
const marks = [...document.querySelectorAll("#items .marks")].map((node) => texts("span", node));
"""


@pytest.fixture
def chosen(program: Program) -> tuple[str, Any]:
    """The page of a multiple choice task with two models, and what --json says of the same run."""
    texts = ["fox", "a <b>bear</b>", HOSTILE, "the old, old owl"]
    choices = {"text": texts, "label": ["A", "B", "C", "D"]}
    items = [
        {"question": f"Who {number} {HOSTILE}?", "choices": choices, "key": "ABCD"[number % 4]}
        for number in range(8)
    ]
    (program.place / "test.jsonl").write_text(lines(items))
    shot = {"question": "Who?", "choices": choices, "key": "B"}
    (program.place / "train.jsonl").write_text(lines([shot, shot]))
    (program.place / "task.yaml").write_text(CHOICES.replace("task: animals", "task: <i>who</i>"))
    models = [
        str(write_llama(program.place / f"{name}.gguf", seed=seed, context=1024))
        for name, seed in (("one", 1), ("two", 2))
    ]
    flags = ("--tasks", "task.yaml", "--json", "--html", "page.html")
    done = program.call("evaluate", *models, *flags)
    assert done.code == 0, done.stderr
    return (program.place / "page.html").read_text(), done.json


@pytest.fixture
def written(program: Program):
    items = [{"question": f"q{n}", "key": key} for n, key in enumerate(["7", "seven", HOSTILE])]
    (program.place / "written.jsonl").write_text(lines(items))
    (program.place / "task.yaml").write_text(WRITTEN)
    for name, answers in ANSWERS.items():
        script = [{"when": f"q{number}", "text": text} for number, text in enumerate(answers)]
        (program.place / f"{name}.yaml").write_text(json.dumps({"answers": script}))
    models = ("scripted:bad.yaml", "scripted:good.yaml")
    return lambda *flags: program.call("evaluate", *models, "--tasks", "task.yaml", *flags)


@browser
def test_every_choice_has_its_numbers_and_who_chose_it(chosen, tmp_path: Path) -> None:
    page, told = chosen
    function = """
    const box = open(3), rows = [...box.querySelectorAll("tbody tr")];
    return {heads: texts("thead tr:first-child th", box), choices: texts("tbody bdi", box),
      cells: rows.map((row) => texts("td", row)), right: rows.map((row) => texts("th .met", row)),
      colors: rows.map((row) => [...row.querySelectorAll("td")].map((td) => td.className)),
      prompt: texts(".answer", box), facts: document.getElementById("facts").textContent};
    """
    found = computed(page, tmp_path, TEXTS + function)
    assert found["facts"] == "<i>who</i>: 8 documents, after 2 examples each, 2 models"
    assert found["choices"] == ["fox", "a <b>bear</b>", SHOWN, "the old, old owl"]
    assert found["right"] == [[], [], [], ["\u2713 right".rjust(8)]]
    models = {Path(each["model"]["path"]).name: each["documents"][3] for each in told["models"]}
    assert sorted(found["heads"][1:]) == ["one.gguf", "two.gguf"]
    assert "".join(found["prompt"]) == models["one.gguf"]["prompt"].replace(HOSTILE, SHOWN)
    for place, name in enumerate(found["heads"][1:]):
        document = models[name]
        for row, choice in enumerate(document["choices"]):
            cells = found["cells"][row][place * 4 : place * 4 + 4]
            shown = [float(cell.split()[-1]) for cell in cells[:3]]
            sizes = [1, len(choice["text"]), len(choice["text"].encode())]
            expected = [choice["logprob"] / size for size in sizes]
            assert shown == pytest.approx(expected, abs=0.0006)
            assert cells[3].endswith("yes" if choice["greedy"] else "no")
        right = {score["metric"]: score["score"] for score in document["scores"]}
        for column, metric in enumerate(("acc", "acc_norm", "acc_bytes")):
            colors = [row[place * 4 + column] for row in found["colors"]]
            assert [*filter(None, colors)] == ["met" if right[metric] else "failed"]


@browser
def test_scores_are_drawn_with_their_errors_for_every_metric(chosen, tmp_path: Path) -> None:
    page, told = chosen
    function = """
    const figures = [...document.querySelectorAll("#standings figure")];
    return {titles: texts("#standings figcaption bdi"), table: texts("#standings td, tbody th"),
      pairs: texts("#pairs li"), labels: figures.map((node) =>
        node.querySelector("svg").getAttribute("aria-label")),
      dots: figures.map((node) => [...node.querySelectorAll(".line-0")].map((line) =>
        [line.x1, line.x2].map((end) => end.baseVal.value)))};
    """
    found = computed(page, tmp_path, TEXTS + function)
    assert found["titles"] == ["acc", "acc_norm", "acc_bytes", "exact_match"]
    ranked = sorted(told["models"], key=lambda each: -each["scores"][0]["score"])
    for number, (label, dots) in enumerate(zip(found["labels"], found["dots"], strict=True)):
        for each, ends in zip(ranked, dots, strict=True):
            score, error = (each["scores"][number][key] for key in ("score", "error"))
            sides = [max(0, score - error), min(1, score + error)]
            assert ends == pytest.approx([24 + side * 592 for side in sides], abs=0.01)
            assert f"{Path(each['model']['path']).name}: {score * 100:.0f}" in label
            assert f"{score:.4f}" in found["table"] and f"\u00b1 {error:.4f}" in found["table"]
    (pair,) = found["pairs"]
    assert pair.startswith("acc: ") and "documents against" in pair


@browser
def test_hostile_documents_and_answers_are_text(chosen, written, program, tmp_path: Path) -> None:
    assert written("--html", "written.html").code == 0
    function = """
    boxes.forEach((box, number) => open(number));
    return [document.title, document.querySelectorAll("img, b, i").length,
      texts("#items .answer")];
    """
    for page in (chosen[0], (program.place / "written.html").read_text()):
        title, elements, answers = computed(page, tmp_path, TEXTS + function)
        assert (title, elements) == ("llmparams evaluate", 0)
        assert any(SHOWN in each for each in answers)
        assert "\x00" not in page and "\u202e" not in page
        # With its policy in force, too: nothing of it is refused.
        assert '<details class="case">' in opened(page, tmp_path)
        assert "default-src 'none'" in page


@browser
def test_an_answer_stands_beside_what_filters_left_and_what_is_right(
    written, program: Program, tmp_path: Path
) -> None:
    done = written("--html", "page.html")
    assert "exact_match (<b>loose</b>)  0.6667" in done.text
    page = (program.place / "page.html").read_text()
    function = """
    const sides = (number) => [...open(number).querySelectorAll(".sides > div")].map((node) =>
      [texts("h3, h4, .answer", node), texts("h4", node).length]);
    return {marks, first: sides(0), last: sides(2)};
    """
    found = computed(page, tmp_path, TEXTS + MARKS + function)
    assert found["marks"] == [
        ["\u2713 good: right, 7", "\u2717 bad: wrong, 8"],
        ["\u2713 good: right, seven", "\u2713 bad: right, seven"],
        ["\u2717 good: wrong, [invalid]", "\u2717 bad: wrong, [invalid]"],
    ]
    loose, strict = "exact_match (<b>loose</b>)", "exact_match (strict)"
    assert [each for each, _ in found["first"]] == [
        ["Right is any of", "7", "or else"],
        ["good", "#7 it is", f"\u2713 {loose}: right", "7", f"\u2717 {strict}: wrong"],
        ["bad", "#8", f"\u2717 {loose}: wrong", "8", f"\u2717 {strict}: wrong"],
    ]
    assert found["last"][1][0][-1] == f"\u2713 {strict}: right"
    assert found["last"][2][0][:2] == ["bad", "\u2205"]


@browser
def test_documents_are_filled_when_opened_and_can_be_chosen(
    written, program: Program, tmp_path: Path
) -> None:
    written("--html", "page.html")
    function = """
    const choice = document.getElementById("kind"), before = texts("#items .sides").length;
    const found = [...choice.options].map((option) => {
      choice.value = option.value;
      choice.dispatchEvent(new Event("change"));
      return [option.textContent, boxes.map(({ hidden }) => !hidden)];
    });
    open(1); open(1);
    return {found, before, after: texts("#items .sides").length,
      count: document.getElementById("count").textContent};
    """
    page = (program.place / "page.html").read_text()
    found = computed(page, tmp_path, TEXTS + function)
    assert dict(found["found"]) == {
        "all documents (3)": [True, True, True],
        "some model wrong (2)": [True, False, True],
        "models differ (1)": [True, False, False],
        "all models wrong (1)": [False, False, True],
    }
    assert (found["before"], found["after"], found["count"]) == (0, 1, "1 document of 3")


def test_junit_says_what_was_answered_and_what_is_right(written, program: Program) -> None:
    assert written("--junit", "report.xml").code == 0
    root = ElementTree.parse(program.place / "report.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("6", "3")
    suites = {suite.get("name"): suite for suite in root}
    assert [*suites] == ["good", "bad"]
    first, second, third = suites["bad"]
    assert (first.get("name"), first.get("classname")) == ("0: q0", "bad")
    assert first.find("failure").get("message") == "answered '8', right is '7' or 'or else'"
    assert second.find("failure") is None and second.get("time") is None
    text = third.findtext("failure")
    assert text == f"q2\nanswered: '[invalid]'\nright: {HOSTILE!r} or 'or else'"
    assert [test.find("failure") is None for test in suites["good"]] == [True, True, False]


def test_junit_says_what_was_chosen(chosen, program: Program) -> None:
    models = [str(program.place / "one.gguf")]
    done = program.call("evaluate", *models, "--tasks", "task.yaml", "--junit", "-")
    tests = [*ElementTree.fromstring(done.stdout).iter("testcase")]
    (told,) = (each for each in chosen[1]["models"] if each["model"]["path"] == models[0])
    assert len(tests) == 8 and tests[1].get("name", "").startswith("1: Question: Who 1 </script>")
    for test, document in zip(tests, told["documents"], strict=True):
        likeliest = max(document["choices"], key=lambda choice: choice["logprob"])["text"]
        right = document["choices"][document["right"][0]]["text"]
        failure = test.find("failure")
        assert (failure is None) == (likeliest == right)
        if failure is not None:
            assert failure.get("message") == f"chose {likeliest!r}, right is {right!r}"


@pytest.mark.parametrize(("flag", "begins"), [("--html", b"<!DOCTYPE"), ("--junit", b"<?xml")])
def test_a_report_on_stdout_is_all_that_is_there(flag: str, begins: bytes, written) -> None:
    done = written(flag, "-")
    assert done.code == 0 and done.stdout.startswith(begins)
    assert done.stdout.rstrip().endswith(b">") and b"standard error, over" not in done.stdout


def test_outputs_are_checked_before_the_models_answer(written, program: Program) -> None:
    for flags in [("--html", "-", "--json"), ("--html", "-", "--junit", "-")]:
        assert "standard output takes one thing" in written(*flags).complaint(ExitCode.USAGE)
    (program.place / "good.yaml").unlink()
    done = written("--junit", "none/report.xml")
    assert "--junit none/report.xml: there is no such" in done.complaint(ExitCode.USAGE)


def test_too_low_a_score_may_end_a_build(written) -> None:
    low, high = sorted(m["scores"][0]["score"] for m in written("--json").json["models"])
    assert low < high and written("--fail-under", str(low)).code == 0
    done = written("--fail-under", str((low + high) / 2))
    assert done.code == ExitCode.TEST_FAILED
    told = done.stderr.splitlines()[-1]
    assert "less than --fail-under" in told and "bad" in told and "good" not in told
