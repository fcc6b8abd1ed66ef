"""One run from its start to the file that it makes, resumable at every check."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmparams_cli.analysis.tuning import Course, End, Plan, Tuned
from llmparams_cli.backends.training import engine_for
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError, TrainingError, UsageError
from llmparams_cli.files import appearing, display_path
from llmparams_cli.interrupt import Control, orderly_end
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.jobs.quantization.making import check_space, refuse_same
from llmparams_cli.jobs.tuning import measuring, models
from llmparams_cli.jobs.tuning.folder import (
    BASE,
    BEST,
    BEST_ADAPTER,
    DATE,
    NOW,
    RunFolder,
    folder_of,
    metrics_of,
    refuse_foreign,
)
from llmparams_cli.jobs.tuning.learning import RanAway, Watcher, Work, learn
from llmparams_cli.jobs.tuning.material import Material
from llmparams_cli.jobs.tuning.order import Order, interval
from llmparams_cli.jobs.tuning.ready import Ready, ready
from llmparams_cli.jobs.tuning.start import Start
from llmparams_cli.models.adapter_written import adapter_bytes
from llmparams_cli.models.gguf import read_header
from llmparams_cli.protocol import Progress
from llmparams_cli.training.schedule import Schedule, Stopping
from llmparams_cli.training.trainer import Trainer

# What a run may go on with otherwise; its date decides what templates write.
FREE = {"threads", "prompts", "every", "patience", DATE}
CHANGED = {"data": "the examples are not the same", "start": "MODEL is not the same"}
Show = Callable[[Plan], AbstractContextManager[Watcher]]


@dataclass(frozen=True)
class Target:
    """The file to be made: its path, its type (None: what suits the start), and whether an adapter
    is merged into the model; `force` replaces an older file and an unfinished run, which `resume`
    goes on with.
    """

    path: Path
    type: str | None = None
    merge: bool = False
    force: bool = False
    resume: bool = False


def tune(
    env: Environment,
    start: Start,
    material: Material,
    order: Order,
    target: Target,
    show: Show,
    progress: Progress,
) -> Tuned:
    """Train, and write the best of what came of it."""
    refuse_same(start.tokenizer, target.path)
    folder = _folder(target, order, start, material)
    with orderly_end():
        try:
            with ready(env, start, material, order, folder.file(BASE), progress) as found:
                _refuse_early(found, target, folder)
                before = _before(env, found, progress)
                work = _work(env, found, folder)
                if state := folder.load():
                    go_on(found.trainer, work, folder, state)
                with show(found.plan) as watcher:
                    course = learn(work, watcher, found.control)
            _refuse_unfinished(env, course, folder)
            tuned = _finished(env, found, course, folder, target, before, progress)
            folder.remove(metrics_of(target.path))
            return tuned
        finally:
            folder.close()


def work_of(found: Ready, folder: RunFolder, keep: Any) -> Work:
    """The steps of a plan, to be made from its trainer."""
    order, plan = found.order, found.plan
    assert order.rate is not None
    return Work(
        found.trainer,
        found.material.rows,
        found.material.held_out,
        order.batch,
        plan.steps,
        interval(order, plan.steps, len(found.material.held_out)),
        Schedule(order.schedule, order.rate, plan.steps, order.warmup),
        Stopping(order.patience),
        order.seed,
        found.base.vocabulary_size,
        folder,
        keep,
    )


def _folder(target: Target, order: Order, start: Start, material: Material) -> RunFolder:
    """The folder of this run, new or with what an unfinished one left."""
    path = folder_of(target.path)
    refuse_foreign(path)
    if target.resume and not path.exists():
        raise UsageError(f"--resume: there is no unfinished run {path}", "leave it out")
    if path.exists() and not (target.resume or target.force):
        raise UsageError(
            f"{path} is an unfinished run", "--resume goes on with it, --force begins anew"
        )
    is_there = path.exists()
    folder = RunFolder(path)  # from here on it is locked
    if is_there and not target.resume:
        folder.clear()
    identity = _identity(order, start, material)
    try:
        if folder.has_begun():
            _refuse_other(folder, identity)
        else:
            folder.begin(identity)
    except BaseException:
        folder.close()
        raise
    return folder


def _identity(order: Order, start: Start, material: Material) -> dict[str, Any]:
    import json

    found = {
        **order.document(),
        "engine": engine_for(order.engine),  # their states differ
        "start": list(start.identity),
        "data": material.sha256,
        DATE: material.date,
    }
    return dict(json.loads(json.dumps(found)))  # as it will be read again


def _refuse_other(folder: RunFolder, identity: Mapping[str, Any]) -> None:
    """Raise UsageError if the folder is that of a run with other settings."""
    was = folder.run()
    for name, value in identity.items():
        if name not in FREE and was.get(name) != value:
            told = f"{name.replace('_', ' ')} is {value} now, and was {was.get(name)}"
            raise UsageError(
                f"--resume: {CHANGED.get(name, told)}",
                "give the same settings again, or begin anew with --force",
            )


def _work(env: Environment, found: Ready, folder: RunFolder) -> Work:
    now = folder.file(NOW)

    def keep(improved: bool) -> tuple[str, ...]:
        models.with_weights(found.base, found.trainer.weights(), now)
        try:
            prepared = _prepared(env, found, now)
            answers = models.answers(env, prepared, found.material.asked, found.control)
        except ModelError as error:  # the probabilities are no numbers
            raise RanAway("the model computes no probabilities any more") from error
        if improved:
            if adapter := found.trainer.adapter():
                assert found.recipe.lora
                data = adapter_bytes(adapter, found.recipe.lora.alpha, found.base.architecture)
                with appearing(folder.file(BEST_ADAPTER)) as path:
                    path.write_bytes(data)
            now.replace(folder.file(BEST))
        return tuple(answers)

    return work_of(found, folder, keep)


def _prepared(env: Environment, found: Ready, path: Path) -> Prepared:
    """A model of this run, ready to answer."""
    return models.by_path(env, path, found.order.threads, found.order.size)


def _refuse_early(found: Ready, target: Target, folder: RunFolder) -> None:
    """Raise the errors that would come at the end otherwise."""
    if target.type:
        models.refuse_unmade(found.base, target.type)
    whole, learned = found.base.parameters, found.plan.trained
    memory = 3 if found.order.optimiser == "adamw" else 1
    # The best model and the one as it is, the state and its successor, and the result.
    check_space(folder.file(BEST), 4 * (2 * whole + 2 * memory * learned) + 2 * whole)


def _before(env: Environment, found: Ready, progress: Progress) -> tuple[str, ...]:
    """The answers of the model that the run starts from; it must be the one that learns."""
    rows = found.material.rows[: found.order.batch]
    prepared = _prepared(env, found, found.base.path)
    measuring.refuse_otherwise(env, prepared, found.trainer, rows, progress)
    return tuple(models.answers(env, prepared, found.material.asked, found.control))


def go_on(trainer: Trainer, work: Work, folder: RunFolder, state: Mapping[str, Any]) -> None:
    """Put a trainer and the work back to where an unfinished run was."""
    trainer.restore(state)
    work.schedule.restore(folder.position["schedule"])
    work.stopping.restore(folder.position["stopping"])


def _refuse_unfinished(env: Environment, course: Course, folder: RunFolder) -> None:
    """Raise the error of a run that was broken off, or in which nothing was learned."""
    if course.end is End.INTERRUPTED:
        place = display_path(folder.path, env.directory)
        env.note(f"step {len(course.strides)} is kept in {place}: --resume goes on from there")
        raise KeyboardInterrupt
    if course.end is End.DIVERGED and not course.kept:
        folder.remove()
        raise TrainingError(course.word, hint_for(course))


def hint_for(course: Course) -> str:
    """A learning rate to try in place of one that was too high."""
    rate = max(stride.rate for stride in course.strides)
    return f"try --learning-rate {min(rate / 10, 1e-3):.1g}; --find-learning-rate looks for one"


def _finished(
    env: Environment,
    found: Ready,
    course: Course,
    folder: RunFolder,
    target: Target,
    before: tuple[str, ...],
    progress: Progress,
) -> Tuned:
    """Write the file, and measure what it is."""
    best = folder.file(BEST)
    is_adapter = found.recipe.lora is not None and not target.merge
    type = "F32" if is_adapter else target.type or "F16"
    with appearing(target.path, replace=target.force) as path:
        if is_adapter:
            shutil.copyfile(folder.file(BEST_ADAPTER), path)
        else:
            models.convert(env, read_header(best), path, type, progress)
    made = best if is_adapter else target.path
    first, second = (_prepared(env, found, path) for path in (found.base.path, made))
    changed, untouched = measuring.changes(found.base.path, best, progress)
    with Control() as control:
        after = models.answers(env, second, found.material.asked, control)
    return Tuned(
        plan=found.plan,
        course=course,
        target=str(target.path),
        type="adapter" if is_adapter else type,
        bytes=target.path.stat().st_size,
        held_out=measuring.held_out(env, first, second, found.material.held_out, progress),
        prompts=found.material.asked.prompts,
        before=before,
        after=tuple(after),
        changed=changed,
        untouched=untouched,
    )
