"""The penalties' arithmetic, by hand: 'bear' ten times, 'fox' once."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.backends.llama.sampling.penalties import Penalties, Window


def test_frequency_counts_every_occurrence():
    assert Penalties(frequency=0.5).apply(4.0, 10) == pytest.approx(4.0 - 10 * 0.5)
    assert Penalties(frequency=0.5).apply(4.0, 1) == pytest.approx(3.5)


def test_presence_takes_the_same_however_often():
    penalties = Penalties(presence=0.5)
    assert penalties.apply(4.0, 10) == penalties.apply(4.0, 1) == pytest.approx(3.5)


def test_repetition_once_divides_positive_and_multiplies_negative_logits():
    penalties = Penalties(repeat=2.0)
    assert penalties.apply(4.0, 10) == penalties.apply(4.0, 1) == pytest.approx(2.0)
    assert penalties.apply(-4.0, 3) == pytest.approx(-8.0)


def test_exponential_repetition_grows_with_the_count():
    penalties = Penalties(repeat=2.0, exponential=True)
    assert penalties.apply(4.0, 1) == pytest.approx(2.0)
    assert penalties.apply(4.0, 3) == pytest.approx(4.0 / 2**3)
    assert penalties.apply(-4.0, 3) == pytest.approx(-4.0 * 2**3)


def test_a_huge_count_does_not_overflow():
    assert Penalties(repeat=10.0, exponential=True).apply(4.0, 100_000) == pytest.approx(0.0)


def test_absent_tokens_pay_nothing():
    assert Penalties(2.0, 1.0, 1.0, True).apply(1.5, 0) == 1.5


@given(st.lists(st.integers(0, 5), max_size=50), st.integers(0, 20))
def test_the_window_counts_the_last_tokens(tokens, size):
    window = Window(size)
    for token in tokens:
        window.add(token)
    last = tokens[-size:] if size else []
    assert window.counts == {token: last.count(token) for token in set(last)}


def test_a_forbidden_token_stays_forbidden():
    penalties = Penalties(repeat=1.3, frequency=0.5, presence=0.2)
    assert penalties.apply(-math.inf, 3) == -math.inf
