"""The settings of a training run where the user leaves them open, and its steps."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmparams_cli.analysis.tuning import Course, End, Stride
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.tuning.folder import RunFolder
from llmparams_cli.jobs.tuning.learning import Work, learn
from llmparams_cli.jobs.tuning.order import Order, interval, usual_rate
from llmparams_cli.jobs.tuning.ready import measured
from llmparams_cli.jobs.tuning.run import go_on, hint_for
from llmparams_cli.training.schedule import Schedule, Stopping
from llmparams_cli.training.trainer import Loss, Row, Step


@pytest.mark.parametrize(
    "order, parameters, rate",
    [
        (Order(), 135_000_000, 1e-4),
        (Order(), 5_600_000, 5e-4),
        (Order(lora=8), 135_000_000, 2e-4),
        (Order(lora=8), 5_600_000, 1e-3),
        (Order(optimiser="sgd"), 135_000_000, 1e-2),
        (Order(optimiser="sgd", lora=8), 135_000_000, 1e-2),
    ],
)
def test_the_usual_rate_suits_what_trains(order, parameters, rate) -> None:
    assert usual_rate(order, parameters) == pytest.approx(rate)


@pytest.mark.parametrize(
    "order, steps, held_out, every",
    [
        (Order(), 400, 8, 20),
        (Order(), 10, 0, 1),
        (Order(), 100_000, 8, 200),
        (Order(batch=4), 20, 60, 10),  # a check costs five steps: no more than a third of the time
        (Order(every=7), 400, 8, 7),
    ],
)
def test_checks_come_often_and_cost_little(order, steps, held_out, every) -> None:
    assert interval(order, steps, held_out) == every


@pytest.mark.parametrize("rate, tried", [(10, "0.001"), (0.004, "0.0004")])
def test_a_lower_rate_is_named(rate, tried) -> None:
    course = Course((Stride(1, 1, 3, rate, 1, 10, 0.1),), (), End.DIVERGED)
    assert f"try --learning-rate {tried}" in hint_for(course)


class Recorder:
    """A trainer that only notes what it is given; its losses on what is held out are as told."""

    how = "nothing"

    def __init__(self, *held_out: float) -> None:
        self.seen: list[list[int]] = []
        self.rates: list[float] = []
        self.held_out = list(held_out)

    def step(self, rows: Any, rate: float) -> Step:
        self.seen.append([int(row.tokens[0]) for row in rows])
        self.rates.append(rate)
        return Step(Loss(2.0 * len(rows), len(rows)), 1.0)

    def loss(self, rows: Any) -> Loss:
        return Loss(self.held_out.pop(0) if self.held_out else 1.0, 1)

    def restore(self, state: Any) -> None:
        self.restored = len(state)

    def state(self) -> dict[str, Any]:
        return {"w": np.zeros(1, np.float32)}


class Silent:
    def step(self, stride: Any) -> None: ...

    def check(self, check: Any) -> None: ...


def work(folder: RunFolder, trainer: Any, steps: int, *, held_out: int = 1, **more: Any) -> Work:
    rows = [Row(np.array([n, n], np.int32), np.array([False, True])) for n in range(10)]
    given = {
        "schedule": Schedule("constant", 0.1, steps),
        "stopping": Stopping(None),
        "keep": lambda improved: (),
        **more,
    }
    return Work(
        trainer, rows, rows[:held_out], 4, steps, 3, seed=0, vocabulary=100, folder=folder, **given
    )


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    found = RunFolder(tmp_path / "x.tune")
    found.load()
    yield found
    found.close()


def test_each_row_comes_once_in_an_epoch_and_epochs_differ(folder) -> None:
    trainer = Recorder(*[1.0] * 9)
    learn(work(folder, trainer, 6), Silent(), Control())
    epochs = [[*chain(*steps)] for steps in (trainer.seen[:3], trainer.seen[3:])]
    assert [sorted(epoch) for epoch in epochs] == [[*range(10)]] * 2
    assert epochs[0] != epochs[1]


def test_only_a_better_model_is_kept(folder) -> None:
    kept: list[bool] = []
    trainer = Recorder(3.0, 2.0, 2.5, 1.5)

    def keep(improved: bool) -> tuple[str, ...]:
        kept.append(improved)
        return ()

    course = learn(work(folder, trainer, 9, keep=keep), Silent(), Control())
    assert kept == [True, True, False, True]
    assert course.kept == 9 and course.end is End.STEPS


def test_a_plateau_lowers_the_rate(folder) -> None:
    trainer = Recorder(*[3.0] * 6)
    schedule = Schedule("plateau", 0.1, 15)
    learn(work(folder, trainer, 15, schedule=schedule), Silent(), Control())
    assert trainer.rates[0] == 0.1 and trainer.rates[-1] < 0.1


def test_a_resumed_run_remembers_its_plateau_and_its_patience(folder) -> None:
    """Otherwise it would begin to wait, and to lower the rate, anew."""
    folder.begin({})
    given = {"schedule": Schedule("plateau", 0.1, 30), "stopping": Stopping(7)}
    learn(work(folder, Recorder(*[3.0] * 6), 15, **given), Silent(), Control())
    again = {"schedule": Schedule("plateau", 0.1, 30), "stopping": Stopping(7)}
    state = folder.load()
    trainer = Recorder(*[3.0] * 9)
    goes_on = work(folder, trainer, 30, **again)
    go_on(trainer, goes_on, folder, state)
    course = learn(goes_on, Silent(), Control())
    assert trainer.restored == 1
    assert trainer.rates[0] == given["schedule"].at(16) < 0.1
    assert course.end is End.EARLY and course.checks[-1].step == 21


def test_ctrl_c_while_a_check_answers_loses_no_best_model(folder) -> None:
    """The check was none: when the run goes on, it is made again, and its model is kept."""
    folder.begin({})
    kept: list[bool] = []

    def keep(improved: bool) -> tuple[str, ...]:
        if len(kept) == 1:
            kept.append(False)
            raise KeyboardInterrupt
        kept.append(improved)
        return ()

    first = work(folder, Recorder(3.0, 2.0), 3, keep=keep)
    assert learn(first, Silent(), Control()).end is End.INTERRUPTED
    again = work(folder, Recorder(2.0), 3, keep=keep)
    state = folder.load()
    go_on(again.trainer, again, folder, state)
    course = learn(again, Silent(), Control())
    assert kept == [True, False, True] and course.kept == 3


def test_weights_that_compute_no_number_are_not_asked(folder) -> None:
    """And every step is in the metrics."""
    asked: list[bool] = []

    def keep(improved: bool) -> tuple[str, ...]:
        asked.append(improved)
        return ()

    course = learn(work(folder, Recorder(3.0, float("nan")), 9, keep=keep), Silent(), Control())
    assert course.end is End.DIVERGED and asked == [True] and course.kept == 0
    assert (folder.path / "metrics.jsonl").read_text().count('"kind": "step"') == 3


def test_measuring_a_step_leaves_no_trace() -> None:
    """A step of rate 0 moves no weight, but the optimiser remembers it."""
    trainer = Recorder()
    assert measured(trainer, [Row(np.array([1, 2], np.int32), np.array([False, True]))]) > 0
    assert set(trainer.rates) == {0.0} and trainer.restored == 1


def test_with_nothing_held_out_the_last_is_kept(folder) -> None:
    course = learn(work(folder, Recorder(), 5, held_out=0), Silent(), Control())
    assert course.kept == 5 and course.best is None
