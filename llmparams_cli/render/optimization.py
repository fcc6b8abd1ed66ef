"""`llmparams optimize`: the best trials, and what the cases held back say of the winner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from llmparams_cli.analysis.optimization import Meeting, Outcome, Trial, amount, verdict
from llmparams_cli.env import Environment
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.styles import BOLD, DIM, GREEN
from llmparams_cli.render.view import View
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import beginning

SHOWN = 5  # of the best trials
WIDEST = 24  # characters of a choice, which may be a text


@dataclass(frozen=True)
class Facts:
    """What is said beside the outcome: the `axes` by name, how many cases there are."""

    axes: Sequence[str]
    metric: str
    is_share: bool
    minimize: bool
    searched: int
    held: int


def show(env: Environment, outcome: Outcome, facts: Facts, *, color: str) -> None:
    """Print the best trials beside the default, and the verdict."""
    view = View(env, color)
    view.line(f"{len(outcome.trials)} trials on {facts.searched} cases:", BOLD)
    ranked = sorted(
        (trial for trial in outcome.trials if math.isfinite(trial.score)),
        key=lambda trial: trial.score if facts.minimize else -trial.score,
    )
    rows = [_row(trial, facts) for trial in ranked[:SHOWN]]
    head = (one_line(beginning(facts.metric, WIDEST)), *facts.axes)
    default = (amount(outcome.default.score, is_share=facts.is_share), "the default")
    view.table(head, [*rows, (*default, *[""] * (len(facts.axes) - 1))])
    hopeless = sum(trial.given_up for trial in outcome.trials)
    if hopeless:
        view.line(f"{hopeless} given up before all cases were asked: clearly worse", DIM)
    undefined = len(outcome.trials) - len(ranked) - hopeless
    if undefined:
        view.line(f"undefined for the answers of {undefined} trials, which cannot win", DIM)
    view.line()
    if outcome.meeting:
        view.line(f"the best of them, on {facts.held} cases held back, with new seeds:", BOLD)
        view.line(_scores(outcome.meeting, facts.is_share))
    view.line(verdict(outcome, is_share=facts.is_share), GREEN if outcome.is_better else "")


def show_json(env: Environment, outcome: Outcome, facts: Facts) -> None:
    """Print every trial and every case's figures."""
    document = {
        "metric": facts.metric,
        "minimize": facts.minimize,
        "default": _trial(outcome.default),
        "best": _trial(outcome.best),
        "better": outcome.is_better,
        "verdict": verdict(outcome, is_share=facts.is_share),
        "held_back": _meeting(outcome.meeting),
        "trials": [_trial(trial) for trial in outcome.trials],
    }
    write_json(env, document, indent=2 if env.stdout_is_tty else None)


def _row(trial: Trial, facts: Facts) -> tuple[str, ...]:
    values = (
        one_line(beginning(_value(trial.values.get(name, "")), WIDEST)) for name in facts.axes
    )
    return (amount(trial.score, is_share=facts.is_share), *values)


def _value(value: str | float | int) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _scores(meeting: Meeting, is_share: bool) -> str:
    one, other = (
        amount(fmean(each), is_share=is_share) for each in (meeting.winner, meeting.default)
    )
    wins = sum(each > 0 for each in meeting.differences)
    losses = sum(each < 0 for each in meeting.differences)
    return f"{one}, the default {other} ({wins} cases better, {losses} worse)"


def _trial(trial: Trial) -> Mapping[str, Any]:
    return {
        "values": dict(trial.values),
        "score": rounded(trial.score),
        "scores": list(map(rounded, trial.scores)),
        "given_up": trial.given_up,
    }


def _meeting(meeting: Meeting | None) -> Mapping[str, Any] | None:
    if meeting is None:
        return None
    return {
        "winner": list(map(rounded, meeting.winner)),
        "default": list(map(rounded, meeting.default)),
        "difference": rounded(meeting.difference),
        "interval": list(map(rounded, meeting.interval)),
        "p": rounded(meeting.p),
    }
