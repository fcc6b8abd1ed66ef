"""--grid: a run with each value, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from llmparams_cli.analysis.tuning import Rung, best_rung
from llmparams_cli.commands.tune.request import Request, temporary_folder
from llmparams_cli.errors import TrainingError, UsageError
from llmparams_cli.files import appearing
from llmparams_cli.jobs.tuning import ladder as job
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.protocol import Progress
from llmparams_cli.render.plots import plot_files
from llmparams_cli.render.plots.sheet import Sheet
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.render.tuning import data, variants
from llmparams_cli.render.tuning.live import Live
from llmparams_cli.training.records import Data

# Option: the field of an Order that it sets, and how its text is read.
OF_ORDER: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "learning_rate": ("rate", float),
    "batch_size": ("batch", int),
    "context": ("size", int),
    "optimizer": ("optimiser", str),
    "weight_decay": ("weight_decay", float),
    "schedule": ("schedule", str),
    "warmup": ("warmup", int),
    "clip": ("clip", float),
    "lora": ("lora", int),
    "seed": ("seed", int),
}
OF_SHAPE = ("layers", "hidden", "heads", "kv_heads", "feed_forward")
WORDS = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("constant", "linear", "cosine", "plateau"),
}
OFF = {"seed", "weight_decay", "clip", "warmup"}  # which may be 0
NAMES = (*OF_SHAPE, *OF_ORDER)


def run(request: Request, grids: Sequence[str], target: Path | None) -> None:
    """Run every combination, and print them side by side."""
    env, files = request.env, request.files
    axes = [_axis(text) for text in grids]
    names = [name for name, _ in axes]
    plots = plot_files(env, files.png, files.svg)
    with temporary_folder() as folder, ProgressBar(env) as progress:
        examples = request.examples()
        runs = [
            _variant(request, dict(zip(names, chosen, strict=True)), examples, progress)
            for chosen in product(*(values for _, values in axes))
        ]
        rungs = job.climb(
            env, runs, folder, lambda plan: Live(env, plan), progress, type=request.type
        )
        best = best_rung(rungs)
        if best and target is not None:
            number = rungs.index(best)
            type = request.type or runs[number].start.type
            with appearing(target, replace=request.force) as path:
                job.written(env, folder, number, path, type, progress)
    plots.write(lambda: _plot(rungs, names[0]))
    if files.as_json:
        data.show_ladder(env, rungs)
    elif not plots:
        variants.show_ladder(env, rungs, names, color=request.color)
    if best is None:
        env.stdout.flush()
        raise TrainingError("the loss ran away in every run", "try a lower --learning-rate")


def _axis(text: str) -> tuple[str, list[str]]:
    name, _, listed = text.partition("=")
    name = name.strip().replace("-", "_")
    if name not in NAMES:
        raise UsageError(
            f"--grid {text!r}: {name} cannot vary{did_you_mean(name, NAMES)}",
            f"these can: {', '.join(NAMES)}",
        )
    values = [value.strip() for value in listed.split(",") if value.strip()]
    if not values:
        raise UsageError(f"--grid {text!r} has no values", f"--grid {name}=A,B,C")
    return name, values


def _variant(
    request: Request, values: Mapping[str, str], examples: Data, progress: Progress
) -> job.Variant:
    order, shape = request.order, request.shape
    for name, text in values.items():
        field, read = OF_ORDER.get(name, (name, int))
        value = _value(name, text, read)
        if name in OF_ORDER:
            order = replace(order, **{field: value})
        elif shape is None:
            raise UsageError(f"--grid {name}: the model has its shape", "--from-scratch makes one")
        else:
            shape = replace(shape, **{field: value})
    changed = request.but(order, shape)
    start = changed.start(progress)
    material = changed.material(start, examples, progress)
    if not material.held_out:
        raise UsageError("--grid compares by what is held out, and nothing is", "--hold-back 0.1")
    return job.Variant(values, start, material, order)


def _value(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        value = read(text)
    except ValueError as error:
        raise UsageError(f"--grid {name}={text}: no such value", "give a number") from error
    if name in WORDS and value not in WORDS[name]:
        raise UsageError(f"--grid {name}={text}: no such value", ", ".join(WORDS[name]))
    if name not in WORDS and not (0 <= value < math.inf if name in OFF else 0 < value < math.inf):
        raise UsageError(f"--grid {name}={text}: out of range", "more than 0")
    return value


def _plot(rungs: Sequence[Rung], name: str) -> Sheet:
    from llmparams_cli.render.plots.variants import ladder

    return ladder(rungs, name)
