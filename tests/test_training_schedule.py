"""Learning rates step by step, early stopping, losses that run away, and the range test."""

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.training.finding import found_range, has_risen, smoothed
from llmparams_cli.training.schedule import KINDS, Runaway, Schedule, Stopping


def rates(kind, steps, warmup=0):
    schedule = Schedule(kind, 1.0, steps, warmup)
    return [schedule.at(step) for step in range(1, steps + 1)]


@pytest.mark.parametrize(
    ("kind", "warmup", "expected"),
    [
        ("constant", 0, [1, 1, 1, 1]),
        ("plateau", 0, [1, 1, 1, 1]),
        ("linear", 0, [1, 0.75, 0.5, 0.25]),
        ("cosine", 0, [1, 0.853553, 0.5, 0.146447]),
        ("linear", 1, [0.5, 1, 2 / 3, 1 / 3]),
        ("constant", 3, [0.25, 0.5, 0.75, 1]),
        ("cosine", 2, [1 / 3, 2 / 3, 1, 0.5]),
        ("linear", 4, [0.2, 0.4, 0.6, 0.8]),
    ],
)
def test_the_rate_of_every_step(kind, warmup, expected):
    assert rates(kind, 4, warmup) == pytest.approx(expected, abs=1e-6)


@given(st.sampled_from(KINDS), st.integers(1, 60), st.integers(0, 80))
def test_a_rate_rises_to_its_height_and_never_beyond_or_to_nothing(kind, steps, warmup):
    found = rates(kind, steps, warmup)
    top = min(warmup, steps)
    assert all(0 < rate <= 1 for rate in found)
    assert found[:top] == sorted(found[:top])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert all(rate == 1 for rate in found[top : top + 1])


def test_on_a_plateau_the_rate_is_halved():
    schedule = Schedule("plateau", 1.0, 100)
    seen = []
    for loss in (2.0, 1.0, 0.9995, 1.0, 1.1, 0.9, math.nan, 0.9, 0.95):
        schedule.after(loss)
        seen.append(schedule.at(50))
    # A thousandth less is no progress; NaN counts as nothing.
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "plateau"])
def test_other_schedules_do_not_look_at_the_loss(kind):
    schedule = Schedule(kind, 1.0, 10)
    for _ in range(9):
        schedule.after(5.0)
    assert schedule.at(1) == 1


def test_early_stopping_waits_for_a_lower_loss():
    stopping = Stopping(2)
    seen = [(stopping.after(loss), stopping.done) for loss in (3, 2, 2, math.nan, 1.9, 2)]
    assert seen == [
        (True, False),
        (True, False),
        (False, False),
        (False, True),
        (True, False),
        (False, False),
    ]
    endless = Stopping(None)
    for _ in range(50):
        endless.after(5.0)
    assert not endless.done


@given(st.lists(st.floats(0.1, 9) | st.just(math.nan), max_size=20), st.integers(0, 20))
def test_a_run_goes_on_from_what_json_kept(losses, cut):
    """Schedules and stopping alike."""
    whole, first = Schedule("plateau", 1.0, 10), Schedule("plateau", 1.0, 10)
    patient, begun = Stopping(3), Stopping(3)
    for loss in losses[:cut]:
        first.after(loss)
        begun.after(loss)
    second, going_on = Schedule("plateau", 1.0, 10), Stopping(3)
    second.restore(json.loads(json.dumps(first.state(), allow_nan=False)))
    going_on.restore(json.loads(json.dumps(begun.state(), allow_nan=False)))
    for place, loss in enumerate(losses):
        whole.after(loss)
        improved = patient.after(loss)
        if place >= cut:
            second.after(loss)
            assert going_on.after(loss) == improved
    assert second.at(1) == whole.at(1) and second.state() == whole.state()
    assert (going_on.done, going_on.state()) == (patient.done, patient.state())


def ended(losses, vocabulary=49152):
    """The step at which a run is given up, and why."""
    runaway = Runaway(vocabulary)
    for place, loss in enumerate(losses):
        if word := runaway.after(loss):
            return place, word
    return None


NOISE = {
    "little": lambda drawn: drawn.gauss(2, 0.3),
    "much": lambda drawn: max(0.05, drawn.gauss(2, 0.8)),
    "skewed": lambda drawn: drawn.lognormvariate(0.5, 0.6),
    "memorised": lambda drawn: drawn.lognormvariate(-2, 1),
}


