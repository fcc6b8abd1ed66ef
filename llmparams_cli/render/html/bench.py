"""The data of the page of `bench`: rates, shares of the limit, what bounds the model."""

from __future__ import annotations

from typing import Any

from llmparams_cli.render.benchmark import (
    Report,
    described,
    head,
    label,
    machine_line,
    row,
    sentence,
)
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import one_line


def document(report: Report) -> dict[str, Any]:
    """Everything that the page shows."""
    facts = [described(each) for each in report.subjects]
    cut = ["interrupted before the last test"] if report.is_cut else []
    return {
        "title": "How fast, and what bounds it",
        "facts": "; ".join([*facts, machine_line(report.machine), *cut]),
        "warning": report.warning,
        "head": head(report),
        "rows": [row(report, each) for each in report.results],
        "repeat": report.repeat,
        "tests": [
            {
                "label": one_line(label(report, each)),
                "share": rounded(each.share),
                "spread": rounded(each.spread / each.limit.rate) if each.limit.rate else None,
                "says": sentence(each),
                "runs": [f"{rate:.2f}" for rate in each.rates],
            }
            for each in report.results
        ],
    }
