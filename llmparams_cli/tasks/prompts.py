"""The prompt of each document of a task, with the examples before it (few-shot)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmparams_cli.tasks.data import Row, rows
from llmparams_cli.tasks.document import CHOICE, Task, Terms
from llmparams_cli.tasks.templates import Filler

SEED = 1234  # of the examples that are drawn, as in the harness


@dataclass(frozen=True)
class Document:
    """A document, ready to be asked: a prompt, what may follow it (`choices`, each after the
    delimiter `joint`), and what is right: indices of choices, or texts. In the prompt its own
    question `begins` after the description and the examples.
    """

    number: int
    prompt: str
    joint: str
    choices: tuple[str, ...]
    right: tuple[int, ...]
    texts: tuple[str, ...]
    begins: int = 0

    @property
    def question(self) -> str:
        return self.prompt[self.begins :]


def documents(task: Task, directory: Path, most: int | None) -> list[Document]:
    """The documents of a task, the first `most` if that is given, in the order of their file."""
    from llmparams_cli.text import jinja

    asked = task.splits.get("test") or task.splits.get("validation")
    if asked is None:
        task.refuse("it has neither test_split nor validation_split")
    found = []
    filler = Filler()
    examples = _Examples(task, directory)
    for number, row in enumerate(rows(task, asked, directory)[:most]):
        shots = examples.before(row)
        try:
            with jinja.bounded():
                found.append(_document(task, filler, number, row, shots))
        except Exception as error:  # whatever a template's code runs into
            task.refuse(f"document {number}: {error or type(error).__name__}")
    return found


class _Examples:
    """Chooses the examples before a document as the harness does, with its random numbers."""

    def __init__(self, task: Task, directory: Path) -> None:
        self._task, self._random = task, random.Random(SEED)
        self._pool: Sequence[Row] = []
        if task.shots:
            self._pool = self._examples(directory)

    def _examples(self, directory: Path) -> Sequence[Row]:
        task = self._task
        if task.shot_split is None and task.samples is not None:
            return task.samples
        names = ("training", "validation", "test")
        usual = next(task.splits[name] for name in names if name in task.splits)
        return rows(task, task.shot_split or usual, directory)

    def before(self, row: Row) -> Sequence[Row]:
        """The examples for this document. It is none of them where they are of the same split."""
        task, count = self._task, self._task.shots
        if not count:
            return []
        among = task.shot_split == task.splits.get("test")
        if task.sampler == "first_n":
            pool = [each for each in self._pool if not among or each != row]
            if count > len(pool):
                task.refuse(f"num_fewshot: {count}, but there are {len(pool)} examples")
            return pool[:count]
        if count + among > len(self._pool):
            task.refuse(f"num_fewshot: {count}, but there are {len(self._pool)} examples")
        drawn = self._random.sample(self._pool, count + among)
        return [each for each in drawn if not among or each != row][:count]


def _document(task: Task, filler: Filler, number: int, row: Row, shots: Sequence[Row]) -> Document:
    parts = [_text(filler.field(task.description, row))] if task.description else []
    parts += [_turn(filler, task.shot_terms, each) for each in shots]
    before = "".join(parts)
    terms = task.terms
    question = _text(filler.text(terms, row))
    prefix = _text(filler.field(terms.prefix, row) or "")
    prompt = f"{before}{question}{_between(question, prefix, terms.target_delimiter)}{prefix}"
    choices = filler.choices(terms, row) if terms.choice is not None else ()
    target = filler.target(terms, row)
    answers = target if isinstance(target, list | tuple) else [target]
    if task.output == CHOICE:
        right = tuple(_index(each, choices) for each in answers)
        texts: tuple[str, ...] = ()
    else:
        right = ()
        texts = tuple(_answer(each, choices) for each in answers)
    joint = terms.target_delimiter if task.output == CHOICE else ""
    return Document(number, prompt, joint, choices, right, texts, len(before))


def _turn(filler: Filler, terms: Terms, row: Mapping[str, Any]) -> str:
    """An example with its answer."""
    question = _text(filler.text(terms, row))
    prefix = _text(filler.field(terms.prefix, row) or "")
    answer = filler.target(terms, row)
    if isinstance(answer, list | tuple):
        answer = answer[0]
    elif isinstance(answer, int) and terms.choice is not None:
        answer = filler.choices(terms, row)[answer]
    answer = _text(answer or "")
    if answer and not prefix:
        return f"{question}{terms.target_delimiter}{answer}{terms.fewshot_delimiter}"
    before = f"{question}{_between(question, prefix, terms.target_delimiter)}{prefix}"
    # As in the harness, an example without an answer has no delimiter after it.
    return before + (answer and f"{_between(prefix, answer, ' ')}{answer}{terms.fewshot_delimiter}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text, but prompts and answers of examples must be")
    return value


def _between(before: str, after: str, delimiter: str) -> str:
    """The delimiter, unless one of the two is empty or has a blank there."""
    apart = not before or not after or before[-1].isspace() or after[0].isspace()
    return "" if apart else delimiter


def _answer(answer: Any, choices: Sequence[str]) -> str:
    """The text that is right."""
    return choices[answer] if choices and isinstance(answer, int) else str(answer)


def _index(answer: Any, choices: Sequence[str]) -> int:
    """Which choice is right; -1: none of them."""
    if isinstance(answer, str):
        return choices.index(answer) if answer in choices else -1
    return int(answer) if isinstance(answer, int) and 0 <= answer < len(choices) else -1


def pieces(document: Document) -> tuple[str, list[str]]:
    """The prompt, and for each choice what follows it. Blanks at the prompt's end belong to what
    follows, as tokens begin with them.
    """
    prompt = document.prompt.rstrip()
    blanks = document.prompt[len(prompt) :]
    return prompt, [f"{blanks}{document.joint}{choice}" for choice in document.choices]
