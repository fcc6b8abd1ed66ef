"""The data of the page of `evaluate --cases`: standings, what they show, every case and answer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from llmparams_cli.analysis.evaluation import Standing, pairs
from llmparams_cli.presets.interval import Interval
from llmparams_cli.presets.outcome import Outcome, Result
from llmparams_cli.presets.tests import Case
from llmparams_cli.render.evaluation_cases import by_share, head, row, verdict


def document(standings: Sequence[Standing]) -> dict[str, Any]:
    """Everything that the page shows; variants are in the order of their shares passed."""
    ranked = by_share(standings)
    return {
        "title": "Which passes more cases?",
        "names": [each.name for each in ranked],
        "standings": {
            "head": list(head(ranked[0])),
            "rows": [list(row(each)) for each in ranked],
            "pictures": [
                {
                    "shares": [each.passed / len(each.results) for each in ranked],
                    "intervals": [list(each.interval) for each in ranked],
                }
            ],
        },
        "pairs": [{"text": verdict(*found), "shown": found[2].shown} for found in pairs(ranked)],
        "items": [
            _case([each.results[number] for each in ranked])
            for number in range(len(ranked[0].results))
        ],
    }


def _case(results: Sequence[Result]) -> dict[str, Any]:
    """One case with the results of all variants."""
    case = results[0].case
    return {
        "name": case.name,
        "input": _input(case),
        "expect": [f"{name}: {_wanted(wanted)}" for name, wanted in case.expect.items()],
        "needed": case.at_least,
        "results": [
            {
                "passed": each.passed,
                "passes": each.passes,
                "distinct": each.distinct,
                "answers": _answers(each.outcomes),
            }
            for each in results
        ],
    }


def _input(case: Case) -> str:
    file = f"file: {case.file}" if case.file else ""
    values = "\n".join(f"{name}: {text}" for name, text in case.variables.items())
    return "\n\n".join(part for part in (case.input, file, values) if part)


def _wanted(wanted: Any) -> str:
    """What an assertion asks for, much as the file of cases has it."""
    if isinstance(wanted, Interval):
        return f"{wanted.text!r} {wanted}" if wanted.text else str(wanted)
    if isinstance(wanted, re.Pattern):
        return str(wanted.pattern)
    if isinstance(wanted, tuple):
        return ", ".join(map(repr, wanted))
    return wanted if isinstance(wanted, str) else json.dumps(wanted, ensure_ascii=False)


def _answers(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The answers with their seeds; seeds that gave the same share one entry."""
    seeds: dict[tuple[Any, ...], list[int]] = {}
    for each in outcomes:
        answer = each.answer
        same = (answer.text, answer.reasoning, answer.stop.reason.value, each.failures)
        seeds.setdefault(same, []).append(each.seed)
    return [
        {
            "seeds": found,
            "text": text,
            "thoughts": reasoning,
            "stop": stop,
            "failures": list(failures),
        }
        for (text, reasoning, stop, failures), found in seeds.items()
    ]
