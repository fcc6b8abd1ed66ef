"""`evaluate --tasks`: what models score at a task of lm-evaluation-harness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.jobs.evaluation import tasks as job
from llmparams_cli.jobs.evaluation.models import prepared
from llmparams_cli.render import evaluation_tasks as view
from llmparams_cli.render.evaluation_documents import junit
from llmparams_cli.render.outputs import on_stdout, put_reports
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.tasks.metrics import TaskResult


def run(
    env: Environment,
    models: Sequence[str],
    flags: Mapping[str, Any],
    file: str,
    limit: int | None,
    files: Mapping[str, str | None],
    *,
    color: str,
    as_json: bool,
) -> list[tuple[str, float]]:
    """Let the models answer the task's documents, print their scores and write the reports. Returns
    each one's score by the first metric.
    """
    task, documents = job.task_of(env, file, limit)
    asked = prepared(env, models, flags)
    with ProgressBar(env) as progress:
        results = job.evaluate(env, asked, task, documents, progress)
    if as_json:
        view.show_json(env, results)
    elif not on_stdout(files):
        view.show(env, results, color=color)
    put_reports(env, files, partial(junit, results), partial(_page, results))
    first = results[0].columns[0]
    names = view.called(results)
    return [(name, each.mean(first)) for name, each in zip(names, results, strict=True)]


def _page(results: Sequence[TaskResult]) -> str:
    from llmparams_cli.render.html import tasks_page

    return tasks_page(results)
