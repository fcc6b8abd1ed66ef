"""A sweep of learning rates, and a ladder of variants: tables with small bars."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from llmparams_cli.analysis.tuning import CLOSE, Rung, Sweep, Verdict, best_rung, verdicts
from llmparams_cli.env import Environment
from llmparams_cli.render.bars import bar
from llmparams_cli.render.styles import BOLD, DIM
from llmparams_cli.render.transfer import time_text
from llmparams_cli.render.tuning.words import LONGEST, loss_text, rate_text, values_text
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import beginning
from llmparams_cli.text.units import count_text, percent

HEAD = ("parameters", "learned", "held out", "", "gap", "steps", "time")
BAR, NARROW = 12, 72  # columns: of a bar, and of a terminal where a ladder has the losses alone
MOST_RATES = 20  # rows
RISE = 1.2  # a bar is full at so many times the first loss
CLOSELY = f"within {CLOSE:g} nats a token, {percent(CLOSE)} of the perplexity"
MEANINGS = {
    Verdict.SMALLER: f"as good: {CLOSELY}",
    Verdict.EQUAL: f"as good: {CLOSELY}",
    Verdict.LARGER: f"as good: {CLOSELY}",
    Verdict.UNDERFITS: "underfits: both losses are higher than those of the best",
    Verdict.SLOW: "learned less: larger than the best, and not taught enough in so many steps",
    Verdict.OVERFITS: "overfits: what it learned from it knows better, what is held out worse",
    Verdict.DIVERGED: "diverged: the loss ran away",
}


def show_sweep(env: Environment, sweep: Sweep, color: str) -> None:
    """Print the smoothed loss at rates from low to high, and the range in which it falls."""
    view = View(env, color)
    known = [loss for loss in sweep.smoothed if math.isfinite(loss)] or [0.0]
    low, high = min(known), min(max(known), RISE * known[0])
    shown = _chosen(sweep)
    rows = []
    for place in shown:
        loss = sweep.smoothed[place]
        share = 1.0 if math.isnan(loss) else (loss - low) / ((high - low) or 1.0)
        marks = _mark(sweep, place).ljust(max(len(_mark(sweep, each)) for each in shown))
        rate = rate_text(sweep.rates[place])
        rows.append((rate, loss_text(loss), bar(share, BAR, env.stdout), marks))
    view.table(("rate", "loss", "", ""), rows)
    view.line()
    if sweep.suggested is None:
        view.line("the loss falls at none of these rates", BOLD)
    else:
        ends = f"from {rate_text(sweep.low)} to {rate_text(sweep.high)}"
        view.line(f"suggested: {rate_text(sweep.suggested)} (the loss falls {ends})", BOLD)


def _chosen(sweep: Sweep) -> list[int]:
    """Rates for a table: evenly, the one nearest to the suggestion among them."""
    every = math.ceil(len(sweep.rates) / MOST_RATES) or 1
    found = {*range(0, len(sweep.rates), every)} | {_suggested(sweep)}
    return sorted(found - {-1})


def _suggested(sweep: Sweep) -> int:
    """The place of the rate that is nearest to the suggestion; -1: there is none."""
    if sweep.suggested is None:
        return -1
    wanted = math.log(sweep.suggested)
    return min(range(len(sweep.rates)), key=lambda at: abs(math.log(sweep.rates[at]) - wanted))


def _mark(sweep: Sweep, place: int) -> str:
    if place == _suggested(sweep):
        return "suggested"
    if sweep.low is None or sweep.high is None:
        return ""
    return "falls" if sweep.low <= sweep.rates[place] <= sweep.high else ""


def show_ladder(env: Environment, rungs: Sequence[Rung], axes: Sequence[str], color: str) -> None:
    """Print a line for each variant, with the values that it has of `axes`, and a verdict."""
    view = View(env, color)
    words = verdicts(rungs)
    losses = [rung.loss for rung in rungs if math.isfinite(rung.loss)] or [0.0]
    names = (*(one_line(beginning(name, LONGEST)) for name in axes),)
    shown = 3 if view.width < NARROW else len(HEAD)
    widest = max((len(word.value) for word in words), default=0)
    rows = [
        (*_values(rung, axes), *_numbers(env, rung, losses)[:shown], word.value.ljust(widest))
        for rung, word in zip(rungs, words, strict=True)
    ]
    view.table((*names, *HEAD[:shown], ""), rows)
    view.line()
    for line in _conclusions(rungs, words):
        view.line(line, BOLD)
    view.line("learned, held out: the loss in nats a token; gap: the difference", DIM)
    for line in dict.fromkeys(MEANINGS[word] for word in words if word in MEANINGS):
        view.line(line, DIM)


def _values(rung: Rung, axes: Sequence[str]) -> Iterator[str]:
    for name in axes:
        yield one_line(beginning(rung.values.get(name, ""), LONGEST))


def _numbers(env: Environment, rung: Rung, losses: Sequence[float]) -> tuple[str, ...]:
    low, high = min(losses), max(losses)
    share = (rung.loss - low) / ((high - low) or 1.0) if math.isfinite(rung.loss) else 1.0
    steps = rung.course.strides[-1].step if rung.course.strides else 0
    return (
        count_text(rung.parameters),
        loss_text(rung.train),
        loss_text(rung.loss),
        bar(share, BAR, env.stdout),
        loss_text(rung.loss - rung.train),
        f"{steps:,}",
        time_text(rung.seconds),
    )


def _conclusions(rungs: Sequence[Rung], words: Sequence[Verdict]) -> Iterator[str]:
    best = best_rung(rungs)
    if best is None:
        yield "the loss ran away for all of them"
        return
    yield f"best: {values_text(best.values)}"
    pairs = zip(rungs, words, strict=True)
    small = [rung for rung, word in pairs if word is Verdict.SMALLER]
    if small:
        least = min(small, key=lambda rung: rung.parameters)
        share = percent(least.parameters / best.parameters)
        yield f"as good with {share} of its parameters: {values_text(least.values)}"
