"""`llmparams optimize`: the best trials, and what the cases held back say of the winner."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from llmparams_cli.analysis.optimization import (
    Meeting,
    Outcome,
    Scale,
    Speed,
    Trial,
    amount,
    verdict,
)
from llmparams_cli.env import Environment
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.render.styles import BOLD, DIM, GREEN
from llmparams_cli.render.view import View
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import beginning
from llmparams_cli.text.units import percent

CACHE = "cache_type_"
SHOWN = 5  # of the best trials
WIDEST = 24  # characters of a choice, which may be a text


@dataclass(frozen=True)
class Facts:
    """What is said beside the outcome: the `axes` by name; on what trials were tried and the winner
    was proved, and what the scores are of (`unit`).
    """

    axes: Sequence[str]
    metric: str
    scale: Scale
    minimize: bool
    tried_on: str
    proved_on: str
    unit: str


def show(env: Environment, outcome: Outcome, facts: Facts, *, color: str) -> None:
    """Print the best trials beside the default, and the verdict."""
    view = View(env, color)
    view.line(f"{len(outcome.trials)} trials {facts.tried_on}:", BOLD)
    standings(view, outcome.trials, outcome.default, facts)
    hopeless = sum(trial.given_up for trial in outcome.trials)
    if hopeless:
        view.line(f"{hopeless} given up early: clearly worse", DIM)
    failed = [trial for trial in outcome.trials if trial.failure]
    for trial in failed[:SHOWN]:
        values = " ".join(f"{name}={_value(value)}" for name, value in trial.values.items())
        view.line(f"cannot be run: {one_line(values)}: {one_line(trial.failure)}", DIM)
    if len(failed) > SHOWN:
        view.line(f"and {len(failed) - SHOWN} more that cannot be run (--json)", DIM)
    undefined = sum(not trial.scores for trial in outcome.trials) - len(failed)
    if undefined:
        view.line(f"undefined for the answers of {undefined} trials, which cannot win", DIM)
    if outcome.importance:
        shares = (f"{name} {percent(share)}" for name, share in outcome.importance.items())
        view.line(f"what decided: {', '.join(shares)}", DIM)
    view.line()
    if outcome.meeting:
        view.line(f"the best of them, {facts.proved_on}:", BOLD)
        view.line(_scores(outcome.meeting, facts))
    if outcome.speeds:
        _speeds(view, *outcome.speeds)
    view.line(verdict(outcome, facts.scale), GREEN if outcome.is_better else "")
    if (
        outcome.is_better
        and outcome.speeds
        and any(n.startswith(CACHE) for n in outcome.best.values)
    ):
        view.line("another type of cache changes the numbers a little: evaluate --text tells", DIM)


def standings(view: View, trials: Sequence[Trial], default: Trial, facts: Facts) -> None:
    """Print the best trials and the default in a table."""
    ranked = sorted(
        (trial for trial in trials if math.isfinite(trial.score)),
        key=lambda trial: trial.score if facts.minimize else -trial.score,
    )
    rows = [_row(trial, facts) for trial in ranked[:SHOWN]]
    head = (one_line(beginning(facts.metric, WIDEST)), *facts.axes)
    last = (amount(default.score, facts.scale), "the default")
    view.table(head, [*rows, (*last, *[""] * (len(facts.axes) - 1))])


def watching(
    env: Environment, progress: ProgressBar, facts: Facts
) -> Callable[[Sequence[Trial]], None]:
    """Shows the standings over the progress bar; call it with the default and all trials so far."""

    def watch(trials: Sequence[Trial]) -> None:
        if len(trials) > 1:
            lines: list[str] = []
            standings(View(env, "never", lines.append), trials[1:], trials[0], facts)
            progress.above = "".join(lines)

    return watch


def show_json(env: Environment, outcome: Outcome, facts: Facts) -> None:
    """Print every trial and every figure."""
    document = {
        "metric": facts.metric,
        "minimize": facts.minimize,
        "default": _trial(outcome.default, facts.scale),
        "best": _trial(outcome.best, facts.scale),
        "better": outcome.is_better,
        "verdict": verdict(outcome, facts.scale),
        "importance": {name: rounded(share) for name, share in outcome.importance.items()},
        "held_back": _meeting(outcome.meeting, facts.scale),
        "trials": [_trial(trial, facts.scale) for trial in outcome.trials],
    }
    if outcome.speeds:
        winner, default = map(asdict, outcome.speeds)
        document["tokens_per_second"] = {"winner": winner, "default": default}
    write_json(env, document, indent=2 if env.stdout_is_tty else None)


def _row(trial: Trial, facts: Facts) -> tuple[str, ...]:
    values = (trial.values.get(name, "") for name in facts.axes)
    shown = (one_line(beginning(_value(value), WIDEST)) for value in values)
    return (amount(trial.score, facts.scale), *shown)


def _value(value: str | float | int) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _scores(meeting: Meeting, facts: Facts) -> str:
    one, other = (amount(fmean(each), facts.scale) for each in (meeting.winner, meeting.default))
    wins = sum(each > 0 for each in meeting.differences)
    losses = sum(each < 0 for each in meeting.differences)
    return f"{one}, the default {other} ({wins} {facts.unit} better, {losses} worse)"


def _speeds(view: View, winner: Speed, default: Speed) -> None:
    rows = [
        (name, f"{speed.read:.0f}", f"{speed.written:.1f}")
        for name, speed in (("the best", winner), ("the default", default))
    ]
    view.table(("tokens a second", "read", "written"), rows)


def _trial(trial: Trial, scale: Scale) -> Mapping[str, Any]:
    return {
        "values": dict(trial.values),
        "score": _number(trial.score, scale),
        "scores": [_number(score, scale) for score in trial.scores],
        "given_up": trial.given_up,
        "failure": trial.failure or None,
    }


def _meeting(meeting: Meeting | None, scale: Scale) -> Mapping[str, Any] | None:
    if meeting is None:
        return None
    return {
        "winner": [_number(score, scale) for score in meeting.winner],
        "default": [_number(score, scale) for score in meeting.default],
        "difference": _number(meeting.difference, scale),
        "interval": [_number(bound, scale) for bound in meeting.interval],
        "p": rounded(meeting.p),
    }


def _number(value: float, scale: Scale) -> float | None:
    return rounded(math.exp(value) if scale is Scale.FACTOR else value)
