"""`llmparams evaluate --tasks`: what models scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from llmparams_cli.analysis.evidence import Pairing, paired
from llmparams_cli.env import Environment
from llmparams_cli.render.evaluation_cases import told
from llmparams_cli.render.evaluation_text import model_object, names
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.styles import DIM, GREEN
from llmparams_cli.render.view import View
from llmparams_cli.tasks.document import CHOICE
from llmparams_cli.tasks.metrics import Marked, TaskResult
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import one_line

HEAD = ("model", "metric", "score", "error")
NOTES = {
    "acc": "the right choice is the likeliest",
    "acc_norm": "the right choice is the likeliest per character: log probability / length",
    "acc_bytes": "the right choice is the likeliest per byte: log probability / length",
    "exact_match": "the model would write the right choice, or what it wrote is right",
}


def show(env: Environment, results: Sequence[TaskResult], *, color: str) -> None:
    """Print a row for each model and metric, the best model first; and whether models differ."""
    view = View(env, color)
    ranked = by_score(results)
    view.table(HEAD, rows(ranked))
    view.line()
    for sentence, pairing in verdicts(ranked):
        view.line(sentence, GREEN if pairing.shown else "")
    wide = max(map(len, results[0].task.metrics))
    for metric in results[0].task.metrics:
        view.line(f"{metric:<{wide}}   {NOTES[metric]}", DIM)
    view.line(f"{'error':<{wide}}   its standard error, over documents", DIM)
    view.line(method(ranked[0]), DIM)


def show_json(env: Environment, results: Sequence[TaskResult]) -> None:
    """Print all scores and every document."""
    task = results[0].task
    document = {
        "task": task.name,
        "output_type": task.output,
        "num_fewshot": task.shots,
        "models": [_model(each) for each in results],
    }
    write_json(env, document, indent=2 if env.stdout_is_tty else None)


def by_score(results: Sequence[TaskResult]) -> list[TaskResult]:
    """The best first, by the first metric."""
    first = results[0].columns[0]
    return sorted(results, key=lambda each: -each.mean(first))


def called(results: Sequence[TaskResult]) -> list[str]:
    """What the models of these results are called."""
    named = names([each.model for each in results])
    return [named[each.model] for each in results]


def rows(ranked: Sequence[TaskResult]) -> list[tuple[str, ...]]:
    """The figures under `HEAD`: a row for each model and metric."""
    return [
        (name, label(column), f"{each.mean(column):.4f}", _error(each.error(column)))
        for name, each in zip(called(ranked), ranked, strict=True)
        for column in each.columns
    ]


def _error(error: float | None) -> str:
    return "" if error is None else f"± {error:.4f}"


def verdicts(ranked: Sequence[TaskResult]) -> Iterator[tuple[str, Pairing]]:
    """What every two models show, by the first metric."""
    first = ranked[0].columns[0]
    scores = [[each.scores[first] for each in result.marked] for result in ranked]
    for (one, better), (other, worse) in combinations(zip(called(ranked), scores, strict=True), 2):
        pairing = paired(better, worse)
        yield f"{label(first)}: {told(one, other, pairing, 'document')}", pairing


def method(result: TaskResult) -> str:
    """What was asked, in a line."""
    task = result.task
    shots = f"after {task.shots} examples each" if task.shots else "without examples before them"
    return f"{one_line(task.name)}: {len(result.marked):,} documents, {shots}"


def label(column: tuple[str, str]) -> str:
    """What a filter with a metric is called."""
    name, metric = column
    return metric if name == "none" else one_line(f"{metric} ({name})")


def _model(result: TaskResult) -> dict[str, Any]:
    return {
        "model": model_object(result.model),
        "scores": [
            {
                "metric": metric,
                "filter": name,
                "score": rounded(result.mean((name, metric))),
                "error": rounded(result.error((name, metric))),
            }
            for name, metric in result.columns
        ],
        "seconds": rounded(result.seconds),
        "documents": [_document(each, result.task.output) for each in result.marked],
    }


def _document(marked: Marked, output: str) -> dict[str, Any]:
    document = marked.document
    found: dict[str, Any] = {"number": document.number, "prompt": document.prompt}
    if output == CHOICE:
        found["right"] = list(document.right)
        found["choices"] = [
            {"text": text, "logprob": rounded(each.logprob), "greedy": each.greedy}
            for text, each in zip(document.choices, marked.choices, strict=True)
        ]
    else:
        found |= {"right": list(document.texts), "answer": marked.answer}
        found["filtered"] = dict(marked.filtered)
    scores = [
        {"metric": metric, "filter": name, "score": score}
        for (name, metric), score in marked.scores.items()
    ]
    return found | {"scores": scores}
