"""What a user wants of a training run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

# A rate that moves a model without breaking it. An adapter bears more.
RATES = {"adamw": 1e-4, "sgd": 1e-2}
SMALL, FASTER = 50_000_000, 5  # a model of fewer parameters takes a rate so many times higher
ADAPTER = 2e-4
CHECKS = 20  # in a run, where --every does not say
FORWARD = 1 / 3  # of the time of a step: what it takes to read without learning
MOST_STEPS = 200  # between two checks: what a killed run loses at most


@dataclass(frozen=True)
class Order:
    """The settings of a run. `rate` None: the usual one for what trains; `every` None: about
    `CHECKS` checks; `steps` counts instead of `epochs` if it is given. `hold_back` is the share of
    documents that is held out, `mask_prompt` learns only answers. `lora` is the rank of an adapter.
    """

    train: tuple[str, ...] = ("all",)
    lora: int | None = None
    lora_alpha: float | None = None
    rate: float | None = None
    schedule: str = "linear"
    warmup: int = 0
    batch: int = 8
    size: int = 256
    epochs: float = 1.0
    steps: int | None = None
    optimiser: str = "adamw"
    weight_decay: float = 0.01
    clip: float = 1.0
    mask_prompt: bool = False
    hold_back: float = 0.1
    patience: int | None = None
    every: int | None = None
    prompts: tuple[str, ...] = ()
    engine: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    seed: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def usual_rate(order: Order, parameters: int) -> float:
    """The rate for what trains: see `RATES`."""
    if order.lora is not None and order.optimiser == "adamw":
        return ADAPTER * (FASTER if parameters < SMALL else 1)
    return RATES[order.optimiser] * (FASTER if parameters < SMALL else 1)


def interval(order: Order, steps: int, held_out: int) -> int:
    """The steps from one check to the next, in a run with so many rows held out: not so few that
    more than a third of the time is spent on checks.
    """
    look = held_out / order.batch * FORWARD  # in steps
    return order.every or max(1, min(MOST_STEPS, max(round(steps / CHECKS), math.ceil(2 * look))))
