"""Which variant passes more of the same cases: models and presets, all seeds in one batch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmparams_cli.analysis.evaluation import Standing
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import all_whole
from llmparams_cli.jobs.cases import request
from llmparams_cli.jobs.prepare import Prepared, prepare
from llmparams_cli.params.spec import Scope
from llmparams_cli.presets.cases import read_cases
from llmparams_cli.presets.outcome import Shell, judge
from llmparams_cli.presets.tests import Case
from llmparams_cli.protocol import Backend, Finished, Progress


@dataclass(frozen=True)
class Variant:
    """A model with a preset."""

    name: str
    prepared: Prepared


@dataclass(frozen=True)
class Run:
    """One answer to be made: by variant, case and seed."""

    variant: int
    case: int
    seed: int


def cases_of(env: Environment, file: str, seeds: int | None) -> tuple[Case, ...]:
    """The cases of a file, each with `seeds` seeds in place of its own, if that is given."""
    found = read_cases(resolve_path(file, env.directory), file)
    return found if seeds is None else tuple(_with_seeds(case, seeds) for case in found)


def _with_seeds(case: Case, count: int) -> Case:
    """The case with the seeds 1 to `count`, of which the same share must pass."""
    least = math.ceil(case.at_least / len(case.seeds) * count)
    return replace(case, seeds=tuple(range(1, count + 1)), at_least=least)


def variants(
    env: Environment,
    models: Sequence[str],
    presets: Sequence[str],
    flags: Mapping[str, Any],
    variables: Sequence[str],
) -> list[Variant]:
    """Every model with every preset; each has a name of its own."""
    for what, names in (("model", models), ("preset", presets)):
        for name, times in Counter(names).items():
            if times > 1:
                raise UsageError(f"the {what} {name} is given twice", "compare it with another")
    found = []
    named: list[str | None] = [*models] if models else [None]
    for model in named:
        for preset in presets or [""]:
            taken = [preset] if preset else []
            prepared = prepare(env, taken, {**flags, "model": model}, variables)
            found.append((model, preset, prepared))
    known = {model: each.model.known_as or each.model.name for model, _, each in found}
    alike = len(set(known.values())) < len(known)  # as two files called model.gguf
    return [
        Variant(_name((model if alike and model else known[model]), preset, len(named)), prepared)
        for model, preset, prepared in found
    ]


def _name(model: str, preset: str, models: int) -> str:
    """Of a variant: what tells it from the others."""
    return " ".join([model] * (models > 1 or not preset) + [preset] * bool(preset))


def evaluate(
    env: Environment,
    compared: Sequence[Variant],
    cases: Sequence[Case],
    shell: Shell,
    progress: Progress,
) -> list[Standing]:
    """Let every variant answer every case with every seed, and judge the answers."""
    answers: dict[Run, Finished] = {}
    total = len(compared) * sum(len(case.seeds) for case in cases)
    for group in groups(compared):
        prepared = compared[group[0]].prepared
        with (
            Control() as control,
            opened(env, prepared.model, prepared.settings, control, progress) as backend,
        ):
            progress("evaluating", len(answers) / total)
            for run, finished in answered(env, backend, compared, cases, group):
                answers[run] = finished
                progress("evaluating", len(answers) / total)
    return judged(compared, cases, answers, shell)


def answered(
    env: Environment,
    backend: Backend,
    compared: Sequence[Variant],
    cases: Sequence[Case],
    group: Sequence[int],
    *,
    measured: bool = False,
) -> Iterator[tuple[Run, Finished]]:
    """All answers of the `group` of variants (their indices), in one batch; `measured` ones have
    probabilities.
    """
    runs = [
        Run(variant, number, seed)
        for number, case in enumerate(cases)
        for variant in group
        for seed in case.seeds
    ]
    requests = [
        request(
            env,
            compared[run.variant].prepared,
            cases[run.case],
            run.seed,
            backend,
            measured=measured,
        )
        for run in runs
    ]
    for number, finished in all_whole(backend, requests):
        yield runs[number], finished


def judged(
    compared: Sequence[Variant],
    cases: Sequence[Case],
    answers: Mapping[Run, Finished],
    shell: Shell,
) -> list[Standing]:
    """Judge every variant's answers to every case."""
    return [
        Standing(
            each.name,
            tuple(
                judge(
                    each.name,
                    case,
                    [(seed, answers[Run(variant, number, seed)]) for seed in case.seeds],
                    shell,
                )
                for number, case in enumerate(cases)
            ),
        )
        for variant, each in enumerate(compared)
    ]


def groups(compared: Sequence[Variant]) -> list[list[int]]:
    """The indices of variants that one model in memory can answer."""
    found: dict[str, list[int]] = {}
    for number, each in enumerate(compared):
        settings = each.prepared.settings
        shared = [settings.of_scope(scope) for scope in (Scope.LOAD, Scope.CONTEXT)]
        found.setdefault(repr((each.prepared.model.reference, shared)), []).append(number)
    return list(found.values())
