"""What a search's proof can show: by figures made by hand, and by its errors in simulations."""

from __future__ import annotations

import sys
from itertools import product

import numpy as np
import pytest
from program import Program

from llmparams_cli.analysis.evidence import mean_interval, sign_flips
from llmparams_cli.analysis.optimization import (
    Meeting,
    Outcome,
    Scale,
    Trial,
    best,
    blocks,
    hopeless,
    verdict,
)
from llmparams_cli.errors import ExitCode
from llmparams_cli.jobs.optimization.proposals import importance
from llmparams_cli.jobs.optimization.space import Axis

CASES, SEEDS, TRIALS, REPEATS = 12, 3, 30, 100  # cases searched, and as many held back


def test_sign_flips_are_counted_exactly() -> None:
    differences = [3.0, 1.0, -2.0, 5.0]
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((-1, 1), repeat=4)
    ]
    assert sign_flips(differences) == sum(abs(each) >= 7 for each in sums) / 16
    assert sign_flips([0.0, *differences, 0.0]) == sign_flips(differences)
    assert sign_flips([0.0] * 9) == 1 and sign_flips([]) == 1
    assert sign_flips([1.0] * 5) == 2 / 32 and sign_flips([-1.0] * 6) == 2 / 64


def test_many_cases_are_drawn_and_never_impossible() -> None:
    assert 0 < sign_flips([0.1] * 40) < 0.001
    assert sign_flips([0.1, -0.1] * 20) == 1


def test_the_interval_is_students() -> None:
    """The sleep data of Student (1908), whose interval every textbook has."""
    gains = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    assert mean_interval(gains, None) == pytest.approx((0.7001, 2.4599), abs=1e-3)


def test_equal_wins_are_not_certain() -> None:
    low, high = mean_interval([1.0] * 10, 1.0)
    assert 0.3 < low < 0.9 and high == 1.0


def _simulated(random: np.random.Generator, gain: float) -> bool:
    """Is a winner declared where the best of many trials is really better by `gain`?"""

    def shares(chances: np.ndarray) -> tuple[float, ...]:
        passes = random.binomial(SEEDS, np.clip(chances, 0, 1)) / SEEDS
        return tuple(map(float, passes))

    easy, held = random.uniform(0.1, 0.9, (2, CASES))
    gains = [gain * (number == 0) for number in range(TRIALS)]
    default = Trial({}, shares(easy))
    trials = [Trial({"n": n}, shares(easy + more)) for n, more in enumerate(gains)]
    winner = best(trials, default, minimize=False)
    if winner is default:
        return False
    more = gains[int(winner.values["n"])]
    return Meeting(shares(held + more), shares(held), seeds=SEEDS).is_better


def test_where_nothing_matters_a_winner_is_rarely_declared() -> None:
    random = np.random.default_rng(1)
    assert sum(_simulated(random, 0.0) for _ in range(REPEATS)) <= 5


def test_where_one_setting_is_much_better_it_is_mostly_proved() -> None:
    random = np.random.default_rng(2)
    assert sum(_simulated(random, 0.6) for _ in range(REPEATS)) >= 90


def test_of_equal_trials_the_default_stays() -> None:
    default, other = Trial({}, (0.5,)), Trial({"n": 1}, (0.5,))
    assert best([other], default, minimize=False) is default
    assert best([Trial({"n": 2}, ()), other], default, minimize=True) is default


@pytest.mark.parametrize(
    ("scores", "rival", "minimize", "expected"),
    [
        ((0.0,) * 5, (1.0,) * 9, False, True),  # p = 2/32
        ((0.0,) * 4, (1.0,) * 9, False, False),  # p = 2/16
        ((1.0,) * 5, (0.0,) * 5, False, False),
        ((1.0,) * 5, (0.0,) * 5, True, True),
        ((0.0,) * 5, (1.0,) * 4, False, False),  # of the rival less is known
        ((0.0, 1.0) * 5, (1.0, 0.0) * 5, False, False),
    ],
)
def test_a_trial_is_hopeless_if_it_is_clearly_behind(
    scores: tuple[float, ...], rival: tuple[float, ...], minimize: bool, expected: bool
) -> None:
    others = [Trial({}, rival), Trial({"n": 2}, scores)]
    assert hopeless(Trial({"n": 1}, scores), others, minimize=minimize) is expected


