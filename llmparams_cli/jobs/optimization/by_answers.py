"""Settings judged by their answers to cases, and proved on cases held back."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmparams_cli.analysis.optimization import (
    Meeting,
    Scale,
    Trial,
    blocks,
    hopeless,
    split,
)
from llmparams_cli.env import Environment
from llmparams_cli.errors import LlmparamsError, UsageError
from llmparams_cli.files import resolve_path, sha256
from llmparams_cli.jobs.cases import read_input
from llmparams_cli.jobs.evaluation.cases import Run, answered, cases_of, judged
from llmparams_cli.jobs.optimization.metric import Metric
from llmparams_cli.jobs.optimization.way import Loaded, Told
from llmparams_cli.presets.outcome import Shell
from llmparams_cli.presets.tests import Case
from llmparams_cli.protocol import Finished


class Unanswered(Exception):
    """One of several trials has no answers, for this reason."""

    def __init__(self, reason: LlmparamsError) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class ByAnswers:
    """The cases to search on, and those that are `held` back. A `Way`."""

    env: Environment
    cases: Sequence[Case]
    held: Sequence[Case]
    metric: Metric
    minimize: bool
    shell: Shell
    subject: Mapping[str, Any]
    unit: str = "cases"
    at_once: int = 8  # that share a batch: more decode faster, but each knows less of the others

    @property
    def metric_name(self) -> str:
        return self.metric.name

    @property
    def scale(self) -> Scale:
        return self.metric.scale

    @property
    def tried_on(self) -> str:
        return f"on {len(self.cases)} cases, {_seeds(self.cases)}"

    @property
    def proved_on(self) -> str:
        return f"on {len(self.held)} cases held back, {_seeds(self.held)}"

    def tried(
        self, on: Loaded, new: Sequence[Trial], known: Sequence[Trial], told: Told
    ) -> list[Trial]:
        """Block by block of the cases, so that those that are hopeless beside others are given up;
        but never the default.
        """
        tried = list(new)
        going = list(range(len(new)))
        parts = blocks(self.cases)
        for part, block in enumerate(parts):
            compared = [tried[number] for number in going]
            measured = self._tolerant(on, compared, block, _part(told, part, len(parts)))
            for number, (scores, failure) in zip(going, measured, strict=True):
                whole = (*tried[number].scores, *scores) if scores else ()
                tried[number] = replace(tried[number], scores=whole, failure=failure)
            going = [number for number in going if tried[number].scores]
            rivals = [*known, *(tried[number] for number in going)]
            going = [
                number
                for number in going
                if not tried[number].values
                or not hopeless(tried[number], rivals, minimize=self.minimize)
            ]
        count = len(self.cases)
        return [replace(each, given_up=0 < len(each.scores) < count) for each in tried]

    def proved(self, on: Loaded, winner: Trial, default: Trial, told: Told) -> tuple[Meeting, None]:
        try:
            one, other = self._measured(on, [winner, default], self.held, told)
        except Unanswered as error:
            raise error.reason from error
        if not one or not other:
            raise UsageError(
                f"--metric {self.metric.name} is undefined for answers to cases held back",
                "try another metric",
            )
        seeds = min(len(case.seeds) for case in self.held)
        is_share = self.scale is Scale.SHARE
        return Meeting(one, other, self.minimize, seeds if is_share else 0), None

    def _tolerant(
        self, on: Loaded, trials: Sequence[Trial], cases: Sequence[Case], told: Told
    ) -> list[tuple[tuple[float, ...], str]]:
        """As `_measured`, but with a reason for a trial that cannot be answered, such as one whose
        context is too small; the default must be.
        """
        try:
            return [(scores, "") for scores in self._measured(on, trials, cases, told)]
        except Unanswered as error:
            if len(trials) > 1:
                return [self._tolerant(on, [trial], cases, told)[0] for trial in trials]
            if not trials[0].values:
                raise error.reason from error
            return [((), error.reason.message)]

    def _measured(
        self, on: Loaded, trials: Sequence[Trial], cases: Sequence[Case], told: Told
    ) -> list[tuple[float, ...]]:
        """The metric of every case by trial; none for one with a case that has no number."""
        compared, group = list(map(on.candidates.of, trials)), range(len(trials))
        answers: dict[Run, Finished] = {}
        total = len(trials) * sum(len(case.seeds) for case in cases)
        with_numbers = self.metric.measured
        try:
            for run, finished in answered(
                self.env, on.backend, compared, cases, group, measured=with_numbers
            ):
                answers[run] = finished
                told(len(answers) / total)
        except LlmparamsError as error:
            raise Unanswered(error) from error
        on.control.check()
        found = []
        for standing in judged(compared, cases, answers, self.shell):
            scores = tuple(map(self.metric.of, standing.results))
            found.append(scores if all(map(math.isfinite, scores)) else ())
        on.control.check()
        return found


def by_answers(
    env: Environment,
    file: str,
    metric: Metric,
    shell: Shell,
    *,
    seeds: int | None,
    hold_back: float,
    minimize: bool,
) -> ByAnswers:
    """Read the cases and split them."""
    searched, held = split(cases_of(env, file, seeds), hold_back)
    subject = {
        "cases": sha256(resolve_path(file, env.directory)),
        "inputs": [_hash(read_input(case.file, env)) for case in (*searched, *held) if case.file],
        "metric": metric.name,
        "minimize": minimize,
        "seeds": seeds,
        "hold_back": hold_back,
    }
    return ByAnswers(env, searched, held, metric, minimize, shell, subject)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _part(told: Told, number: int, count: int) -> Told:
    """Tells how far the whole is while the part with this number is done."""
    return lambda done: told((number + done) / count)


def _seeds(cases: Sequence[Case]) -> str:
    seeds = sorted({seed for case in cases for seed in case.seeds})
    return f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
