"""Two models at the same tokens: statistics against numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.analysis.divergence import (
    Compared,
    TextDivergence,
    compare,
    joined,
    mean,
    percentiles,
)


def logits(*rows: list[float]) -> np.ndarray:
    """Of these probabilities; each row has an offset of its own, which changes nothing."""
    offsets = 7.0 * np.arange(len(rows))[:, None]
    return (np.log(rows) + offsets).astype(np.float32)


def test_one_token_by_hand() -> None:
    base, other = logits([0.5, 0.25, 0.25]), logits([0.25, 0.5, 0.25])
    found = compare(base, other, [1])
    assert np.exp(found.base) == pytest.approx([0.25])
    assert np.exp(found.other) == pytest.approx([0.5])
    # 0.5 log(0.5/0.25) + 0.25 log(0.25/0.5)
    assert found.divergence == pytest.approx([0.25 * math.log(2)], rel=1e-6)
    assert found.is_same.tolist() == [False]


def test_the_divergence_is_from_the_base_and_not_symmetric() -> None:
    base, other = logits([0.9, 0.1]), logits([0.5, 0.5])
    expected = 0.9 * math.log(1.8) + 0.1 * math.log(0.2)
    assert compare(base, other, [0]).divergence == pytest.approx([expected], rel=1e-5)
    back = 0.5 * math.log(5 / 9) + 0.5 * math.log(5)
    assert compare(other, base, [0]).divergence == pytest.approx([back], rel=1e-5)


@given(st.integers(1, 100), st.integers(2, 40), st.integers(0, 9))
def test_many_rows_are_each_by_themselves(rows, width, seed) -> None:
    random = np.random.default_rng(seed)
    base, other = random.normal(0, 3, (2, rows, width)).astype(np.float32)
    targets = random.integers(0, width, rows).tolist()
    found = compare(base, other, targets)
    first, second = (each.astype(np.float64) for each in (base, other))
    first -= np.log(np.exp(first).sum(axis=1, keepdims=True))
    second -= np.log(np.exp(second).sum(axis=1, keepdims=True))
    exact = (np.exp(first) * (first - second)).sum(axis=1)
    assert found.divergence == pytest.approx(exact, abs=1e-5)
    assert found.base == pytest.approx(first[np.arange(rows), targets], abs=1e-5)
    assert found.other == pytest.approx(second[np.arange(rows), targets], abs=1e-5)
    assert (found.is_same == (first.argmax(axis=1) == second.argmax(axis=1))).all()


def test_a_model_is_no_different_from_itself() -> None:
    base = np.random.default_rng(0).normal(0, 9, (40, 500)).astype(np.float32)
    found = joined([compare(base, base, [3] * 40)])
    assert found.mean == (0.0, 0.0)
    assert found.rms_change == (0.0, 0.0)
    assert (found.flips, found.same, found.ratio) == (0, (1.0, 0.0), (1.0, 0.0))


def divergence() -> TextDivergence:
    """Three tokens: probabilities 1/2, 1/4, 1/8, and of the other model 1/4, 1/2, 1/8."""
    base, other = np.log([0.5, 0.25, 0.125]), np.log([0.25, 0.5, 0.125])
    return TextDivergence(
        Compared(base, other, np.array([0.0, 0.3, 0.6]), np.array([True, False, True]))
    )


def test_statistics_of_three_tokens_by_hand() -> None:
    found = divergence()
    assert (found.tokens, found.flips) == (3, 1)
    assert found.same == pytest.approx((2 / 3, math.sqrt(2 / 9 / 2)))
    assert found.mean == pytest.approx((0.3, math.sqrt(0.06 / 2)))
    assert found.mean_change == pytest.approx((0.0, math.sqrt((2 * 0.0625 / 3) / 2)))
    mean_square, spread = 0.125 / 3, math.sqrt(2 * 0.0625**2 / 3 - (0.125 / 3) ** 2)
    root = math.sqrt(mean_square)
    assert found.rms_change == pytest.approx((root, spread / math.sqrt(2) / 2 / root))


def test_the_ratio_of_perplexities_has_the_error_of_pairs() -> None:
    """Twice one way and half the other: on average the same, with the spread of log 2."""
    found = divergence().ratio
    assert found.value == pytest.approx(1.0)
    assert found.error == pytest.approx(math.log(2) * math.sqrt(2 / 3) / math.sqrt(2))
    half = joined([Compared(np.log([0.5]), np.log([0.25]), np.zeros(1), np.ones(1, bool))])
    assert half.ratio.value == pytest.approx(2.0)  # half the probability: twice the perplexity
    assert math.isnan(half.ratio.error)


def test_chunks_are_joined_in_order() -> None:
    one = divergence().at
    both = joined([one, one])
    assert both.tokens == 6 and both.flips == 2
    assert both.at.divergence.tolist() == [0.0, 0.3, 0.6, 0.0, 0.3, 0.6]


def test_percentiles_lie_between_neighbours() -> None:
    found = percentiles(np.arange(11.0))
    assert found[50.0] == 5.0
    assert found[99.0] == pytest.approx(9.9)
    assert found[0.1] == pytest.approx(0.01)


def test_the_mean_of_one_value_has_no_known_error() -> None:
    assert mean(np.array([2.0])).value == 2.0
    assert math.isnan(mean(np.array([2.0])).error)
