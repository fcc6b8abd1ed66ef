"""How much of a task models get right: choices by their likelihood, or what they write."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from llmparams_cli.analysis.perplexity import log_probabilities
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import all_whole
from llmparams_cli.jobs.evaluation.bare import greedy
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source
from llmparams_cli.protocol import Backend, Endings, Message, Progress, Request
from llmparams_cli.tasks.document import CHOICE, Task, read_task
from llmparams_cli.tasks.metrics import (
    Likelihood,
    Marked,
    TaskResult,
    filters_of,
    mark_answer,
    mark_choices,
)
from llmparams_cli.tasks.prompts import Document, documents, pieces

LONGEST = Origin(Source.DEFAULT, "longest document")
MOST_TOKENS = 256  # of an answer, where the task does not say
LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
GENERATION = (*LIMITS, "until", "do_sample", "temperature")


def task_of(env: Environment, file: str, most: int | None) -> tuple[Task, list[Document]]:
    """A task and its documents, the first `most` if that is given."""
    task = read_task(resolve_path(file, env.directory), file)
    filters_of(task)  # for their errors
    if task.output != CHOICE:
        _limits(task)
    return task, documents(task, env.directory, most)


def evaluate(
    env: Environment,
    models: Sequence[Prepared],
    task: Task,
    asked: Sequence[Document],
    progress: Progress,
) -> list[TaskResult]:
    """Let each model answer all documents."""
    found = []
    for number, each in enumerate(models):
        with (
            Control() as control,
            opened(env, each.model, each.settings, control, progress) as backend,
        ):
            began = time.perf_counter()
            by = _chosen if task.output == CHOICE else _written
            marked = []
            for one in by(backend, task, asked, each.settings):
                marked.append(one)
                progress("evaluating", (number + len(marked) / len(asked)) / len(models))
            marked.sort(key=lambda one: one.document.number)
            seconds = time.perf_counter() - began
            found.append(TaskResult(backend.info, task, tuple(marked), seconds))
    return found


def _chosen(
    backend: Backend, task: Task, asked: Sequence[Document], settings: Settings
) -> Iterator[Marked]:
    forks = [_fork(backend, task, each) for each in asked]
    longest = max(fork.longest for fork in forks)
    room = settings["context"]
    if room and room < longest:
        raise UsageError(
            f"a document has {longest} tokens, and the context {room}", f"--context {longest}"
        )
    ours = settings.but(Assignment("context", longest, LONGEST))
    matrices = backend.endings(forks, ours)
    for document, fork, found in zip(asked, forks, matrices, strict=True):
        likely = [_likelihood(*each) for each in zip(found, fork.endings, strict=True)]
        yield mark_choices(task, document, likely)


def _fork(backend: Backend, task: Task, document: Document) -> Endings:
    """The prompt and the choices as tokens. As in the harness, a choice is what the whole has more
    tokens than the prompt.
    """
    prompt, after = pieces(document)
    before = backend.split(prompt).ids
    if not before:
        task.refuse(f"document {document.number} has no prompt, and this model no begin token")
    endings = tuple(backend.split(prompt + each).ids[len(before) :] for each in after)
    if not all(endings):
        task.refuse(f"document {document.number}: a choice adds no token to the prompt")
    return Endings(before, endings)


def _likelihood(logits: Any, tokens: Sequence[int]) -> Likelihood:
    logprob = float(log_probabilities(logits, tokens).sum())
    return Likelihood(logprob, logits.argmax(axis=1).tolist() == list(tokens))


def _written(
    backend: Backend, task: Task, asked: Sequence[Document], settings: Settings
) -> Iterator[Marked]:
    ours, filters = greedy(settings, _limits(task)), filters_of(task)
    requests = [Request((Message("user", each.prompt),), ours, raw=True) for each in asked]
    for number, finished in all_whole(backend, requests):
        yield mark_answer(task, asked[number], finished.text, filters)


def _limits(task: Task) -> dict[str, Any]:
    """The settings that `generation_kwargs` mean."""
    given = task.generation
    for key in given:
        if key not in GENERATION:
            task.refuse(f"generation_kwargs: {key} is not known", f"known: {', '.join(GENERATION)}")
    if given.get("do_sample") or (given.get("temperature") and "do_sample" not in given):
        task.refuse("generation_kwargs: answers are the most likely ones: do_sample is false here")
    until = given.get("until", [task.terms.fewshot_delimiter])
    stops = [until] if isinstance(until, str) else list(until or [])
    most = next((given[key] for key in LIMITS if given.get(key)), MOST_TOKENS)
    if not isinstance(most, int) or not all(isinstance(each, str) for each in stops):
        task.refuse("generation_kwargs: `until` is a list of texts, and max_gen_toks a number")
    return {"max_tokens": most, "stop": [each for each in stops if each]}
