"""Tries learning rates from low to high, a step each (Smith 2015, arXiv:1506.01186)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from llmparams_cli.analysis.tuning import Plan, Sweep
from llmparams_cli.env import Environment
from llmparams_cli.jobs.tuning.material import Material
from llmparams_cli.jobs.tuning.order import Order
from llmparams_cli.jobs.tuning.run import ready
from llmparams_cli.jobs.tuning.start import Start
from llmparams_cli.protocol import Progress
from llmparams_cli.training.finding import found_range, has_risen
from llmparams_cli.training.rows import batches
from llmparams_cli.training.trainer import Row

RANGES = {"adamw": (1e-7, 1.0), "sgd": (1e-5, 100.0)}
STEPS = 60


def sweep(
    env: Environment,
    start: Start,
    material: Material,
    order: Order,
    base: Path,
    progress: Progress,
) -> tuple[Plan, Sweep]:
    """Step by step with a higher rate, until the loss has risen for good."""
    low, high = RANGES[order.optimiser]
    count = order.steps or STEPS
    rates: list[float] = []
    losses: list[float] = []
    with ready(env, start, material, order, base, progress) as found:
        rows = _endless(material.rows, order)
        for number in range(count):
            if found.control.stop:
                raise KeyboardInterrupt
            rate = low * (high / low) ** (number / max(1, count - 1))
            loss = found.trainer.step(next(rows), rate).loss.mean
            rates.append(rate)
            losses.append(loss)
            progress("trying learning rates", (number + 1) / count)
            if not math.isfinite(loss) or has_risen(losses):
                break
        progress("trying learning rates", 1.0)
        return found.plan, found_range(rates, losses)


def _endless(rows: tuple[Row, ...], order: Order) -> Iterator[list[Row]]:
    epoch = 0
    while True:
        for chosen in batches(len(rows), order.batch, epoch, order.seed):
            yield [rows[index] for index in chosen]
        epoch += 1
