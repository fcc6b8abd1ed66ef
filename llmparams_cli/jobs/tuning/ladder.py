"""Runs side by side that differ in one setting or several, on equal budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmparams_cli.analysis.tuning import Course, Rung
from llmparams_cli.env import Environment
from llmparams_cli.jobs.tuning import models
from llmparams_cli.jobs.tuning.folder import BASE, BEST, STATE, RunFolder
from llmparams_cli.jobs.tuning.learning import learn
from llmparams_cli.jobs.tuning.material import Material
from llmparams_cli.jobs.tuning.order import Order
from llmparams_cli.jobs.tuning.ready import Ready, ready
from llmparams_cli.jobs.tuning.run import Show, work_of
from llmparams_cli.jobs.tuning.start import Start
from llmparams_cli.models.gguf import read_header
from llmparams_cli.protocol import Progress

LAST = 10  # a tenth of the steps: the training loss at the end is their mean


@dataclass(frozen=True)
class Variant:
    """One run of a ladder, and the values by which it differs."""

    values: Mapping[str, str]
    start: Start
    material: Material
    order: Order


def climb(
    env: Environment,
    variants: Sequence[Variant],
    folder: Path,
    show: Show,
    progress: Progress,
    *,
    type: str | None = None,
) -> list[Rung]:
    """Run each variant; the best model of each stays in the folder, under its number. `type` is
    what it is going to be written as, if that is known.
    """
    rungs = []
    for number, variant in enumerate(variants):
        place = folder / str(number)
        run = RunFolder(place)
        try:
            made = variant.start, variant.material, variant.order
            with ready(env, *made, place / BASE, progress) as found:
                if type:
                    models.refuse_unmade(found.base, type)
                work = work_of(found, run, _keeping(found, place / BEST))
                with show(found.plan) as watcher:
                    course = learn(work, watcher, found.control)
                if found.control.stop:
                    raise KeyboardInterrupt
            rungs.append(_rung(variant, found, course))
        finally:
            run.close()
        for name in (BASE, STATE):
            (place / name).unlink()
    return rungs


def written(
    env: Environment, folder: Path, number: int, target: Path, type: str, progress: Progress
) -> None:
    """Write the best model of this variant."""
    best = read_header(folder / str(number) / BEST)
    models.convert(env, best, target, type, progress)


def _keeping(found: Ready, path: Path) -> Callable[[bool], tuple[str, ...]]:
    def keep(improved: bool) -> tuple[str, ...]:
        if improved:
            models.with_weights(found.base, found.trainer.weights(), path)
        return ()

    return keep


def _rung(variant: Variant, found: Ready, course: Course) -> Rung:
    strides = course.strides
    last = [each.loss for each in strides[-max(1, len(strides) // LAST) :]]
    best = course.best
    assert best is not None
    return Rung(
        variant.values,
        found.plan.parameters,
        course,
        sum(last) / len(last) if last else best.loss,
        best.loss,
        strides[-1].seconds if strides else 0.0,
    )
