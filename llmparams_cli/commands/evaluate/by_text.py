"""`evaluate --text`: how well models predict a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmparams_cli.analysis.divergence import Beside
from llmparams_cli.env import Environment
from llmparams_cli.jobs.evaluation import text as job
from llmparams_cli.jobs.evaluation.beside import beside
from llmparams_cli.jobs.evaluation.models import prepared
from llmparams_cli.jobs.prepare import prepare
from llmparams_cli.render import evaluation_text as view
from llmparams_cli.render.progress import ProgressBar


def run(
    env: Environment,
    models: Sequence[str],
    flags: Mapping[str, Any],
    wanted: job.Wanted,
    against: str | None,
    *,
    color: str,
    as_json: bool,
    tokens: bool,
) -> None:
    """Let the models read the text, and print what it shows."""
    read = prepared(env, models, flags)
    found: list[Beside] = []
    with ProgressBar(env) as progress:
        if against is None:
            results = job.evaluate(env, read, wanted, progress)
        else:
            base = prepare(env, [], {**flags, "model": against})
            found = [beside(env, base, each, wanted, progress) for each in read]
            results = [found[0].base, *(each.other for each in found)]
    if as_json:
        view.show_json(env, results, found, tokens=tokens)
    else:
        view.show(env, results, found, color=color)
