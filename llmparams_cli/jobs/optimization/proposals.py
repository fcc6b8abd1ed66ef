"""Which points to try next: proposed by Optuna, an optional dependency that only this file loads.

Nothing is kept between two batches: the same trials lead to the same proposals, so that a search
that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llmparams_cli.analysis.optimization import Trial
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.optimization.space import Axis, Point, key, points, size

Settled = Callable[[Point], Point | None]  # as `Candidates.settled`
SEED = 20_261_126  # any: the same search makes the same proposals
LISTED = 1000  # points of a space that are listed to find what is left of it
BETTER = 0.5  # the share of trials that count as the better ones
ENOUGH = 10  # trials that tell what matters
ATTEMPTS = 20  # proposals for each new point: in a small space most were tried before


def load() -> Any:
    """Optuna; UsageError with the cure where it is missing or broken."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise UsageError(
            f"optimize needs Optuna, and there is no module {error.name}",
            "pip install 'llmparams[optimize]'",
        ) from error
    except Exception as error:  # a broken installation raises anything
        raise UsageError(
            f"Optuna does not load: {error}", "pip install --force-reinstall optuna"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def proposed(
    axes: Sequence[Axis],
    trials: Sequence[Trial],
    count: int,
    left: float,
    settled: Settled,
    *,
    minimize: bool,
) -> list[Point]:
    """Up to `count` points that no trial had; fewer or none where few or none are left. If all that
    are left fit into the `left` trials of the budget, they are simply tried one after the other.
    """
    tried = {key(trial.values) for trial in trials}
    if size(axes) <= LISTED:
        untried = _new(points(axes), tried, settled)
        if len(untried) <= left:
            return untried[:count]
    return _new(_asked(axes, trials, count * ATTEMPTS, minimize), tried, settled, count)


def _new(
    found: Iterable[Point], tried: Collection[Any], settled: Settled, most: float = math.inf
) -> list[Point]:
    """The first of these points, each once, that can be tried and were not."""
    new: dict[Any, Point] = {}
    for point in filter(None, map(settled, found)):
        if key(point) not in tried:
            new.setdefault(key(point), point)
        if len(new) == most:
            break
    return list(new.values())


def _asked(
    axes: Sequence[Axis], trials: Sequence[Trial], most: int, minimize: bool
) -> Iterator[Point]:
    """What Optuna proposes, knowing these trials; what it proposed just now counts as pending."""
    study, distributions = _study(axes, trials, minimize)
    for _ in range(most):
        params = study.ask(distributions).params
        yield {axis.name: _settled(axis, params[axis.name]) for axis in axes}


def importance(
    axes: Sequence[Axis], trials: Sequence[Trial], *, minimize: bool
) -> dict[str, float]:
    """How much each axis decides whether a trial is in the better half, in shares (PED-ANOVA,
    Watanabe et al. 2023); empty where there are too few trials with different scores. The best
    tenth, which is usual, is two of twenty trials: in simulations chance decided half of it.
    """
    finished = _ranked(trials, minimize=minimize)
    if len(finished) < ENOUGH or len({trial.score for trial in finished}) < 2:
        return {}
    study, _ = _study(axes, finished, minimize)
    tool = load().importance
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials where a conditional parameter counts
        evaluator = tool.PedAnovaImportanceEvaluator(target_quantile=BETTER)
        shares = tool.get_param_importances(study, evaluator=evaluator)
    return {str(name): float(share) for name, share in shares.items()}


def _ranked(trials: Sequence[Trial], *, minimize: bool) -> list[Trial]:
    """All trials with scores as if they were finished: what was given up comes below all others, by
    its mean, for Optuna looks at finished trials alone, and what made them hopeless decided.
    """
    sign = 1 if minimize else -1
    finished = [trial for trial in trials if math.isfinite(trial.score)]
    worst = max((sign * trial.score for trial in finished), default=0.0)
    lost = sorted((t for t in trials if t.given_up), key=lambda trial: sign * trial.mean)
    below = (
        replace(trial, scores=(sign * (worst + number),), given_up=False)
        for number, trial in enumerate(lost, 1)
    )
    return [*finished, *below]


def _study(axes: Sequence[Axis], trials: Sequence[Trial], minimize: bool) -> tuple[Any, Any]:
    """What Optuna knows after these trials, and the distributions of the axes."""
    optuna = load()
    distributions = {axis.name: _distribution(optuna, axis) for axis in axes}
    study = optuna.create_study(
        direction="minimize" if minimize else "maximize",
        sampler=_sampler(optuna, SEED + len(trials)),
    )
    for trial in trials:
        study.add_trial(_frozen(optuna, trial, distributions))
    return study, distributions


def _frozen(optuna: Any, trial: Trial, distributions: Mapping[str, Any]) -> Any:
    """A trial as Optuna has it: one that was given up ranks below all others, the later the better,
    and one without a score says nothing.
    """
    state, scored = optuna.trial.TrialState, math.isfinite(trial.score)
    ended = state.COMPLETE if scored else state.PRUNED if trial.given_up else state.FAIL
    return optuna.trial.create_trial(
        params=trial.values,
        distributions={name: distributions[name] for name in trial.values},
        value=trial.score if scored else None,
        intermediate_values={len(trial.scores): trial.mean} if trial.given_up else {},
        state=ended,
    )


def _sampler(optuna: Any, seed: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # group: a point has no value for what has no effect there. constant_liar: the proposals of
        # one batch keep away from each other.
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True
        )


def _settled(axis: Axis, value: Any) -> Any:
    return value if axis.choices or axis.integer else axis.rounded(value)


def _distribution(optuna: Any, axis: Axis) -> Any:
    kinds = optuna.distributions
    if axis.choices:
        return kinds.CategoricalDistribution(axis.choices)
    if axis.integer:
        return kinds.IntDistribution(int(axis.low), int(axis.high))
    return kinds.FloatDistribution(axis.low, axis.high)
