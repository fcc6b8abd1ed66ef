"""Answers one prompt in many variants (presets, and grids of values), to set them side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmparams_cli.analysis.comparison import Metric, Sample, Variant, distinguished, measure
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import read_text, resolve_path
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import all_events, whole
from llmparams_cli.jobs.explain import Watched, draws, watching
from llmparams_cli.jobs.grid import GRID, points
from llmparams_cli.jobs.prepare import Form, Prepared, prepare
from llmparams_cli.params import seeds
from llmparams_cli.params.settings import Assignment, Settings
from llmparams_cli.params.spec import MADE_WITH, Param
from llmparams_cli.protocol import Backend, Finished, Piece, Progress, Request, Started

MOST = 4096  # answers to one prompt
DETAILED = 3000  # draws that a page explains, at most
RECORDED = 4 << 30  # bytes of logits that are kept for it, at most
FILES = 200  # recordings at most: each keeps a temporary file open
FLOAT = 4  # bytes of a logit
Watch = Callable[[int, Piece | Finished], None]


@dataclass(frozen=True)
class Setup:
    """How a variant is answered: its settings, and the preset that they come from."""

    variant: Variant
    prepared: Prepared
    settings: Settings


@dataclass(frozen=True)
class Job:
    """One answer to be made; `sample` counts those of its variant to this prompt, from 0."""

    setup: Setup
    prompt: str
    sample: int
    request: Request


def setups(
    env: Environment,
    presets: Sequence[str],
    grids: Sequence[str],
    flags: Mapping[str, Any],
    variables: Sequence[str],
) -> list[Setup]:
    """Every preset with every combination of the grids' values; the grids alone if there is no
    preset. All variants share one seed.
    """
    grid = list(points(env, grids, _refuse_of_the_model))
    found: list[Setup] = []
    seed = None
    for preset in presets or [""]:
        prepared = prepare(env, [preset] if preset else [], flags, variables)
        for point in grid:
            settings = point.settings(prepared)
            # One seed for all, even if it was left to chance: then only the parameters differ.
            seed = seeds.in_use(settings) if seed is None else seed
            if not any(assignment.name == "seed" for assignment in point.assignments):
                settings = settings.but(Assignment("seed", seed, GRID))
            name = f"{preset} {point.name}".strip() or "as set"
            name = distinguished(name, [each.variant.name for each in found])
            shown = {"preset": preset, **point.texts} if preset else point.texts
            found.append(Setup(Variant(name, shown), prepared, settings))
    _refuse_several_models(found)
    _tell_what_serves_all(env, found)
    return found


def _refuse_of_the_model(param: Param) -> None:
    if param.scope in MADE_WITH:
        raise UsageError(
            f"--grid {param.name}: one model is loaded once for all variants",
            "run compare again for another value",
        )


def _refuse_several_models(found: Sequence[Setup]) -> None:
    paths = {each.prepared.model.reference: each.variant.name for each in found}
    if len(paths) > 1:
        names = " and ".join(paths.values())
        raise UsageError(
            f"{names} name different models, and one is loaded for all", "--model overrides both"
        )


def _tell_what_serves_all(env: Environment, found: Sequence[Setup]) -> None:
    """Print a note for each setting that others want otherwise: one model and one context are made,
    as the first variant wants them, and all draw with its random numbers.
    """
    first, *others = [each.prepared.settings for each in found]
    for setting in first:
        param = setting.param
        if param.scope not in MADE_WITH and param.name != "seed":
            continue
        if any(other[param.name] != setting.value for other in others):
            value = f"{param.name} {param.kind.show(setting.value)}"
            env.note(f"{value} ({setting.origin}) serves all variants")


def prompts_of(env: Environment, file: str) -> list[str]:
    """The prompts of --prompts: one a line, or JSON Lines with the key 'prompt'."""
    try:
        lines = read_text(resolve_path(file, env.directory)).splitlines()
    except ValueError as error:
        raise UsageError(f"--prompts {file}: {error}", "give a text file") from error
    found = [_prompt(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise UsageError(f"--prompts {file} is empty", "one prompt a line")
    return found


def _prompt(file: str, number: int, line: str) -> str:
    if Path(file).suffix not in (".jsonl", ".ndjson"):
        return line
    try:
        return str(json.loads(line)["prompt"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--prompts {file}:{number}: no JSON object with the key 'prompt'"
        ) from error


def run(
    env: Environment,
    found: Sequence[Setup],
    prompts: Sequence[str],
    *,
    samples: int,
    form: Form,
    metrics: Sequence[Metric],
    details: int,
    progress: Progress,
    watch: Watch,
) -> list[Variant]:
    """Answer every prompt with every variant, `samples` times with consecutive seeds; and explain
    answers, as long as they have no more than `details` draws together.

    `watch` sees pieces and ends as they come, with the number of the answer. Answers are numbered
    by prompt, then by variant, then by sample.
    """
    if len(found) * samples > MOST:
        raise UsageError(f"{len(found) * samples} answers to a prompt; at most {MOST}")
    jobs = [job for prompt in prompts for job in _jobs(found, prompt, samples, form)]
    first = found[0]
    with (
        Control() as control,
        opened(env, first.prepared.model, first.settings, control, progress) as backend,
    ):
        watched = watching(control, progress)
        for job, sample in zip(
            jobs, _answers(backend, jobs, metrics, watch, details, watched), strict=True
        ):
            job.setup.variant.samples.append(sample)
    return [each.variant for each in found]


def _jobs(found: Sequence[Setup], prompt: str, samples: int, form: Form) -> Iterator[Job]:
    for each in found:
        for number in range(samples):
            seed = seeds.after(each.settings["seed"], number)
            settings = each.settings.but(Assignment("seed", seed, GRID))
            request = each.prepared.request(prompt, settings=settings, form=form, logprobs=0)
            yield Job(each, prompt, number, replace(request, drawn_entropy=True))


def _answers(
    backend: Backend,
    jobs: Sequence[Job],
    metrics: Sequence[Metric],
    watch: Watch,
    details: int,
    watched: Watched,
) -> list[Sample]:
    requests = [job.request for job in jobs]
    recorded = list(_recordable(backend, jobs, details)) if details else []
    for number in recorded:
        requests[number] = replace(requests[number], record=True)
    started: dict[int, Started] = {}
    samples: dict[int, Sample] = {}
    # Closes all recordings, also of answers that are too long to be explained.
    with ExitStack() as stack:
        for number, event in all_events(backend, requests):
            if isinstance(event, Started):
                started[number] = event
                continue
            watch(number, event)
            if isinstance(event, Finished):
                whole(event)
                if event.trace is not None:
                    stack.callback(event.trace.close)
                seed = started[number].seed
                numbers = measure(event, metrics)
                samples[number] = Sample(jobs[number].prompt, seed, event, numbers)
        # Ctrl-C came before all requests had started.
        if len(samples) < len(jobs):
            raise KeyboardInterrupt
        for number in recorded:
            finished, settings = samples[number].finished, requests[number].settings
            # Whole answers only, and those that come first.
            if finished.trace is not None and len(finished.trace) <= details:
                details -= len(finished.trace)
                explanation = draws(settings, started[number], finished, watched)
                samples[number] = replace(samples[number], explanation=explanation)
    return [samples[number] for number in range(len(jobs))]


def _recordable(backend: Backend, jobs: Sequence[Job], details: int) -> Iterator[int]:
    """The indices of the answers to record, the first sample of every variant before the second: as
    many as there is room for if each becomes as long as it may.
    """
    if not backend.capabilities.traces or backend.info.vocabulary is None:
        return
    room = RECORDED // (backend.info.vocabulary * FLOAT)
    by_sample = sorted(range(len(jobs)), key=lambda number: jobs[number].sample)
    for number in by_sample[:FILES]:
        room -= min(jobs[number].request.longest_answer, details)
        if room >= 0:
            yield number
