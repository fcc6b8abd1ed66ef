"""`tune --png` and `--svg`: the marks are the numbers, whatever the losses were."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import tuned
from test_plots import HOSTILE, Picture

from llmparams_cli.analysis.tuning import Check, Course, End, Plan, Rung, Stride, Sweep
from llmparams_cli.render.plots.sheet import Sheet, style
from llmparams_cli.render.plots.tuning import course, sweep
from llmparams_cli.render.plots.variants import ladder


def drawn(draw: Callable[[], Sheet]) -> Picture:
    with style():
        return Picture(draw().image("svg"))


def of(run: Course, plan: Plan = tuned.PLAN) -> Picture:
    return drawn(lambda: course(plan, run))


def test_every_check_is_a_dot_and_the_best_has_a_ring() -> None:
    run = tuned.overfitted()
    picture = of(run)
    dots = picture.dots("held-out")
    assert len(dots) == len(run.checks)
    (ring,) = picture.dots("best")
    assert ring == dots[5] == max(dots, key=lambda at: at[1])  # y grows downwards
    assert picture.text("title") == "Training fox: an adapter of rank 8"
    assert picture.text("subtitle").startswith("early stopping after 300 of 300 steps; kept: step")
    assert {"loss of each step", "smoothed", "held out", "overfits", "kept: step 125"} <= set(
        picture.texts
    )
    left = min(x for x, _ in picture.corners("overfits"))
    assert left == pytest.approx(ring[0])


def test_a_sound_run_has_no_region_of_overfitting() -> None:
    picture = of(tuned.course())
    assert not picture.ids("overfits") and "overfits" not in picture.texts
    assert picture.text("subtitle").startswith("all 300 steps are done; kept: step 300 (held out:")


def test_the_rate_is_below_on_the_same_steps() -> None:
    picture = of(tuned.course())
    steps, rates = picture.corners("steps"), picture.corners("rates")
    assert steps[0][0] == pytest.approx(rates[0][0]) and steps[-1][0] == pytest.approx(rates[-1][0])
    assert min(y for _, y in rates) > max(y for _, y in steps)
    assert "2e-4" in picture.texts


def test_a_loss_that_runs_away_is_cut_off() -> None:
    run = tuned.diverged()
    picture = of(run)
    assert "the loss ran away after 195 of 300 steps" in picture.text("subtitle")
    high = min(y for _, y in picture.dots("held-out"))
    first = picture.dots("held-out")[0][1]
    assert first - high < 1  # what is held out never stood higher than at the beginning
    bottom, top = picture.corners("kept")
    tall = abs(bottom[1] - top[1])
    low = max(y for _, y in picture.dots("held-out"))
    assert low - high > 0.3 * tall  # and what it fell by can be seen


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e30, 0.0])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_odd_and_few_numbers_are_drawn_too(loss: float, count: int) -> None:
    strides = tuple(Stride(n, 0.0, loss, loss, loss, n, 0.0) for n in range(1, count + 1))
    checks = tuple(Check(n, loss, False) for n in range(count))
    assert "rate" in of(Course(strides, checks, None)).texts
    assert "rate" in of(Course(strides, (), End.INTERRUPTED)).texts
    rates = [1e-5 * (n + 1) for n in range(count or 1)]
    found = Sweep(tuple(rates), (loss,) * len(rates), (loss,) * len(rates), None, None, None)
    assert "the loss falls at none of them" in drawn(lambda: sweep(found)).texts
    rung = Rung({"layers": "2"}, 0, Course(), loss, loss, 0.0)
    assert "time" in drawn(lambda: ladder([rung] * (count or 1), "layers")).texts


def test_names_are_text() -> None:
    plan = replace(tuned.PLAN, model=HOSTILE, trains=HOSTILE)
    assert "$" in of(tuned.course(), plan).text("title")
    rungs = [replace(rung, values={HOSTILE: HOSTILE}) for rung in tuned.rungs(2, 4)]
    assert any(text.startswith(r"$\\frac") for text in drawn(lambda: ladder(rungs, HOSTILE)).texts)


def test_the_range_of_a_sweep_holds_the_suggestion() -> None:
    picture = drawn(lambda: sweep(tuned.sweep()))
    xs = [x for x, _ in picture.corners("range")]
    at = picture.corners("suggested")[0][0]
    assert min(xs) < at < max(xs)
    assert {"suggested: 4e-4", "1e-5", "0.01"} <= set(picture.texts)
    assert "range" not in drawn(lambda: sweep(tuned.sweep(found=False))).parts


def test_a_ladder_has_three_plots_of_both_losses() -> None:
    rungs = tuned.rungs()
    picture = drawn(lambda: ladder(rungs, "layers"))
    for column in range(3):
        held, train = (picture.dots(f"{name}-{column}-0") for name in ("held-out", "train"))
        assert len(held) == len(train) == len(rungs)
        assert [x for x, _ in held] == sorted(x for x, _ in held)
        (ring,) = picture.dots(f"best-{column}")
        assert ring == held[3]
    assert {"layers", "parameters", "time", "12", "6.0M", "2:08"} <= set(picture.texts)
    assert picture.text("subtitle") == "best: layers=6, 3.0M parameters, held-out loss 1.376"


def test_lines_join_what_differs_in_the_axis_alone() -> None:
    rungs = [
        replace(rung, values={"layers": layers, "kind": kind})
        for kind in ("wide", "thin")
        for rung, layers in zip(tuned.rungs(2, 4, 8), ("2", "4", "8"), strict=True)
    ]
    rungs[4] = replace(rungs[4], loss=math.nan)
    picture = drawn(lambda: ladder(rungs, "layers"))
    assert len(picture.dots("held-out-0-0")) == 3 and len(picture.dots("held-out-0-1")) == 2
    assert picture.text("subtitle").endswith("; 1 ran away")
    assert {"wide", "thin"} <= set(drawn(lambda: ladder(rungs, "kind")).texts)
