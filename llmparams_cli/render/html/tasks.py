"""The data of the page of `evaluate --tasks`: scores, what they show, every document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmparams_cli.render.evaluation_documents import passed, right, said, shortened, title
from llmparams_cli.render.evaluation_tasks import (
    HEAD,
    NOTES,
    by_score,
    called,
    label,
    method,
    rows,
    verdicts,
)
from llmparams_cli.tasks.document import CHOICE
from llmparams_cli.tasks.metrics import Likelihood, Marked, TaskResult, chosen, weights
from llmparams_cli.tasks.prompts import Document

COLUMNS = {  # of a model's choices, by the metric that compares them
    "acc": "log probability",
    "acc_norm": "per character",
    "acc_bytes": "per byte",
    "exact_match": "written by itself",
}
ALWAYS = ("acc", "acc_norm")


def document(results: Sequence[TaskResult]) -> dict[str, Any]:
    """Everything that the page shows; models are in the order of their first metric's scores."""
    ranked = by_score(results)
    first = ranked[0]
    metrics = [metric for metric in COLUMNS if metric in (*ALWAYS, *first.task.metrics)]
    by_document = zip(*(each.marked for each in ranked), strict=True)
    choices = first.task.output == CHOICE
    return {
        "title": "Which model scores more?",
        "method": method(first),
        "names": called(ranked),
        "standings": {
            "head": list(HEAD),
            "rows": [list(row) for row in rows(ranked)],
            "pictures": [_picture(ranked, column) for column in first.columns],
        },
        "pairs": [{"text": text, "shown": found.shown} for text, found in verdicts(ranked)],
        "columns": [COLUMNS[metric] for metric in metrics] if choices else None,
        "items": [_document(ranked, marked, metrics) for marked in by_document],
    }


def _picture(ranked: Sequence[TaskResult], column: tuple[str, str]) -> dict[str, Any]:
    """Each model's score, and how far its standard error reaches."""
    shares = [each.mean(column) for each in ranked]
    errors = [each.error(column) or 0.0 for each in ranked]
    return {
        "title": label(column),
        "note": NOTES[column[1]],
        "shares": shares,
        "intervals": [
            [max(0.0, share - error), min(1.0, share + error)]
            for share, error in zip(shares, errors, strict=True)
        ],
    }


def _document(
    ranked: Sequence[TaskResult], marked: Sequence[Marked], metrics: Sequence[str]
) -> dict[str, Any]:
    """One document with what all models made of it."""
    asked = marked[0].document
    choices = ranked[0].task.output == CHOICE
    results = []
    for result, each in zip(ranked, marked, strict=True):
        found = {"passed": passed(result, each), "said": shortened(" / ".join(said(result, each)))}
        results.append(found | (_choices(each, metrics) if choices else _answer(each)))
    return {
        "title": title(asked),
        "before": asked.prompt[: asked.begins],
        "question": asked.question,
        "choices": list(asked.choices) if choices else None,
        "places": list(asked.right),
        "right": right(asked),
        "results": results,
    }


def _choices(marked: Marked, metrics: Sequence[str]) -> dict[str, Any]:
    """Of each metric what it compares, and which choice it takes."""
    document, found = marked.document, marked.choices
    return {
        "columns": [_column(metric, document, found) for metric in metrics],
        "chosen": [chosen(metric, document, found) for metric in metrics],
    }


def _column(metric: str, document: Document, found: Sequence[Likelihood]) -> list[str]:
    if metric == "exact_match":
        return ["yes" if each.greedy else "no" for each in found]
    return [f"{weight:.3f}" for weight in weights(metric, document, found)]


def _answer(marked: Marked) -> dict[str, Any]:
    """The answer, and for each filter and metric what it made of it."""
    return {
        "answer": marked.answer,
        "filtered": [
            {"name": label((name, metric)), "passed": score == 1, "text": marked.filtered[name]}
            for (name, metric), score in marked.scores.items()
        ],
    }
