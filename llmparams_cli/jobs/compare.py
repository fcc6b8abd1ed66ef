"""Variants of one answer: presets, and grids of values, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmparams_cli.analysis.comparison import Metric, Sample, Variant, distinguished, measure
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.explain import draws
from llmparams_cli.jobs.prepare import Prepared, prepare
from llmparams_cli.params.conflicts import changed
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source
from llmparams_cli.params.spec import Scope
from llmparams_cli.params.table import PARAMS, named
from llmparams_cli.presets import values
from llmparams_cli.presets.files import read_text, resolve
from llmparams_cli.protocol import Finished, Piece, Request, Started, StopReason

if TYPE_CHECKING:
    from llmparams_cli.backends.llama.decoding.generate import Engine
    from llmparams_cli.backends.llama.decoding.recording import Recording

MOST = 4096  # answers to one prompt
DETAILED = 3000  # draws of which a page tells all
RECORDED = 4 << 30  # bytes of logits that are kept for that
FILES = 200  # and their recordings
FLOAT = 4  # bytes
GRID = Origin(Source.FLAG, "--grid")
Progress = Callable[[str, float], None]
Watch = Callable[[int, Piece | Finished], None]


@dataclass(frozen=True)
class Setup:
    """How a variant is to be answered: with which settings, of which preset."""

    variant: Variant
    prepared: Prepared
    settings: Settings


@dataclass(frozen=True)
class Job:
    """An answer to come; `sample` counts those of its variant to this prompt, from 0."""

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
    """Every preset with every combination of the grids' values; without presets, the grid
    alone. All share one seed.
    """
    axes = [_axis(env, text) for text in grids]
    found: list[Setup] = []
    seed = None
    for preset in presets or [""]:
        prepared = prepare(env, [preset] if preset else [], flags, variables)
        for point in product(*axes):
            settings = changed(prepared.settings, point)
            seed = _seed(settings) if seed is None else seed
            if not any(assignment.name == "seed" for assignment in point):
                settings = settings.but(Assignment("seed", seed, GRID))
            texts = {a.name: PARAMS[a.name].kind.show(a.value) for a in point}
            name = " ".join([preset, *(f"{key}={text}" for key, text in texts.items())]).strip()
            shown = {"preset": preset, **texts} if preset else texts
            name = distinguished(name or "as set", [each.variant.name for each in found])
            found.append(Setup(Variant(name, shown), prepared, settings))
    _refuse_several_models(found)
    _tell_what_serves_all(env, found)
    return found


def _axis(env: Environment, text: str) -> list[Assignment]:
    """Read --grid NAME=V1,V2,…"""
    name, listed = values.pair(text)
    param = named(name)
    if param is None:
        raise UsageError(f"--grid: unknown parameter {name!r}{values.suggestion(name)}")
    if param.scope in (Scope.LOAD, Scope.CONTEXT):
        raise UsageError(
            f"--grid {name}: one model is loaded once for all variants",
            "run compare again for another value",
        )
    if not listed:
        raise UsageError(f"--grid {text!r} has no values", f"--grid {name}=A,B,C")
    place = f"{GRID.place} {name}"
    points = (values.given(param, [value], env.directory, place) for value in listed.split(","))
    return [Assignment(param.name, point, GRID) for point in points]


def _seed(settings: Settings) -> int:
    from llmparams_cli.backends.llama.decoding.generate import draw_seed

    return draw_seed(settings)


def _refuse_several_models(found: Sequence[Setup]) -> None:
    paths = {str(each.prepared.model.path): each.variant.name for each in found}
    if len(paths) > 1:
        names = " and ".join(paths.values())
        raise UsageError(
            f"{names} name different models, and one is loaded for all", "--model overrides both"
        )


def _tell_what_serves_all(env: Environment, found: Sequence[Setup]) -> None:
    """One model and one context are made, as the first variant wants them, and all draw with
    its random numbers: say so where another variant wants something else.
    """
    first, *others = [each.prepared.settings for each in found]
    for setting in first:
        param = setting.param
        if param.scope not in (Scope.LOAD, Scope.CONTEXT) and param.name != "seed":
            continue
        if any(other[param.name] != setting.value for other in others):
            value = f"{param.name} {param.kind.show(setting.value)}"
            env.note(f"{value} ({setting.origin}) serves all variants")


def prompts_of(env: Environment, file: str) -> list[str]:
    """The prompts of --prompts: a line each, or JSON Lines with the key 'prompt'."""
    try:
        lines = read_text(resolve(file, env.directory)).splitlines()
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
    raw: bool,
    metrics: Sequence[Metric],
    details: int,
    progress: Progress,
    watch: Watch,
) -> list[Variant]:
    """Answer every prompt with every variant, `samples` times with seeds in a row; and explain
    answers, as long as they have no more than `details` draws together.

    `watch` sees pieces and ends as they come, with the number of the answer: the samples of
    the first variant, then those of the second, …; then the same for the next prompt.
    """
    from llmparams_cli.backends.llama.decoding.generate import Engine
    from llmparams_cli.interrupt import Interrupt

    if len(found) * samples > MOST:
        raise UsageError(f"{len(found) * samples} answers to a prompt; at most {MOST}")
    jobs = [job for prompt in prompts for job in _jobs(found, prompt, samples, raw)]
    first = found[0]
    with (
        Interrupt() as interrupt,
        Engine(env, first.prepared.model, first.settings, interrupt, progress) as engine,
    ):
        for job, sample in zip(jobs, _answers(engine, jobs, metrics, watch, details), strict=True):
            job.setup.variant.samples.append(sample)
    return [each.variant for each in found]


def _jobs(found: Sequence[Setup], prompt: str, samples: int, raw: bool) -> Iterator[Job]:
    for each in found:
        for number in range(samples):
            seed = (each.settings["seed"] + number) % (2**32 - 1)
            settings = each.settings.but(Assignment("seed", seed, GRID))
            request = each.prepared.request(prompt, settings=settings, raw=raw, logprobs=0)
            yield Job(each, prompt, number, request)


def _answers(
    engine: Engine, jobs: Sequence[Job], metrics: Sequence[Metric], watch: Watch, details: int
) -> list[Sample]:
    from llmparams_cli.backends.llama.decoding.compare import together

    started: dict[int, Started] = {}
    samples: dict[int, Sample] = {}
    with ExitStack() as stack:
        recordings = {
            number: stack.enter_context(engine.recording())
            for number in (_recordable(engine, jobs, details) if details else ())
        }
        for number, event in together(engine, [job.request for job in jobs], recordings):
            if isinstance(event, Started):
                started[number] = event
                continue
            watch(number, event)
            if isinstance(event, Finished):
                if event.stop.reason is StopReason.INTERRUPTED:
                    raise KeyboardInterrupt
                seed = started[number].seed
                numbers = measure(event, metrics)
                samples[number] = Sample(jobs[number].prompt, seed, event, numbers)
        for number, recording in recordings.items():
            if len(recording) <= details:
                details -= len(recording)
                samples[number] = _explained(
                    engine, jobs[number], started[number], samples[number], recording
                )
    return [samples[number] for number in range(len(jobs))]


def _explained(
    engine: Engine, job: Job, started: Started, sample: Sample, recording: Recording
) -> Sample:
    explanation = draws(engine, recording, job.request.settings, started, sample.finished)
    return replace(sample, explanation=explanation)


def _recordable(engine: Engine, jobs: Sequence[Job], details: int) -> Iterator[int]:
    """Numbers of the answers to record, the first of every variant before the second: as many
    as there is room for, should they become as long as they may and can be explained.
    """
    from llmparams_cli.backends.llama.decoding.compare import longest

    room = RECORDED // (engine.model.n_vocab * FLOAT)
    by_sample = sorted(range(len(jobs)), key=lambda number: jobs[number].sample)
    for number in by_sample[:FILES]:
        room -= min(longest(jobs[number].request), details)
        if room >= 0:
            yield number
