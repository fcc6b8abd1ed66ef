"""`llmparams presets test`: for a person, as JSON, as JUnit XML for CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.presets.outcome import Result
from llmparams_cli.records.document import said
from llmparams_cli.render import junit as xml
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.styles import GREEN, RED, styled
from llmparams_cli.text.safe import encodable, one_line


def show(env: Environment, results: Iterable[Result]) -> list[Result]:
    """Print each result as soon as it arrives, then the tally; return all results."""
    colored = env.wants_color("auto", env.stdout)
    seen = []
    for result in results:
        seen.append(result)
        word, color = ("passed", GREEN) if result.passed else ("FAILED", RED)
        mark = styled(word, color, colored)
        title = one_line(f"{result.preset}: {result.case.name}")
        _write(env, f"{mark}  {title}: {_counts(result)}\n")
        if not result.passed:
            for line in _reasons(result):
                _write(env, f"        {one_line(line)}\n")
    failed = sum(not result.passed for result in seen)
    _write(env, f"{len(seen) - failed} passed, {failed} failed\n")
    return seen


def show_json(env: Environment, results: Sequence[Result]) -> None:
    """Print one object: every test with every seed's answer."""
    write_json(
        env,
        {
            "passed": all(result.passed for result in results),
            "tests": [result_object(result) for result in results],
        },
        indent=2 if env.stdout_is_tty else None,
    )


def junit(results: Sequence[Result]) -> str:
    """The results as JUnit XML: a suite for each preset, a case for each test."""
    suites: dict[str, list[Result]] = {}
    for result in results:
        suites.setdefault(result.preset, []).append(result)
    return xml.junit(
        xml.Suite(preset, list(map(_test, mine)), sum(result.seconds for result in mine))
        for preset, mine in suites.items()
    )


def _test(result: Result) -> xml.Test:
    failure = None if result.passed else (_counts(result), "\n".join(_reasons(result)))
    return xml.Test(result.case.name, failure, result.seconds)


def _counts(result: Result) -> str:
    case = result.case
    if len(case.seeds) == 1:
        return f"seed {case.seeds[0]}"
    return f"{result.passes} of {len(case.seeds)} seeds, {case.at_least} are needed"


def _reasons(result: Result) -> Iterator[str]:
    """Why the test failed: each reason once, with the seeds it applies to."""
    if result.distinct:
        yield result.distinct
    if result.passes >= result.case.at_least:
        return
    reasons = Counter(reason for each in result.outcomes for reason in each.failures)
    seeds: dict[str, list[int]] = {}
    for outcome in result.outcomes:
        for reason in outcome.failures:
            seeds.setdefault(reason, []).append(outcome.seed)
    for reason, _ in reasons.most_common():
        many = "s" if len(seeds[reason]) > 1 else ""
        yield f"seed{many} {', '.join(map(str, seeds[reason]))}: {reason}"


def result_object(result: Result) -> dict[str, Any]:
    """One test with every seed's answer, for JSON."""
    return {
        "preset": result.preset,
        "name": result.case.name,
        "passed": result.passed,
        "passes": result.passes,
        "at_least": result.case.at_least,
        "seconds": round(result.seconds, 3),
        "distinct": result.distinct or None,
        "runs": [
            {
                "seed": outcome.seed,
                **said(outcome.answer),
                "stop": outcome.answer.stop.reason.value,
                "tokens": len(outcome.answer.answer_tokens),
                "failures": list(outcome.failures),
            }
            for outcome in result.outcomes
        ],
    }


def _write(env: Environment, text: str) -> None:
    env.stdout.write(encodable(text, env.stdout))
    env.stdout.flush()
