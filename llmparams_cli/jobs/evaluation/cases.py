"""Which variant passes more of the same cases: models and presets, all seeds in one batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from llmparams_cli.jobs.grid import points
from llmparams_cli.jobs.prepare import Prepared, prepare
from llmparams_cli.params.spec import Param, Scope
from llmparams_cli.presets.cases import read_cases
from llmparams_cli.presets.outcome import Shell, judge
from llmparams_cli.presets.tests import Case
from llmparams_cli.protocol import Backend, Finished, Progress


@dataclass(frozen=True)
class Variant:
    """A model with a preset and other settings."""

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
    least = -(-case.at_least * count // len(case.seeds))  # rounded up
    return replace(case, seeds=tuple(range(1, count + 1)), at_least=least)


def variants(
    env: Environment,
    models: Sequence[str],
    presets: Sequence[str],
    grids: Sequence[str],
    flags: Mapping[str, Any],
    variables: Sequence[str],
) -> list[Variant]:
    """Every model with every preset, at every point of the grids; each has a name of its own."""
    for what, names in (("model", models), ("preset", presets)):
        for name, times in Counter(names).items():
            if times > 1:
                raise UsageError(f"the {what} {name} is given twice", "compare it with another")
    grid = list(points(env, grids, _refuse_seed))
    found = []
    named: list[str | None] = [*models] if models else [None]
    for model in named:
        for preset in presets or [""]:
            taken = [preset] if preset else []
            prepared = prepare(env, taken, {**flags, "model": model}, variables)
            for point in grid:
                at = replace(prepared, settings=point.settings(prepared))
                found.append((model, f"{preset} {point.name}".strip(), at))
    known = {model: each.model.known_as or each.model.name for model, _, each in found}
    alike = len(set(known.values())) < len(known)  # as two files called model.gguf
    made = [
        Variant(_name((model if alike and model else known[model]), rest, len(named)), prepared)
        for model, rest, prepared in found
    ]
    for name, times in Counter(each.name for each in made).items():
        if times > 1:
            raise UsageError(f"--grid makes {name} twice", "name each value once")
    refuse_missing_adapters(made)
    return made


def refuse_missing_adapters(compared: Sequence[Variant]) -> None:
    """Raise for any that is no file: later ones are loaded only when earlier answers are there."""
    from llmparams_cli.backends.llama.machine import lora_adapters

    for each in compared:
        lora_adapters(each.prepared.settings)


def _refuse_seed(param: Param) -> None:
    if param.name == "seed":
        raise UsageError("--grid seed: all variants have the same seeds", "--seeds N takes more")


def _name(model: str, rest: str, models: int) -> str:
    """Of a variant: what tells it from the others."""
    return " ".join([model] * (models > 1 or not rest) + [rest] * bool(rest))


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
    """All answers of the `group` of variants (their indices), in one batch for each context that
    they want; `measured` ones have probabilities.
    """
    for alike in _by_context(compared, group):
        runs = [
            Run(variant, number, seed)
            for number, case in enumerate(cases)
            for variant in alike
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
    return _alike(compared, range(len(compared)), lambda each: each.prepared.in_memory)


def _by_context(compared: Sequence[Variant], group: Sequence[int]) -> list[list[int]]:
    """The indices in a group of those that one context can answer."""
    return _alike(compared, group, lambda each: each.prepared.settings.of_scope(Scope.CONTEXT))


def _alike(
    compared: Sequence[Variant], group: Sequence[int], what: Callable[[Variant], Any]
) -> list[list[int]]:
    found: dict[str, list[int]] = {}
    for number in group:
        found.setdefault(repr(what(compared[number])), []).append(number)
    return list(found.values())
