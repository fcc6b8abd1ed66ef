"""Searches for settings, and lets the winner meet the default where the search has not been."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llmparams_cli.analysis.optimization import Outcome, Trial, best
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.optimization.by_answers import ByAnswers
from llmparams_cli.jobs.optimization.by_speed import by_speed, usual_axes
from llmparams_cli.jobs.optimization.candidates import Candidates, candidates
from llmparams_cli.jobs.optimization.proposals import importance, proposed
from llmparams_cli.jobs.optimization.record import Record
from llmparams_cli.jobs.optimization.space import read_axes
from llmparams_cli.jobs.optimization.way import Loaded, Way
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.presets.document import text_of
from llmparams_cli.protocol import Progress
from llmparams_cli.records import identity

SEARCHING, PROVING = "searching", "proving"
Watch = Callable[[Sequence[Trial]], None]  # sees all trials so far, the default first


@dataclass(frozen=True)
class Budget:
    """When to stop: after so many trials or minutes, whichever comes first."""

    trials: float = math.inf
    minutes: float = math.inf

    def spent(self, trials: float, began: float) -> float:
        """The share of it, from 0 to 1."""
        minutes = (time.monotonic() - began) / 60
        return min(1.0, max(trials / self.trials, minutes / self.minutes))


@dataclass(frozen=True)
class Search:
    """What is searched, and by what. `model_id` is the model's SHA-256, if that is known."""

    env: Environment
    candidates: Candidates
    way: Way
    minimize: bool = False

    @property
    def model_id(self) -> str:
        return self._model.sha256 or ""

    @property
    def subject(self) -> Mapping[str, Any]:
        """Tells the same search again."""
        made = self.candidates
        return {
            "optimize": 2,
            "model": list(self._model),
            "over": [
                repr((axis.name, axis.read or axis.choices, axis.low, axis.high))
                for axis in made.axes
            ],
            "adapters": [
                list(identity.recall([path], self.env.cache_dir)) for path in made.adapters()
            ],
            "bases": [_described(each) for each in (made.default.prepared, *made.bases.values())],
            **self.way.subject,
        }

    @property
    def _model(self) -> identity.Identity:
        return identity.recall(self.candidates.default.prepared.model.files, self.env.cache_dir)


def _described(prepared: Prepared) -> list[str]:
    """All that makes a base what it is."""
    template = prepared.prompt_template
    values = (f"{each.name}={each.value!r}" for each in prepared.settings.both)
    return [text_of(prepared.system) or "", repr(template and template.source.text), *values]


def for_answers(
    env: Environment,
    over: Sequence[str],
    presets: Sequence[str],
    flags: Mapping[str, Any],
    way: ByAnswers,
) -> Search:
    """The search for settings with better answers, checked before anything is loaded."""
    made = candidates(env, read_axes(over, env.directory), presets, flags)
    made.check()
    return Search(env, made, way, way.minimize)


def for_speed(
    env: Environment,
    over: Sequence[str],
    presets: Sequence[str],
    flags: Mapping[str, Any],
    prompt: int | None,
) -> Search:
    """The search for settings that take less time to read a prompt of so many tokens and write an
    answer; over the usual ones if none is named.
    """
    made = candidates(env, read_axes(over or usual_axes(), env.directory), presets, flags)
    way = by_speed(made.default.prepared, made.axes, prompt)
    made.check()
    return Search(env, made, way)


def begin(search: Search, *, resume: bool) -> Record:
    """The journal of this search, which may go on where it was left. Close it."""
    return Record(search.env, search.subject, resume=resume)


def run(
    search: Search, record: Record, budget: Budget, progress: Progress, watch: Watch
) -> Outcome:
    """Search until the budget is spent, and prove the winner. Every finished batch is kept."""
    prepared = search.candidates.default.prepared
    with (
        Control() as control,
        opened(search.env, prepared.model, prepared.settings, control, progress) as backend,
    ):
        on = Loaded(search.candidates, backend, control)
        _search(search, on, record, budget, progress, watch)
        return _prove(search, on, record.trials, progress)


def _search(
    search: Search,
    on: Loaded,
    record: Record,
    budget: Budget,
    progress: Progress,
    watch: Watch,
) -> None:
    """Add the default and trials to the record, which may have some already."""
    began = time.monotonic()
    while (left := budget.trials - max(0, len(record.trials) - 1)) > 0:
        known = record.trials
        if known and time.monotonic() >= began + budget.minutes * 60:
            break
        new = _next(search, known, left)
        if not new:
            break
        watch(known)
        told = partial(_tell, progress, budget, began, len(known) - 1, len(new))
        told(0)
        tried = search.way.tried(on, new, known, told)
        if not known and not math.isfinite(tried[0].score):
            raise UsageError(
                f"--metric {search.way.metric_name} is undefined for the default's answers",
                "try another metric",
            )
        record.add(tried)
        record.trials += tried
    progress(SEARCHING, 1)


def _tell(
    progress: Progress, budget: Budget, began: float, before: int, new: int, part: float
) -> None:
    progress(SEARCHING, min(0.99, budget.spent(before + part * new, began)))


def _next(search: Search, known: Sequence[Trial], left: float) -> list[Trial]:
    """One more batch of trials, without scores; the default is the first of all."""
    first = [] if known else [Trial({}, ())]
    found = proposed(
        search.candidates.axes,
        known[1:],
        int(min(max(1, search.way.at_once - len(first)), left)),
        left,
        search.candidates.settled,
        minimize=search.minimize,
    )
    return [*first, *(Trial(point, ()) for point in found)]


def _prove(search: Search, on: Loaded, trials: Sequence[Trial], progress: Progress) -> Outcome:
    """Let the best trial meet the default."""
    default, *others = trials
    winner = best(others, default, minimize=search.minimize)
    shares = importance(search.candidates.axes, others, minimize=search.minimize)
    outcome = Outcome(tuple(others), default, winner, shares)
    if winner is default:
        return outcome
    meeting, speeds = search.way.proved(
        on, winner, default, lambda done: progress(PROVING, min(0.99, done))
    )
    progress(PROVING, 1)
    return replace(outcome, meeting=meeting, speeds=speeds)
