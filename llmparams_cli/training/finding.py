"""Which learning rates can be used: the loss over rates that rise step by step.

A range test (Smith 2015, Cyclical learning rates, arXiv:1506.01186): a step with each rate, from
low to high. The loss stays where it is, then falls, then rises again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise, takewhile
from statistics import median

from llmparams_cli.analysis.tuning import Smooth, Sweep

SPAN_OF_MEAN = 5  # steps
HOPELESS = 1.5  # times the lowest loss: higher rates need not be tried
STARTING = 10  # steps that tell where the loss began
BEGUN = 0.1  # share of the whole fall at which it has begun
LEAST = 0.01  # share of the loss by which it must fall,
NOISE = 2.0  # and so many times what two steps usually differ by
FLAT = 6  # one step in so many is taken to change nothing: the first ones
SPAN = 3  # steps on both sides that tell how fast it falls


def found_range(rates: Sequence[float], losses: Sequence[float]) -> Sweep:
    """What the losses, each before the step with its rate, say about the rates: they can be used
    from where the loss falls for good to where it is lowest, best where it falls fastest.
    """
    known = [*takewhile(math.isfinite, losses)]
    smooth = _centred(known)
    shown = (*smooth, *[math.nan] * (len(losses) - len(known)))
    nothing = Sweep(tuple(rates), tuple(losses), shown, None, None, None)
    if len(known) < 2:
        return nothing
    start = median(known[: max(1, len(known) // FLAT)])
    noise = _noise(known)
    lowest = smooth.index(min(smooth))
    fall = start - smooth[lowest]
    if fall < max(LEAST * start, NOISE * noise):
        return nothing
    enough = max(BEGUN * fall, noise / 2)
    low = 1 + max((at for at in range(lowest) if start - smooth[at] < enough), default=-1)
    steepest = max(range(low, lowest + 1), key=lambda at: _slope(smooth, at, lowest))
    found = (rates[at] for at in (low, lowest, steepest))
    return Sweep(tuple(rates), tuple(losses), shown, *found)


def has_risen(losses: Sequence[float]) -> bool:
    """Is the loss so high that no higher rate is of use: above its lowest, and where it began?"""
    known = [*takewhile(math.isfinite, losses)]
    if len(known) <= STARTING:
        return False
    smooth = smoothed(known)
    start = median(known[:STARTING]) + NOISE * _noise(known)
    return smooth[-1] > max(start, HOPELESS * min(smooth))


def smoothed(losses: Sequence[float]) -> list[float]:
    """The mean of about the last `SPAN_OF_MEAN` losses, in which older ones count less."""
    return list(map(Smooth(SPAN_OF_MEAN), losses))


def _centred(losses: Sequence[float]) -> list[float]:
    """The same with the steps behind as well, so that the curve does not lag behind the rates."""
    behind = smoothed(losses[::-1])[::-1]
    return [(one + other) / 2 for one, other in zip(smoothed(losses), behind, strict=True)]


def _noise(losses: Sequence[float]) -> float:
    """By how much two steps usually differ."""
    return median(abs(one - other) for one, other in pairwise(losses))


def _slope(smooth: Sequence[float], at: int, lowest: int) -> float:
    """By how much the loss falls around a step, for each step."""
    before, behind = max(0, at - SPAN), min(lowest, at + SPAN)
    return (smooth[before] - smooth[behind]) / max(1, behind - before)
