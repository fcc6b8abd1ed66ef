"""Searches for settings on some of the cases, and lets the winner meet the default on the rest."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmparams_cli.analysis.optimization import (
    Meeting,
    Outcome,
    Trial,
    best,
    blocks,
    hopeless,
    split,
)
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path, sha256
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.evaluation.cases import Variant, answered, cases_of, judged
from llmparams_cli.jobs.optimization.candidates import Candidates, candidates
from llmparams_cli.jobs.optimization.metric import Metric
from llmparams_cli.jobs.optimization.proposals import load, proposed
from llmparams_cli.jobs.optimization.record import Record
from llmparams_cli.jobs.optimization.space import read_axes
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.presets.document import text_of
from llmparams_cli.presets.outcome import Shell
from llmparams_cli.presets.tests import Case
from llmparams_cli.protocol import Backend, Progress
from llmparams_cli.records import identity

AT_ONCE = 8  # trials that share a batch: more decode faster, but each knows less of the others
SEARCHING, PROVING = "searching", "proving"


@dataclass(frozen=True)
class Budget:
    """When to stop: after so many trials or minutes, whichever comes first."""

    trials: float = math.inf
    minutes: float = math.inf


@dataclass(frozen=True)
class Search:
    """What is searched, checked before anything is loaded. `subject` tells the same search again;
    `model_id` is the model's SHA-256, if that is known.
    """

    env: Environment
    candidates: Candidates
    cases: Sequence[Case]
    held: Sequence[Case]
    metric: Metric
    minimize: bool
    subject: Mapping[str, Any]
    model_id: str


def plan(
    env: Environment,
    over: Sequence[str],
    presets: Sequence[str],
    flags: Mapping[str, Any],
    cases: str,
    metric: Metric,
    *,
    seeds: int | None = None,
    hold_back: float,
    minimize: bool = False,
) -> Search:
    """Read and check what is to be searched."""
    load()
    axes = read_axes(over, env.directory)
    searched, held = split(cases_of(env, cases, seeds), hold_back)
    made = candidates(env, axes, presets, flags)
    known = identity.recall(made.default.prepared.model.files, env.cache_dir)
    subject = {
        "optimize": 1,
        "model": list(known),
        "cases": sha256(resolve_path(cases, env.directory)),
        "over": list(over),
        "metric": metric.name,
        "minimize": minimize,
        "seeds": seeds,
        "hold_back": hold_back,
        "bases": [_described(each) for each in (made.default.prepared, *made.bases.values())],
    }
    return Search(env, made, searched, held, metric, minimize, subject, known.sha256 or "")


def _described(prepared: Prepared) -> list[str]:
    """All that makes a base what it is."""
    template = prepared.prompt_template
    values = (f"{each.name}={each.value!r}" for each in prepared.settings.both)
    return [text_of(prepared.system) or "", repr(template and template.source.text), *values]


def run(
    search: Search, budget: Budget, shell: Shell, progress: Progress, *, resume: bool
) -> Outcome:
    """Search until the budget is spent, and prove the winner. Every finished batch is kept."""
    prepared = search.candidates.default.prepared
    record = Record(search.env, search.subject, resume=resume)
    try:
        with (
            Control() as control,
            opened(search.env, prepared.model, prepared.settings, control, progress) as backend,
        ):
            work = _Work(search, backend, control, shell, progress)
            default, *trials = work.search(record, budget)
            return work.prove(default, trials)
    except KeyboardInterrupt:
        kept = max(0, len(record.trials) - 1)
        search.env.note(f"{kept} trials are kept: the same command with --resume goes on")
        raise
    finally:
        record.close()


@dataclass(frozen=True)
class _Work:
    """A search with its model loaded."""

    of: Search
    backend: Backend
    control: Control
    shell: Shell
    progress: Progress

    def search(self, record: Record, budget: Budget) -> list[Trial]:
        """The default and all trials, of which the record may have some already."""
        began = time.monotonic()
        end = began + budget.minutes * 60
        while (left := budget.trials - max(0, len(record.trials) - 1)) > 0:
            spent = (time.monotonic() - began) / (budget.minutes * 60)
            self.progress(SEARCHING, min(0.99, max(1 - left / budget.trials, spent)))
            if record.trials and time.monotonic() >= end:
                break
            new = self._next(record.trials, left)
            if not new:
                break
            record.add(new)
            record.trials += new
        self.progress(SEARCHING, 1)
        if not math.isfinite(record.trials[0].score):
            raise UsageError(
                f"--metric {self.of.metric.name} is undefined for the default's answers",
                "try another metric",
            )
        return record.trials

    def prove(self, default: Trial, trials: Sequence[Trial]) -> Outcome:
        """Let the best trial meet the default on the cases held back."""
        winner = best(trials, default, minimize=self.of.minimize)
        outcome = Outcome(tuple(trials), default, winner)
        if winner is default:
            return outcome
        self.progress(PROVING, 0)
        compared = [self.of.candidates.of(trial) for trial in (winner, default)]
        one, other = self._measured(compared, self.of.held)
        self.progress(PROVING, 1)
        if not one or not other:
            raise UsageError(
                f"--metric {self.of.metric.name} is undefined for answers to cases held back",
                "try another metric",
            )
        seeds = min(len(case.seeds) for case in self.of.held) if self.of.metric.is_share else 0
        return replace(outcome, meeting=Meeting(one, other, self.of.minimize, seeds))

    def _next(self, trials: Sequence[Trial], left: float) -> list[Trial]:
        """One more batch of trials; the default is the first of all."""
        first = [] if trials else [Trial({}, ())]
        found = proposed(
            self.of.candidates.axes,
            trials[1:],
            int(min(AT_ONCE - len(first), left)),
            left,
            self.of.candidates.settled,
            minimize=self.of.minimize,
        )
        return self._tried([*first, *(Trial(point, ()) for point in found)], trials)

    def _tried(self, new: Sequence[Trial], known: Sequence[Trial]) -> list[Trial]:
        """New trials with their scores, block by block: those that are hopeless beside each other
        or those `known` are given up, but never the default.
        """
        tried = list(new)
        going = list(range(len(new)))
        for block in blocks(self.of.cases) if new else ():
            compared = [self.of.candidates.of(tried[number]) for number in going]
            for number, scores in zip(going, self._measured(compared, block), strict=True):
                whole = (*tried[number].scores, *scores) if scores else ()
                tried[number] = replace(tried[number], scores=whole)
            going = [number for number in going if tried[number].scores]
            rivals = [*known, *(tried[number] for number in going)]
            for number in going:
                if tried[number].values and self._is_hopeless(tried[number], rivals):
                    tried[number] = replace(tried[number], given_up=True)
            going = [number for number in going if not tried[number].given_up]
        count = len(self.of.cases)
        return [replace(each, given_up=0 < len(each.scores) < count) for each in tried]

    def _is_hopeless(self, trial: Trial, rivals: Sequence[Trial]) -> bool:
        return hopeless(trial, rivals, minimize=self.of.minimize)

    def _measured(
        self, compared: Sequence[Variant], cases: Sequence[Case]
    ) -> list[tuple[float, ...]]:
        """The metric of every case by variant; none for one with a case that has no number."""
        metric, group = self.of.metric, range(len(compared))
        answers = dict(
            answered(self.of.env, self.backend, compared, cases, group, measured=metric.measured)
        )
        self.control.check()
        found = []
        for standing in judged(compared, cases, answers, self.shell):
            scores = tuple(map(metric.of, standing.results))
            found.append(scores if all(map(math.isfinite, scores)) else ())
        self.control.check()
        return found
