"""One run: shown while it goes on, and what came of it."""

from __future__ import annotations

from pathlib import Path

from llmparams_cli.analysis.tuning import End, Plan, Tuned
from llmparams_cli.commands.tune.request import Request, temporary_folder
from llmparams_cli.errors import TrainingError
from llmparams_cli.jobs.tuning import run as job
from llmparams_cli.render import tuning as view
from llmparams_cli.render.outputs import IN_A_BROWSER, put
from llmparams_cli.render.plots import plot_files
from llmparams_cli.render.plots.sheet import Sheet
from llmparams_cli.render.progress import ProgressBar


def run(request: Request, target: Path | None) -> None:
    """Train, and print what it shows; or only plan."""
    if request.dry_run or target is None:
        _plan(request)
        return
    files = request.files
    plots = plot_files(request.env, files.png, files.svg)
    tuned = _tuned(request, target)
    plots.write(lambda: _plot(tuned))
    if files.html:
        put(request.env, "--html", files.html, _page(tuned), IN_A_BROWSER)
    if files.as_json:
        view.show_json(request.env, tuned)
    else:
        view.show(request.env, tuned, color=request.color)
    if tuned.course.end is End.DIVERGED:
        request.env.stdout.flush()
        raise TrainingError(tuned.course.word, job.hint_for(tuned.course))


def _plan(request: Request) -> None:
    env = request.env
    with temporary_folder() as folder, ProgressBar(env) as progress:
        start = request.start(progress)
        material = request.material(start)
        plan = job.planned(env, start, material, request.order, folder / "base.gguf", progress)
    if request.files.as_json:
        view.show_plan_json(env, plan)
    else:
        view.show_plan(env, plan, color=request.color)


def _tuned(request: Request, target: Path) -> Tuned:
    env = request.env
    with ProgressBar(env) as progress, view.Live(env, request.color) as live:
        start = request.start(progress)
        wanted = job.Target(
            target, request.type or start.type, request.merge, request.force, request.resume
        )
        material = request.material(start)
        shown = _Shown(live)
        return job.tune(env, start, material, request.order, wanted, shown, progress)


class _Shown:
    """Passes on what happens to the view."""

    def __init__(self, live: view.Live) -> None:
        self.step, self.check = live.step, live.check
        self._live = live

    def plan(self, plan: Plan) -> None:
        self._live.plan(plan)


def _plot(tuned: Tuned) -> Sheet:
    from llmparams_cli.render.plots.tuning import course

    return course(tuned.plan, tuned.course)


def _page(tuned: Tuned) -> str:
    from llmparams_cli.render.html import tune_page

    return tune_page(tuned)
