"""Perplexities before and after training, and their errors."""

import math

import numpy as np
import pytest

from llmparams_cli.analysis.held_out import HeldOut


def test_the_perplexity_is_that_of_all_tokens_together():
    found = HeldOut((10, 30), (20.0, 30.0), (10.0, 15.0))
    before, after = found.perplexities
    assert before.value == pytest.approx(math.exp(50 / 40))
    assert after.value == pytest.approx(math.exp(25 / 40))
    assert found.factor.value == pytest.approx(math.exp(-25 / 40))


def test_the_error_is_that_of_rows_drawn_again():
    """The spread of the perplexity when the rows are drawn again, many times."""
    random = np.random.default_rng(1)
    tokens = random.integers(20, 200, 300)
    nats = tokens * random.normal(2.0, 0.4, 300)
    found = HeldOut(tuple(map(int, tokens)), tuple(nats), tuple(0.9 * nats))
    draws = random.integers(0, 300, (4000, 300))
    spread = np.exp(nats[draws].sum(axis=1) / tokens[draws].sum(axis=1)).std()
    assert found.perplexities[0].error == pytest.approx(spread, rel=0.1)


def test_rows_that_gain_alike_leave_little_doubt_about_the_factor():
    """Its error is that of the differences, not of both perplexities."""
    nats = tuple(float(10 * k) for k in range(1, 20))
    gained = tuple(each - 5.0 for each in nats)
    found = HeldOut((10,) * 19, nats, gained)
    assert found.factor.error == pytest.approx(0.0, abs=1e-12)
    assert found.perplexities[0].error > 1


def test_of_one_row_no_error_is_known():
    assert math.isnan(HeldOut((3,), (3.0,), (1.5,)).factor.error)


def test_a_broken_model_has_an_infinite_perplexity():
    assert HeldOut((1, 1), (1e6, 1e6), (1.0, 1.0)).perplexities[0].value == math.inf
