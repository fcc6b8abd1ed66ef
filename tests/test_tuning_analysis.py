"""What the course of a training run shows: smoothing, overfitting, what variants are worth."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tuned import course, diverged, overfitted, rungs

from llmparams_cli.analysis.tuning import (
    Check,
    Course,
    End,
    Smooth,
    Stride,
    Verdict,
    best_rung,
    overfit,
    smoothed,
    verdicts,
)


def run(checks: list[float], losses: list[float]) -> Course:
    """A check before the first step and after every second one."""
    strides = (Stride(n, 0.0, loss, 1e-4, 1.0, n, n) for n, loss in enumerate(losses, 1))
    return Course(tuple(strides), tuple(Check(2 * n, loss, True) for n, loss in enumerate(checks)))


@pytest.mark.parametrize(
    ("checks", "losses", "step"),
    [
        ([3, 2, 1], [3, 3, 2, 2], None),  # still falling
        ([3, 1, 2, 3], [3, 3, 2, 2, 1, 1], 2),
        ([1, 2, 3], [3, 3, 2, 2], 0),  # from the beginning
        ([3, 1, 3], [3, 3, 2, 2], None),  # one check is no trend
        ([3, 1, 2, 1.005], [3, 3, 2, 2, 1, 1], None),  # it came back
        ([3, 1, 2, 3], [1, 1, 2, 2, 3, 3], None),  # both rise: it runs away
        ([3, 1, 2, math.nan], [3, 3, 2, 2, 1, 1], None),
        ([3, 1, 2, 3], [3, 3, 2, 2, math.nan, 1], 2),
        ([math.nan, math.nan], [3, 3], None),
        ([], [], None),
    ],
)
def test_overfitting_is_a_gap_that_opens(
    checks: list[float], losses: list[float], step: int | None
) -> None:
    assert overfit(run(checks, losses)) == step


def test_runs_as_they_are() -> None:
    best = overfitted().best
    assert best and overfit(overfitted()) == best.step == 125
    assert overfit(course()) is None and overfit(diverged()) is None


def test_the_best_check_is_a_number() -> None:
    best = run([math.nan, 2, math.nan, 1, math.inf], []).best
    assert best and best.step == 6
    assert run([math.nan], []).best is None


def test_smoothing_forgets_and_leaves_out_what_is_no_number() -> None:
    assert smoothed([2.0] * 9) == pytest.approx([2.0] * 9)
    smooth = Smooth(2)
    assert math.isnan(smooth(math.nan))
    assert [smooth(1), smooth(math.inf), smooth(4)] == pytest.approx([1, 1, 3])
    assert Smooth(0.5)(7) == 7


def test_variants_are_judged_beside_the_best() -> None:
    found = rungs()
    best = best_rung(found)
    assert best is found[3] and best.values == {"layers": "6"}
    words = verdicts(found)
    slow = replace(found[3], parameters=found[3].parameters * 2, loss=9.0, train=9.0)
    assert verdicts([*found, slow])[-1] is Verdict.SLOW
    assert words[:2] == [Verdict.UNDERFITS] * 2 and words[3] is Verdict.BEST
    assert words[4:] == [Verdict.OVERFITS] * 2


def test_what_is_close_is_judged_by_its_size() -> None:
    (best,) = rungs(4)
    near = replace(best, loss=best.loss + 0.009)
    small = replace(near, parameters=best.parameters - 1)
    large = replace(near, parameters=best.parameters + 1)
    worse = replace(best, loss=best.loss + 0.02)
    lost = replace(best, loss=math.nan)
    away = replace(near, course=replace(near.course, end=End.DIVERGED))
    assert verdicts([best, near, small, large, worse, lost, away]) == [
        Verdict.BEST,
        Verdict.EQUAL,
        Verdict.SMALLER,
        Verdict.LARGER,
        Verdict.WORSE,
        Verdict.DIVERGED,
        Verdict.DIVERGED,
    ]
    assert verdicts([lost]) == [Verdict.DIVERGED] and best_rung([lost]) is None
