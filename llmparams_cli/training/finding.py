"""Which learning rates can be used: the loss over rates that rise step by step.

A range test (Smith 2015, Cyclical learning rates, arXiv:1506.01186): a step with each rate, from
low to high. The loss stays where it is, then falls, then rises again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from llmparams_cli.analysis.tuning import Sweep

SMOOTH = 0.8  # of the average that is kept at each step
HOPELESS = 1.5  # times the lowest loss: higher rates need not be tried
BEGUN = 0.1  # share of the whole fall at which it has begun
LEAST = 0.01  # share of the loss by which it must fall, to be no noise


def found_range(rates: Sequence[float], losses: Sequence[float]) -> Sweep:
    """What the losses, each before the step with its rate, say about the rates: they can be used
    from where the loss begins to fall to where it is lowest, best where it falls fastest.
    """
    smooth = smoothed(losses)
    known = [loss for loss in smooth if math.isfinite(loss)]
    if not known:
        return Sweep(tuple(rates), tuple(losses), tuple(smooth), None, None, None)
    lowest = known.index(min(known))
    start, fall = known[0], known[0] - known[lowest]
    if fall < LEAST * start:
        return Sweep(tuple(rates), tuple(losses), tuple(smooth), None, None, None)
    low = next(at for at, loss in enumerate(known) if start - loss >= BEGUN * fall)
    slopes = [known[at] - known[at + 1] for at in range(low, lowest)]
    steepest = low + slopes.index(max(slopes)) if slopes else low
    return Sweep(
        tuple(rates),
        tuple(losses),
        tuple(smooth),
        *(rates[min(at, len(rates) - 1)] for at in (low, lowest, steepest)),
    )


def has_risen(losses: Sequence[float]) -> bool:
    """Is the loss so high that no higher rate is of use?"""
    known = [loss for loss in smoothed(losses) if math.isfinite(loss)]
    return len(known) > 1 and known[-1] > HOPELESS * min(known)


def smoothed(losses: Sequence[float]) -> list[float]:
    """A moving average with weights that fall by `SMOOTH` from one step to the one before it."""
    found, total, weight = [], 0.0, 0.0
    for loss in losses:
        total, weight = SMOOTH * total + loss, SMOOTH * weight + 1
        found.append(total / weight)
    return found
