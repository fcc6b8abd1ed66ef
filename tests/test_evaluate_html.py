"""The page of `evaluate --cases --html` in a real browser: every case and every answer is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import browser, computed, opened
from program import Program

from llmparams_cli.errors import ExitCode

CASES = """
- {name: sums, input: two and two, expect: {contains: four, tokens: {max: 9}}}
- {name: <b>hostile</b>, input: hostile, expect: {matches: 'fo+', lacks: ["</script>"]}}
- {name: short, input: a word, seeds: 3, expect: {distinct: {min: 2}}}
"""
GOOD = """
answers:
  - {when: two, text: "<think>\\nTwice two.\\n</think>\\n\\nIt is four."}
  - {when: hostile, text: foo}
  - {text: Word}
"""
BAD = """
answers:
  - {when: two, texts: [It is four., It is five.]}
  - {when: hostile, text: "</script><img src=x onerror=document.title='broken'>"}
  - {text: one}
"""
TEXTS = """
const texts = (selector, inside = document) =>
  [...inside.querySelectorAll(selector)].map((node) => node.textContent);
const boxes = [...document.querySelectorAll("#items > details")];
const open = (number) => {
  boxes[number].dispatchEvent(new Event("toggle"));
  return boxes[number];
};
"""


@pytest.fixture
def run(tmp_path: Path, program: Program):
    for name, text in {"cases.yaml": CASES, "good.yaml": GOOD, "bad.yaml": BAD}.items():
        (program.place / name).write_text(text)
    models = ("scripted:good.yaml", "scripted:bad.yaml")
    return lambda *flags: program.call("evaluate", *models, "--cases", "cases.yaml", *flags)


@pytest.fixture
def page(run, program: Program) -> str:
    done = run("--seeds", "2", "--html", "page.html")
    assert done.code == 0 and "95 % interval" in done.text, done.stderr
    assert "wrote page.html" in done.stderr
    return (program.place / "page.html").read_text()


@browser
def test_standings_and_pairs_come_first(page: str, tmp_path: Path) -> None:
    function = """
    return {rows: texts("#standings tbody tr").length, pairs: texts("#pairs li"),
      dots: document.querySelectorAll("#standings circle").length,
      facts: document.getElementById("facts").textContent, marks: texts("#items .marks > span")};
    """
    found = computed(page, tmp_path, TEXTS + function)
    assert (found["rows"], found["dots"]) == (2, 2)
    assert found["facts"] == "3 cases, 2 variants, 2 answers to each"
    (pair,) = found["pairs"]
    assert "between good and bad (2 cases against 0" in pair or "good is better than bad" in pair
    assert found["marks"][:2] == [
        "\u2713 good: passed (2 of 2)",
        "\u2717 bad: failed (1 of 2)",
    ]


@browser
def test_a_case_shows_what_was_asked_expected_answered_and_failed(page: str, tmp_path) -> None:
    function = """
    const box = open(0);
    return {answers: texts(".answer", box), reasons: texts(".reason", box),
      hint: texts(".hint", box), heads: texts("h4", box), third: texts(".reason", open(2))};
    """
    found = computed(page, tmp_path, TEXTS + function)
    own = ["It is four.", "It is five."]
    assert found["answers"][:3] == ["two and two", "Twice two.", "It is four."]
    assert sorted(found["answers"][3:]) == sorted(own)
    (reason,) = found["reasons"]
    assert reason == "contains: 'four' is not in 'It is five.'"
    (hint,) = found["hint"]
    assert hint == "Expected: contains: 'four'; tokens: at most 9 \u2013 with 2 of 2 seeds"
    assert found["heads"][0] == "seeds 1, 2: passed, end-of-generation"
    assert found["third"][0] == "distinct: 1 different answers, expected at least 2"


@browser
def test_what_a_model_wrote_is_text(page: str, tmp_path: Path) -> None:
    function = """
    open(1);
    return [document.title, document.querySelectorAll("img, b").length,
      texts("#items strong")[1], texts(".answer", boxes[1]).at(-1)];
    """
    title, elements, name, answer = computed(page, tmp_path, TEXTS + function)
    assert (title, elements, name) == ("llmparams evaluate", 0, "<b>hostile</b>")
    assert answer.startswith("</script><img")
    assert "default-src 'none'" in page and not re.search(r"https?://(?!www\.w3\.org/)", page)
    assert "<section" in opened(page, tmp_path)


@browser
def test_cases_can_be_chosen_by_what_became_of_them(page: str, tmp_path: Path) -> None:
    function = """
    const choice = document.getElementById("kind");
    return [...choice.options].map((option) => {
      choice.value = option.value;
      choice.dispatchEvent(new Event("change"));
      return [option.textContent, boxes.map(({ hidden }) => !hidden)];
    });
    """
    found = dict(computed(page, tmp_path, TEXTS + function))
    assert found["all cases (3)"] == [True, True, True]
    assert found["variants differ (2)"] == [True, True, False]
    assert found["not every time (1)"] == [True, False, False]
    assert found["all variants failed (1)"] == [False, False, True]


@pytest.mark.parametrize(("flag", "begins"), [("--html", b"<!DOCTYPE"), ("--junit", b"<?xml")])
def test_a_file_on_stdout_is_all_that_is_there(flag: str, begins: bytes, run) -> None:
    done = run(flag, "-")
    assert done.code == 0 and done.stdout.startswith(begins)
    assert done.stdout.rstrip().endswith(b">") and b"95 % interval\n" not in done.stdout


@pytest.mark.parametrize("flags", [("--html", "-", "--json"), ("--html", "-", "--junit", "-")])
def test_stdout_takes_one_thing(flags: tuple[str, ...], run) -> None:
    assert "standard output takes one thing" in run(*flags).complaint(ExitCode.USAGE)
