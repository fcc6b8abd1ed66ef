"""Documents of a task one by one: what each is called, what was said to it, what is right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmparams_cli.render import junit as xml
from llmparams_cli.render.evaluation_tasks import by_score, called
from llmparams_cli.tasks.document import CHOICE
from llmparams_cli.tasks.metrics import Marked, TaskResult, chosen
from llmparams_cli.tasks.prompts import Document
from llmparams_cli.text.shorten import beginning

LONGEST = 100  # characters of a question by which its document is called


def junit(results: Sequence[TaskResult]) -> str:
    """A suite for each model, a test for each document: does the first metric score 1?"""
    ranked = by_score(results)
    return xml.junit(
        xml.Suite(name, [_test(result, each) for each in result.marked], result.seconds)
        for name, result in zip(called(ranked), ranked, strict=True)
    )


def passed(result: TaskResult, marked: Marked) -> bool:
    """By the first metric."""
    return marked.scores[result.columns[0]] == 1


def title(document: Document) -> str:
    """Its number, and how its question begins."""
    question = " ".join(document.question.split())
    return f"{document.number}: {shortened(question)}"


def said(result: TaskResult, marked: Marked) -> list[str]:
    """What the model chose by the first metric, or what that metric compared of its answer."""
    name, metric = result.columns[0]
    if result.task.output != CHOICE:
        return [marked.filtered[name]]
    places = chosen(metric, marked.document, marked.choices)
    return [marked.document.choices[place] for place in places]


def right(document: Document) -> list[str]:
    """The choices or the texts that are right."""
    return [*document.texts, *(document.choices[each] for each in document.right if each >= 0)]


def shortened(text: str) -> str:
    """As much of a text as a line has room for."""
    return beginning(text, LONGEST)


def _test(result: TaskResult, marked: Marked) -> xml.Test:
    document, name = marked.document, title(marked.document)
    if passed(result, marked):
        return xml.Test(name, None)
    verb = "chose" if result.task.output == CHOICE else "answered"
    given, wanted = said(result, marked), right(document)
    short = f"{verb} {_listed(map(shortened, given))}, right is {_listed(map(shortened, wanted))}"
    full = f"{document.question}\n{verb}: {_listed(given)}\nright: {_listed(wanted)}"
    return xml.Test(name, (short, full))


def _listed(texts: Iterable[str]) -> str:
    return " or ".join(map(repr, texts)) or "none"