def test_where_nothing_matters_few_trials_are_given_up() -> None:
    random = np.random.default_rng(3)
    given_up = 0
    for _ in range(REPEATS):
        chances = random.uniform(0.1, 0.9, CASES)
        one, other = (tuple(random.binomial(SEEDS, chances) / SEEDS) for _ in "ab")
        given_up += hopeless(Trial({"n": 1}, one), [Trial({}, other)], minimize=False)
    assert given_up <= 12


def test_the_cases_make_up_to_four_blocks() -> None:
    sizes = {count: list(map(len, blocks(range(count)))) for count in (2, 9, 10, 23, 90)}
    assert sizes == {
        2: [2],
        9: [9],
        10: [5, 5],
        23: [5, 6, 6, 6],
        90: [22, 23, 22, 23],
    }


def test_what_made_trials_hopeless_decided() -> None:
    axes = [Axis("stop", choices=("a", "b")), Axis("top_p", low=0.0, high=1.0)]
    random = np.random.default_rng(4)
    trials = []
    for n in range(24):
        point = {"stop": "ab"[n % 2], "top_p": float(random.uniform())}
        score = random.uniform(0, 0.01) + (n % 2)
        trials.append(Trial(point, (float(score),), given_up=n % 2 == 0))
    shares = importance(axes, trials, minimize=False)
    assert shares["stop"] > 0.7
    flipped = [Trial(t.values, (-t.scores[0],), t.given_up) for t in trials]
    assert importance(axes, flipped, minimize=True) == pytest.approx(shares)
    assert importance(axes, trials[:9], minimize=False) == {}


def test_importance_warns_nobody() -> None:
    """Parameters that some trials have alone made Optuna warn on stderr."""
    axes = [Axis("m", choices=("0", "2")), Axis("t", low=3.0, high=7.0), Axis("k", low=1, high=9)]
    trials = [
        Trial({"m": "2", "t": 3 + n / 6} if n % 4 == 0 else {"m": "0", "k": n % 9 + 1}, (n / 9,))
        for n in range(24)
    ]
    assert importance(axes, trials, minimize=False)


def test_what_was_given_up_cannot_win() -> None:
    default, lucky = Trial({}, (0.5, 0.5)), Trial({"n": 1}, (0.9,), given_up=True)
    assert best([lucky], default, minimize=False) is default


@pytest.mark.parametrize(
    ("gains", "scale", "words"),
    [
        ((-0.1, -0.2) * 4, Scale.FACTOR, "the best of the search was worse (95 % interval × 0.82"),
        ((0.1, -0.1) * 4, Scale.FACTOR, "beat the default: no difference shown (95 %"),
        ((0.5, 0.4) * 4, Scale.FACTOR, "faster than the default: × 1.568 (95 % interval × 1.50"),
        (
            (0.5,) * 8,
            Scale.NUMBER,
            "better than the default by 0.5 (the same each time, p = 0.0078)",
        ),
        ((0.5, 0.4) * 4, Scale.SHARE, "better than the default by 45 points (95 % interval +40"),
    ],
)
def test_the_verdict_says_what_is_shown(gains: tuple[float, ...], scale: Scale, words: str) -> None:
    default = Trial({}, (0.0,))
    found = Outcome((), default, default, {}, Meeting(gains, (0.0,) * len(gains)))
    assert words in verdict(found, scale)


def test_lower_is_better_if_minimized() -> None:
    assert Meeting((1.0,) * 8, (2.0,) * 8, minimize=True).is_better
    assert not Meeting((1.0,) * 8, (2.0,) * 8).is_better


def test_a_missing_optuna_is_one_line_with_the_cure(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = program.call("optimize", "--cases", "c.yaml", "--over", "top_k=1..9")
    assert "pip install 'llmparams[optimize]'" in done.complaint(ExitCode.USAGE)
