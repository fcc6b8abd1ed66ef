"""A trainer in memory, and the plan of what it is going to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmparams_cli.analysis.tuning import Plan
from llmparams_cli.backends.llama.machine import hardware
from llmparams_cli.backends.training import opened_trainer, trainable
from llmparams_cli.env import Environment
from llmparams_cli.files import appearing
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.tuning.material import Material
from llmparams_cli.jobs.tuning.order import FORWARD, Order, interval, usual_rate
from llmparams_cli.jobs.tuning.start import Start
from llmparams_cli.models.gguf import Header, read_header
from llmparams_cli.protocol import Progress
from llmparams_cli.training.rows import steps_an_epoch
from llmparams_cli.training.selection import selected
from llmparams_cli.training.trainer import Lora, Recipe, Trainer

TRIALS, LONG = 2, 1.0  # steps to time, unless the first took so many seconds


@dataclass(frozen=True)
class Ready:
    """A trainer in memory, with all that it will learn from, and the plan for it."""

    trainer: Trainer
    base: Header
    material: Material
    recipe: Recipe
    order: Order
    plan: Plan
    control: Control


@contextmanager
def ready(
    env: Environment,
    start: Start,
    material: Material,
    order: Order,
    base: Path,
    progress: Progress,
) -> Iterator[Ready]:
    """A trainer for the start, in memory; what a step takes was measured."""
    with ExitStack() as stack:
        control = stack.enter_context(Control())
        header = _written(start, base)
        recipe = _recipe(env, start, header, order)
        trainer = stack.enter_context(
            opened_trainer(env, header, recipe, order.engine, control, progress)
        )
        if order.rate is None:
            order = replace(order, rate=usual_rate(order, header.parameters))
        plan = _plan(start, header, material, recipe, order, trainer)
        yield Ready(trainer, header, material, recipe, order, plan, control)


def _written(start: Start, base: Path) -> Header:
    """The start in F32, which an unfinished run has already."""
    if not base.exists():
        with appearing(base) as path:
            start.write(path)
    return read_header(base)


def planned(
    env: Environment,
    start: Start,
    material: Material,
    order: Order,
    base: Path,
    progress: Progress,
) -> Plan:
    """What a run would do; nothing is kept."""
    with ready(env, start, material, order, base, progress) as found:
        return found.plan


def _recipe(env: Environment, start: Start, header: Header, order: Order) -> Recipe:
    rank = order.lora
    alpha = 2.0 * (rank or 0) if order.lora_alpha is None else order.lora_alpha
    names = selected(header, order.train, lora=rank is not None)
    return Recipe(
        size=order.size,
        names=trainable(env, order.engine, names),
        lora=None if rank is None else Lora(rank, alpha),
        optimiser=order.optimiser,
        weight_decay=order.weight_decay,
        clip=order.clip,
        precision=order.precision,
        threads=order.threads or start.settings["threads"] or hardware.usable_cpus(),
        seed=order.seed,
    )


def _plan(
    start: Start,
    header: Header,
    material: Material,
    recipe: Recipe,
    order: Order,
    trainer: Trainer,
) -> Plan:
    rows = material.rows
    an_epoch = steps_an_epoch(len(rows), order.batch)
    steps = order.steps or max(1, round(order.epochs * an_epoch))
    seconds = measured(trainer, list(rows[: order.batch]))
    checks = -(-steps // interval(order, steps, len(material.held_out))) + 1
    look = seconds * FORWARD * len(material.held_out) / order.batch
    assert order.rate is not None
    return Plan(
        model=start.name,
        how=trainer.how,
        trains=_what(order),
        parameters=header.parameters,
        trained=_trained(header, recipe),
        documents=material.documents,
        rows=(len(rows), len(material.held_out)),
        tokens=material.tokens,
        size=order.size,
        batch=order.batch,
        steps=steps,
        epochs=steps / an_epoch,
        optimiser=order.optimiser,
        rate=order.rate,
        schedule=order.schedule,
        warmup=order.warmup,
        memory=_peak_memory(),
        seconds=steps * seconds + checks * look,
    )


def _what(order: Order) -> str:
    if order.lora is not None:
        return f"an adapter of rank {order.lora}"
    return "all weights" if order.train == ("all",) else ", ".join(order.train)


def _trained(header: Header, recipe: Recipe) -> int:
    """The number of parameters that learn."""
    tensors = [tensor for tensor in header.tensors if tensor.name in set(recipe.names)]
    if recipe.lora:
        return sum(recipe.lora.rank * sum(tensor.shape[:2]) for tensor in tensors)
    return sum(tensor.elements for tensor in tensors)


def measured(trainer: Trainer, rows: list[Any]) -> float:
    """The seconds that a step takes; what it does is undone."""
    state = trainer.state()
    seconds = 0.0
    for _ in range(TRIALS):
        began = time.perf_counter()
        trainer.step(rows, 0.0)
        seconds = time.perf_counter() - began
        if seconds > LONG:
            break
    trainer.restore(state)
    return seconds


def _peak_memory() -> int | None:
    """The most memory that this process has used, in bytes."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
