"""`optimize --png` and `--svg`, and the standings on the terminal while it runs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from program import Program
from searched import LONG, Task
from test_plots import Picture

from llmparams_cli.analysis.optimization import Outcome, Scale, Trial
from llmparams_cli.render.optimization import Facts
from llmparams_cli.render.plots.optimization import optimization
from llmparams_cli.render.plots.sheet import style

Values = Mapping[str, str | float | int]
HOSTILE = "$x$</svg><script>\x1b[31m"


@pytest.fixture
def task(program: Program) -> Task:
    return Task(program)


def drawn(
    trials: list[Trial], axes: tuple[str, ...], scale: Scale = Scale.NUMBER, **more: object
) -> Picture:
    default = Trial({}, (0.0,))
    best = max((t for t in trials if t.score == t.score), key=lambda t: t.score, default=default)
    outcome = Outcome(tuple(trials), default, best, **more)  # type: ignore[arg-type]
    facts = Facts(axes, "mean:tokens", scale, False, "", "", "cases")
    with style():
        return Picture(optimization(outcome, facts).image("svg"))


def scored(values: Values, score: float, *, given_up: bool = False) -> Trial:
    return Trial(values, (score,), given_up)


def test_every_trial_is_a_dot_and_the_best_has_a_ring() -> None:
    trials = [scored({"a": n, "b": n * n % 7}, n * 0.1, given_up=n < 3) for n in range(12)]
    picture = drawn(trials, ("a", "b"), importance={"b": 0.75, "a": 0.25})
    assert len(picture.dots("trials")) == 9 and len(picture.dots("given-up")) == 3
    assert len(picture.dots("best")) == 1
    xs = [x for x, _ in picture.dots("trials")]
    heights = [y for _, y in picture.dots("trials")]
    assert xs == sorted(xs) and heights == sorted(heights, reverse=True)  # upwards
    assert picture.width("share-b") == pytest.approx(3 * picture.width("share-a"))
    assert max(picture.corners("share-b"))[1] < min(picture.corners("share-a"))[1]  # above it
    assert {
        "what decided",
        "a",
        "b",
        "given up, by its first cases",
        "best so far",
        "the default",
    } <= set(picture.texts)


def test_one_parameter_is_drawn_against_the_score() -> None:
    trials = [scored({"a": n}, -abs(n - 3)) for n in range(8)]
    picture = drawn(trials, ("a",), importance={"a": 1.0})
    assert len(picture.dots("response")) == 8
    assert "what decided" not in picture.texts  # nothing else could have


def test_choices_have_their_names_and_numbers_their_places() -> None:
    values: list[Values] = [{"t": t, "p": p} for t in ("64", "512") for p in ("x", HOSTILE)]
    picture = drawn([scored(each, n) for n, each in enumerate(values)], ("t", "p"))
    texts = set(picture.texts)
    assert "x" in texts and any("$x$</svg>" in text for text in texts)
    assert "64" not in texts or "512" not in texts  # on a scale, not a name each
    assert "300" in texts or "200" in texts


def test_choices_that_read_as_no_finite_number_are_names() -> None:
    values: list[Values] = [{"s": s, "t": t} for s in ("inf", "3") for t in range(4)]
    picture = drawn([scored(each, n) for n, each in enumerate(values)], ("s", "t"))
    assert {"inf", "3"} <= set(picture.texts)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_trials_are_drawn_too(count: int) -> None:
    trials = [scored({"a": 1, "b": 2}, 1.0) for _ in range(count)]
    picture = drawn(trials, ("a", "b"))
    assert "trial" in picture.texts


def test_factors_are_drawn_as_factors() -> None:
    picture = drawn([scored({"a": 1}, 0.0), scored({"a": 2}, 0.6931472)], ("a",), Scale.FACTOR)
    assert "times as fast" in picture.texts and {"1.0", "2.0"} <= set(picture.texts)


def test_what_is_without_effect_there_is_no_point_of_the_surface() -> None:
    trials = [scored({"a": n, "b": n}, n) for n in range(3)] + [scored({"a": 9}, 9.0)]
    assert not drawn(trials, ("a", "b")).ids("best")  # the best has no b


def test_a_search_is_drawn(task: Task) -> None:
    done = task.call("--over", "max_tokens=1..40", "--trials", "20", "--svg", "search.svg")
    assert done.code == 0 and done.stdout == b"", done.stderr
    picture = Picture((task.program.place / "search.svg").read_bytes())
    assert picture.text("title") == "Search for pass: 20 trials"
    assert "better than the default by 100 points" in picture.text("subtitle")
    count = sum(len(picture.dots(id)) for id in ("trials", "given-up"))
    assert count == 20
    both = task.call("--over", "max_tokens=1..40", "--json", "--svg", "-")
    assert "--svg" in both.complaint(2)


def test_the_standings_are_there_while_it_runs(task: Task) -> None:
    task.answer(f"- text: {LONG}", delay=0.002)
    over = ("--over", "max_tokens=1..60", "--trials", "40")
    session = task.program.terminal(*task.arguments(*over))
    session.wait_for("searching")
    session.wait_for("the default")
    session.press_ctrl_c()
    shown = session.end()
    assert shown.code == 130 and not any("the default" in line for line in shown.lines)
    assert "trials are kept: the same command with --resume goes on" in " ".join(shown.lines)
