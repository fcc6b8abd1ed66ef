"""Tries learning rates from low to high, a step each (Smith 2015, arXiv:1506.01186)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from llmparams_cli.analysis.tuning import Sweep
from llmparams_cli.env import Environment
from llmparams_cli.jobs.tuning.material import Material
from llmparams_cli.jobs.tuning.order import Order
from llmparams_cli.jobs.tuning.ready import Ready, ready
from llmparams_cli.jobs.tuning.start import Start
from llmparams_cli.protocol import Progress
from llmparams_cli.training.finding import found_range, has_risen
from llmparams_cli.training.rows import rows_of_step
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
) -> Sweep:
    """Step by step with a higher rate, until the loss has risen for good."""
    low, high = RANGES[order.optimiser]
    count = order.steps or STEPS
    rates = [low * (high / low) ** (number / max(1, count - 1)) for number in range(count)]
    losses: list[float] = []
    with ready(env, start, material, order, base, progress) as found:
        tried = [
            rows_of_step(material.rows, order.batch, number, order.seed) for number in range(count)
        ]
        before = _before(found, tried, progress)
        usual = sum(before) / count
        for number, (rate, rows) in enumerate(zip(rates, tried, strict=True), 1):
            loss = found.trainer.step(rows, rate).loss.mean
            _refuse_stop(found)
            # Some rows are harder than others. What a rate did shows against what they cost before.
            losses.append(loss - before[number - 1] + usual)
            progress("trying learning rates", number / count)
            if not math.isfinite(loss) or has_risen(losses):
                break
        progress("trying learning rates", 1.0)
        return found_range(rates[: len(losses)], losses)


def _before(found: Ready, tried: Sequence[list[Row]], progress: Progress) -> list[float]:
    """What the rows of each step cost the model as it is."""
    losses = []
    for number, rows in enumerate(tried, 1):
        losses.append(found.trainer.loss(rows).mean)
        _refuse_stop(found)
        progress("reading the rows", number / len(tried))
    return losses


def _refuse_stop(found: Ready) -> None:
    if found.control.stop:
        raise KeyboardInterrupt