@pytest.mark.parametrize("kind", NOISE)
@pytest.mark.parametrize("falls", [False, True])
def test_a_noisy_run_is_no_runaway(kind, falls):
    for seed in range(20):
        drawn = random.Random(seed)
        losses = [NOISE[kind](drawn) + (4 * 0.99**step if falls else 0) for step in range(600)]
        assert ended(losses) is None, seed


@pytest.mark.parametrize(
    ("before", "after", "at", "spread"),
    [
        (2, 5, 300, 0.1),
        (2, 5, 300, 0.8),
        (2, 7, 40, 0.8),
        (3, 7.5, 1, 0.1),  # by the first step, and no other
        (3, 7.5, 1, 0.3),
        (3, 7.5, 6, 0.3),
        (0.5, 3, 300, 0.3),
    ],
)
def test_a_loss_that_rises_for_good_is_one(before, after, at, spread):
    for seed in range(20):
        drawn = random.Random(seed)
        losses = [
            max(0.01, drawn.gauss(after if step >= at else before, spread)) for step in range(600)
        ]
        place, word = ended(losses)
        assert at <= place < at + 60 and "the loss rose from" in word


def test_what_is_worse_than_guessing_ends_a_run_at_once():
    assert ended([3, 4, 30, 30, 30]) == (
        4,
        "the loss rose to 30.00, and guessing among all tokens costs 10.80",
    )
    assert ended([3, 30, 3, 30, 30, 3] * 50, 2048) is None  # short answers may be that unlikely
    assert ended([40.0] * 50) is None  # a model that never knew this language
    assert ended([0.0] * 50) is None
    assert ended([2, math.nan]) == (1, "the loss is nan")
    assert ended([2, math.inf]) == (1, "the loss is inf")


def sweep(noise=0.0, fall=1.5, seed=0):
    """Losses that fall between 1e-5 and 1e-2, fastest around 5e-4, and rise from there on."""
    drawn = random.Random(seed)
    steps = [1e-7 * 1e7 ** (step / 59) for step in range(60)]
    losses, level = [], 3.0
    for rate in steps:
        if rate > 1e-2:
            level += 0.5 * math.log10(rate / 1e-2)
        else:
            level -= min(0.25, 400 * rate) * (level - 3 + fall) / 1.5
        losses.append(level + drawn.gauss(0, noise))
        if has_risen(losses):
            break
    return steps[: len(losses)], losses


@pytest.mark.parametrize("noise", [0, 0.1, 0.2])
def test_the_range_of_usable_rates_is_found(noise):
    for seed in range(20):
        found = found_range(*sweep(noise, seed=seed))
        assert 1e-6 < found.low < 4e-4 and 2e-3 < found.high < 1.5e-2
        assert 1e-4 < found.suggested < (4e-3 if noise else 6e-4)
        assert found.low <= found.suggested <= found.high
        assert len(found.smoothed) == len(found.losses) == len(found.rates)


@pytest.mark.parametrize("noise", [0, 0.1, 0.2])
def test_noise_is_no_fall(noise):
    found = [found_range(*sweep(noise, fall=0, seed=seed)) for seed in range(40)]
    assert sum(each.suggested is not None for each in found) <= 1


def test_a_sweep_that_diverges_is_judged_by_what_was_before():
    rates, losses = sweep()
    for last in (math.nan, math.inf):
        found = found_range([*rates, 1.0, 1.0], [*losses, last, last])
        assert found.suggested == found_range(rates, losses).suggested
        assert math.isnan(found.smoothed[-1]) and len(found.smoothed) == len(rates) + 2
    for losses in ([], [math.nan], [2.0], [2.0, math.nan]):
        assert found_range([1e-3] * len(losses), losses).suggested is None


def test_a_loss_that_rose_needs_no_higher_rates():
    assert not has_risen([3.0]) and not has_risen([3.0] * 50) and not has_risen([3, 9])
    assert has_risen([3.0] * 20 + [9.0] * 2) and not has_risen([3.0] * 20 + [9.0])
    assert has_risen([3.0] * 10 + [9.0, math.nan]) == has_risen([3.0] * 10 + [9.0])
    assert 45 < len(sweep()[0]) < 60
    for seed in range(50):
        drawn = random.Random(seed)
        losses = [max(0.1, drawn.gauss(2, 0.8)) for _ in range(60)]
        assert not any(has_risen(losses[:count]) for count in range(60))


def test_the_moving_average_by_hand():
    # Weights 1, 0.8, 0.64 from the latest on, over their sum.
    assert smoothed([1, 2, 4]) == pytest.approx([1, (2 + 0.8) / 1.8, (4 + 1.6 + 0.64) / 2.44])
    assert smoothed([5.0] * 9) == pytest.approx([5.0] * 9)
