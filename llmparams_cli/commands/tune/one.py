"""One run: shown while it goes on, and what came of it."""

from __future__ import annotations

from pathlib import Path

from llmparams_cli.analysis.tuning import End, Plan, Tuned
from llmparams_cli.commands.tune.request import Request, temporary_folder
from llmparams_cli.errors import TrainingError
from llmparams_cli.jobs.tuning import run as job
from llmparams_cli.jobs.tuning.ready import planned
from llmparams_cli.render.outputs import IN_A_BROWSER, put
from llmparams_cli.render.plots import plot_files
from llmparams_cli.render.plots.sheet import Sheet
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.render.tuning import data, report
from llmparams_cli.render.tuning.live import Live


def run(request: Request, target: Path | None) -> None:
    """Train, and print what it shows; or only plan."""
    if request.dry_run or target is None:
        _plan(request)
        return
    env, files = request.env, request.files
    plots = plot_files(env, files.png, files.svg)
    tuned = _tuned(request, target)
    plots.write(lambda: _plot(tuned))
    if files.html:
        put(env, "--html", files.html, _page(tuned), IN_A_BROWSER)
    if files.as_json:
        data.show(env, tuned)
    elif not plots:
        report.show(env, tuned, color=request.color)
    if tuned.course.end is End.DIVERGED:
        env.stdout.flush()
        raise TrainingError(tuned.course.word, job.hint_for(tuned.course))


def _plan(request: Request) -> None:
    env = request.env
    with temporary_folder() as folder, ProgressBar(env) as progress:
        start = request.start(progress)
        material = request.material(start, request.examples(), progress)
        plan = planned(env, start, material, request.order, folder / "base.gguf", progress)
    if request.files.as_json:
        data.show_plan(env, plan)
    else:
        report.show_plan(env, plan, color=request.color)


def _tuned(request: Request, target: Path) -> Tuned:
    env = request.env

    def show(plan: Plan) -> Live:
        if not request.files.as_json:
            report.show_plan(env, plan, color=request.color)
        return Live(env, plan)

    with ProgressBar(env) as progress:
        start = request.start(progress)
        type = request.type or start.type
        wanted = job.Target(target, type, request.merge, request.force, request.resume)
        material = request.material(start, request.examples(), progress, target)
        return job.tune(env, start, material, request.order, wanted, show, progress)


def _plot(tuned: Tuned) -> Sheet:
    from llmparams_cli.render.plots.tuning import course

    return course(tuned.plan, tuned.course)


def _page(tuned: Tuned) -> str:
    from llmparams_cli.render.html import tune_page

    return tune_page(tuned)
