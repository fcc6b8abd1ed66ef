"""`evaluate --tasks`: what models score at a task of lm-evaluation-harness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.jobs.evaluation import tasks as job
from llmparams_cli.jobs.evaluation.models import prepared
from llmparams_cli.render import evaluation_tasks as view
from llmparams_cli.render.progress import ProgressBar


def run(
    env: Environment,
    models: Sequence[str],
    flags: Mapping[str, Any],
    file: str,
    limit: int | None,
    *,
    color: str,
    as_json: bool,
) -> None:
    """Let the models answer the task's documents, and print their scores."""
    task, documents = job.task_of(env, file, limit)
    asked = prepared(env, models, flags)
    with ProgressBar(env) as progress:
        results = job.evaluate(env, asked, task, documents, progress)
    if as_json:
        view.show_json(env, results)
    else:
        view.show(env, results, color=color)
