"""Intervals and tests by hand-made figures, and what they hold by their definition."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.analysis.evidence import mcnemar, paired, passes_every, wilson


def test_wilson_of_eight_in_ten() -> None:
    """Agresti and Coull's textbook figures."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_stays_a_share(passed_of: tuple[int, int]) -> None:
    passed, count = passed_of
    low, high = wilson(passed, count)
    assert 0 <= low <= passed / count <= high <= 1


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (5, 0), (6, 0), (9, 2), (40, 20)])
def test_mcnemar_is_the_exact_binomial_test(wins: int, losses: int) -> None:
    count = wins + losses
    chances = [Fraction(comb(count, taken), 2**count) for taken in range(count + 1)]
    exact = sum(chance for chance in chances if chance <= chances[wins])
    assert mcnemar(wins, losses) == pytest.approx(float(exact)) == mcnemar(losses, wins)


def test_five_wins_show_nothing_and_six_do() -> None:
    five, six = ([1.0] * wins + [0.0] * 10 for wins in (5, 6))
    assert not paired(five, [0.0] * 15).shown
    found = paired(six, [0.0] * 16)
    assert found.shown and found.p == pytest.approx(2 / 64)
    assert (found.only_first, found.only_second, found.difference) == (6, 0, 6 / 16)


@given(
    st.integers(1, 8).flatmap(lambda n: st.tuples(st.integers(0, n), st.integers(1, n), st.just(n)))
)
def test_pass_power_is_the_share_of_choices_that_all_passed(given_: tuple[int, int, int]) -> None:
    passed, tries, seeds = given_
    outcomes = [True] * passed + [False] * (seeds - passed)
    choices = list(combinations(outcomes, tries))
    assert passes_every(passed, seeds, tries) == pytest.approx(
        sum(map(all, choices)) / len(choices)
    )


def test_a_difference_over_seeds_is_shown_with_its_interval() -> None:
    random = np.random.default_rng(3)
    first = random.binomial(10, 0.7, 80) / 10
    second = random.binomial(10, 0.5, 80) / 10
    found = paired(list(first), list(second))
    assert found.p < 0.001 and found.interval is not None and found.shown
    low, high = found.interval
    assert low < found.difference < high
    same = paired(list(first), list(first[::-1]))
    assert not same.shown


@pytest.mark.parametrize("cases", [1, 2, 5])
def test_a_few_cases_of_many_seeds_show_nothing(cases: int) -> None:
    """A bootstrap of so few says that they differ in up to three of four repeats."""
    assert not paired([0.8] * cases, [0.4] * cases).shown
    assert paired([0.8] * 6, [0.4] * 6).shown


def test_where_nothing_differs_it_is_seldom_said_that_something_does() -> None:
    """In 400 repeats of 30 cases with 3 seeds each, fewer than one in ten."""
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(400):
        first, second = random.binomial(3, 0.6, (2, 30)) / 3
        wrong += paired(list(first), list(second)).shown
    assert wrong <= 40
