"""`llmparams evaluate --cases`: who passed what, and whether that shows a difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmparams_cli.analysis.evaluation import Standing, pairs
from llmparams_cli.analysis.evidence import Pairing
from llmparams_cli.env import Environment
from llmparams_cli.presets.outcome import Result
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.preset_tests import result_object
from llmparams_cli.render.styles import BOLD, DIM, GREEN
from llmparams_cli.render.view import View
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.units import percent

MOST_FAILURES = 20  # cases that are shown with their failures
NAMED = 5  # flaky cases that are named


def show(env: Environment, standings: Sequence[Standing], *, color: str) -> None:
    """Print the standings, what they show, and the cases that failed."""
    view = View(env, color)
    ranked = by_share(standings)
    view.table(head(ranked[0]), map(row, ranked))
    found = list(pairs(ranked))
    if found:
        view.line()
    for one, other, pairing in found:
        view.line(verdict(one, other, pairing), GREEN if pairing.shown else "")
    for each in ranked:
        if each.flaky:
            view.line(f"{one_line(each.name)}, not every time: {_listed(each.flaky)}")
    _failures(view, ranked)


def show_json(env: Environment, standings: Sequence[Standing]) -> None:
    """Print all figures and every answer."""
    document = {
        "variants": [_object(each) for each in standings],
        "pairs": [_pair(*each) for each in pairs(standings)],
    }
    write_json(env, document, indent=2 if env.stdout_is_tty else None)


def by_share(standings: Sequence[Standing]) -> list[Standing]:
    """The best first."""
    return sorted(standings, key=lambda each: -each.share)


def head(first: Standing) -> tuple[str, ...]:
    """The heading over `row`."""
    seeds = ("of answers", f"{first.tries} times in a row") if first.tries > 1 else ()
    return ("variant", "passed", "share", "95 % interval", *seeds)


def row(standing: Standing) -> tuple[str, ...]:
    """A variant's figures."""
    low, high = standing.interval
    count = len(standing.results)
    seeds = (percent(standing.share), percent(standing.every_time)) if standing.tries > 1 else ()
    return (
        one_line(standing.name),
        f"{standing.passed} of {count}",
        percent(standing.passed / count),
        f"{percent(low)} to {percent(high)}",
        *seeds,
    )


def verdict(one: Standing, other: Standing, pairing: Pairing) -> str:
    """What a pair shows, in a sentence."""
    return told(one_line(one.name), one_line(other.name), pairing, "case")


def told(one: str, other: str, pairing: Pairing, unit: str) -> str:
    """Is the first better? By how many of what the two were compared on, which is the `unit`."""
    plural = "" if pairing.only_first == 1 else "s"
    split = f"{pairing.only_first} {unit}{plural} against {pairing.only_second}"
    if pairing.interval is None:
        sure = f"McNemar's p = {pairing.p:.3g}"
    else:
        low, high = pairing.interval
        points = f"{low * 100:+.1f} to {high * 100:+.1f} points"
        sure = f"p = {pairing.p:.3g}; 95 % interval of the difference {points}"
    if not pairing.shown:
        return f"no difference shown between {one} and {other} ({split}; {sure})"
    points = f"{pairing.difference * 100:.1f} points"
    return f"{one} is better than {other} by {points} ({split}; {sure})"


def _failures(view: View, ranked: Sequence[Standing]) -> None:
    failed = [
        (number, [each for each in ranked if not each.results[number].passed])
        for number in range(len(ranked[0].results))
    ]
    failed = [(number, losers) for number, losers in failed if losers]
    if failed:
        view.line()
    for number, losers in failed[:MOST_FAILURES]:
        view.line(one_line(losers[0].results[number].case.name), BOLD)
        for each in losers:
            view.line(f"  {one_line(each.name)}: {one_line(_reason(each.results[number]))}")
    if len(failed) > MOST_FAILURES:
        view.line(f"and {len(failed) - MOST_FAILURES} more cases (--html FILE, --json)", DIM)


def _reason(result: Result) -> str:
    """Why the case failed: the first reason, and how many others there are."""
    found = [reason for each in result.outcomes for reason in each.failures]
    first, *others = dict.fromkeys([result.distinct, *found] if result.distinct else found)
    more = f" (and {len(others)} other reason{'s' * (len(others) > 1)})" if others else ""
    return f"{result.passes} of {len(result.outcomes)}: {first}{more}"


def _listed(results: Sequence[Result]) -> str:
    names = [f"{one_line(r.case.name)} ({r.passes} of {len(r.outcomes)})" for r in results[:NAMED]]
    more = f", and {len(results) - NAMED} more" if len(results) > NAMED else ""
    return ", ".join(names) + more


def _object(standing: Standing) -> dict[str, Any]:
    low, high = standing.interval
    return {
        "name": standing.name,
        "passed": standing.passed,
        "cases": len(standing.results),
        "interval": [rounded(low), rounded(high)],
        "share": rounded(standing.share),
        "tries": standing.tries,
        "every_time": rounded(standing.every_time),
        "flaky": [result.case.name for result in standing.flaky],
        "results": [result_object(result) for result in standing.results],
    }


def _pair(one: Standing, other: Standing, pairing: Pairing) -> dict[str, Any]:
    return {
        "better": one.name,
        "worse": other.name,
        "shown": pairing.shown,
        "difference": rounded(pairing.difference),
        "only_better": pairing.only_first,
        "only_worse": pairing.only_second,
        "p": rounded(pairing.p),
        "interval": None if pairing.interval is None else list(map(rounded, pairing.interval)),
    }
