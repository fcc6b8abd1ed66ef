"""The page of `tune --html` in a real browser: curves, answers at every check, what changed."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import tuned
from browser import browser, computed, opened
from tuned import HOSTILE, PLAN

from llmparams_cli.analysis.tuning import Check, Course, Stride, Tuned
from llmparams_cli.render.html import tune_page
from llmparams_cli.render.html.tune import MOST_POINTS, document

HELP = """
const at = (id) => document.getElementById(id);
const texts = (selector, inside = document) =>
  [...inside.querySelectorAll(selector)].map((node) => node.textContent);
const input = document.querySelector("input[type=range]");
const move = (place) => {
  input.value = place;
  input.dispatchEvent(new Event("input"));
};
"""


@browser
def test_the_curves_are_the_numbers(tmp_path: Path) -> None:
    found = tuned.tuned()
    function = """
    const picture = document.querySelector("#curves svg");
    const circles = [...picture.querySelectorAll("circle")];
    return {ys: circles.map((node) => Number(node.getAttribute("cy"))),
      best: circles.findIndex((node) => node.classList.contains("best")),
      points: [...picture.querySelectorAll("path")].map((node) =>
        node.getAttribute("d").split(/[ML]/).length - 1),
      words: texts("text", picture), over: picture.querySelectorAll(".over").length,
      facts: at("facts").textContent, notes: texts("#notes p"), kept: at("kept").textContent};
    """
    shown = computed(tune_page(found), tmp_path, HELP + function)
    losses = [check.loss for check in found.course.checks]
    order = sorted(range(len(losses)), key=losses.__getitem__, reverse=True)
    assert sorted(range(len(losses)), key=shown["ys"].__getitem__) == order
    assert shown["best"] == 5 and shown["over"] == 1
    assert shown["points"] == [300, 300, 13, 300]
    assert {"kept: step 125", "overfits", "step", "rate"} <= set(shown["words"])
    assert shown["facts"] == "early stopping after 300 of 300 steps; fox-tuned.gguf: Q8_0, 3.2 MB"
    assert shown["notes"][0].startswith("it overfits from step 125 on")


@browser
def test_the_slider_goes_from_check_to_check(tmp_path: Path) -> None:
    function = """
    const state = () => [texts("#slider small")[0], ...texts("#answers > div > .answer"),
      at("here-told").textContent];
    const first = state();
    move(0);
    const start = state();
    move(12);
    const end = state();
    document.querySelector("#curves svg").dispatchEvent(new MouseEvent("click", {clientX: 0}));
    return {first, start, end, clicked: input.value, all: texts("#answers details td.text").length};
    """
    shown = computed(tune_page(tuned.tuned()), tmp_path, HELP + function)
    assert shown["first"][:2] == ["step 125, held out 1.381", "Once upon a time, after 125 steps."]
    assert "held out 1.381" in shown["first"][3] and "rate 2e-4" in shown["first"][3]
    assert shown["start"][0] == "step 0, held out 2.550"
    assert shown["start"][3] == "step 0 · held out 2.550"
    assert shown["end"][2] == "2 + 2 = 6"
    assert shown["clicked"] == "0" and shown["all"] == 2 * 13


@browser
def test_under_the_pointer_are_the_values(tmp_path: Path) -> None:
    function = """
    const picture = document.querySelector("#curves svg"), box = picture.getBoundingClientRect();
    const to = (share) => picture.dispatchEvent(
      new MouseEvent("pointermove", {clientX: box.left + share * box.width}));
    return [0, 0.5, 1].map((share) => { to(share); return at("here-told").textContent; });
    """
    left, middle, right = computed(tune_page(tuned.tuned()), tmp_path, HELP + function)
    assert left.startswith("step 0 ·") and right.startswith("step 300 · loss ")
    assert re.match(r"step 1\d\d · loss 1\.\d{3} · smoothed 1\.\d{3} · held out", middle)


@browser
def test_before_after_and_what_changed(tmp_path: Path) -> None:
    function = """
    const cells = [...document.querySelectorAll("#changes .heat")];
    return {measured: texts("#measured td"), sides: texts("#pairs .sides .answer"),
      heads: texts("#changes thead th"), rows: texts("#changes tbody th"),
      shares: cells.map((node) => Number(node.style.getPropertyValue("--share"))),
      words: texts("#changes td"), hints: texts("#changes .hint"), plan: texts("#plan th")};
    """
    found = tuned.tuned()
    shown = computed(tune_page(found), tmp_path, HELP + function)
    assert shown["measured"] == ["2.550", "1.381", "11.305 ± 0.745", "3.796 ± 0.138"]
    assert shown["sides"] == [found.before[0], found.after[0], found.before[1], found.after[1]]
    assert shown["heads"][:3] == ["layer", "attention q", "attention v"]
    assert shown["rows"] == ["0", "1", "2", "3", "output.weight"]
    assert max(shown["shares"]) == 1 and shown["words"][shown["shares"].index(1)] == "5.0%"
    assert shown["hints"] == ["12 tensors untouched: the same to the bit."]
    assert "optimiser" in shown["plan"]


def hostile() -> Tuned:
    course = tuned.course(40, 20)
    checks = tuple(replace(check, answers=(HOSTILE,)) for check in course.checks)
    kinds = tuple(replace(each, kind=HOSTILE, name=HOSTILE) for each in tuned.changed(1))
    return tuned.tuned(
        replace(course, checks=checks, word=HOSTILE),
        plan=replace(PLAN, model=HOSTILE, how=HOSTILE, trains=HOSTILE),
        target=HOSTILE,
        prompts=(HOSTILE,),
        before=(HOSTILE,),
        after=("x" + HOSTILE,),
        changed=kinds,
    )


@browser
def test_what_a_model_wrote_is_text(tmp_path: Path) -> None:
    page = tune_page(hostile())
    function = """
    return [document.title, document.querySelectorAll("img").length,
      texts("#answers .answer")[0], texts("#pairs .answer").length, at("title").textContent];
    """
    title, images, answer, sides, heading = computed(page, tmp_path, HELP + function)
    assert (title, images, sides) == ("llmparams tune", 0, 2)
    assert answer.startswith("</script><img") and "{{data}}" in answer
    assert heading.startswith("Training </script>")
    assert "default-src 'none'" in page and not re.search(r"https?://(?!www\.w3\.org/)", page)
    assert "<circle" in opened(page, tmp_path)  # and the policy lets the scripts run


@browser
@pytest.mark.parametrize(
    "course",
    [
        Course(),
        Course(checks=(Check(0, math.nan, False),)),
        Course((Stride(1, 0.0, math.nan, math.nan, 0.0, 0, 0.0),)),
        Course((Stride(1, 0.0, 1e30, 0.0, 0.0, 0, 0.0),), (Check(0, 1.0, True, ("yes",)),)),
    ],
    ids=["nothing", "no number", "no rate", "far away"],
)
def test_short_and_odd_runs_are_shown(course: Course, tmp_path: Path) -> None:
    found = tuned.tuned(course, held_out=None, changed=(), untouched=0, prompts=(), before=())
    function = """
    return [...document.querySelectorAll("main > section")].map(({hidden}) => hidden)
      .concat(texts("#plan th").length, document.querySelector("#curves svg").innerHTML);
    """
    *hidden, plan, picture = computed(tune_page(found), tmp_path, HELP + function)
    assert hidden[0] is False and hidden[1] is True and hidden[3] is True and plan == 9
    assert "NaN" not in picture and "Infinity" not in picture


def test_a_long_run_is_thinned() -> None:
    strides = tuple(Stride(n, 0.0, float(n % 2), 1e-9, 0.0, n, n) for n in range(1, 10_001))
    curves = document(tuned.tuned(Course(strides)))["curves"]
    assert len(curves["steps"]) == len(curves["smoothed"]) == 1429 < MOST_POINTS
    assert curves["each"] == 7 and curves["steps"][-1] == 10_000
    assert curves["losses"][0] == pytest.approx(4 / 7, abs=1e-6) and curves["rates"][0] == 1e-9
