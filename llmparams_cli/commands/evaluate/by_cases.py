"""`evaluate --cases`: which models, presets and settings pass more of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from llmparams_cli.analysis.evaluation import Standing
from llmparams_cli.env import Environment
from llmparams_cli.jobs import shell
from llmparams_cli.jobs.evaluation import cases as job
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.presets.tests import Case
from llmparams_cli.render import evaluation_cases as view
from llmparams_cli.render.outputs import on_stdout, put_reports
from llmparams_cli.render.preset_tests import junit
from llmparams_cli.render.progress import ProgressBar


def run(
    env: Environment,
    compared: Sequence[job.Variant],
    cases: Sequence[Case],
    files: Mapping[str, str | None],
    *,
    color: str,
    as_json: bool,
) -> list[tuple[str, float]]:
    """Let all variants answer the cases; print who passed what, and write the reports. Returns the
    share of cases that each has passed.
    """
    note_model(env, compared[0].prepared)
    with ProgressBar(env) as progress:
        standings = job.evaluate(env, compared, cases, partial(shell.run, env), progress)
    if as_json:
        view.show_json(env, standings)
    elif not on_stdout(files):
        view.show(env, standings, color=color)
    results = [result for each in standings for result in each.results]
    put_reports(env, files, partial(junit, results), partial(_page, standings))
    return [(each.name, each.passed / len(each.results)) for each in standings]


def _page(standings: Sequence[Standing]) -> str:
    from llmparams_cli.render.html import evaluate_page

    return evaluate_page(standings)
