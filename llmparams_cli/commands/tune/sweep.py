"""--find-learning-rate: rates from low to high, as a table and a picture."""

from __future__ import annotations

from llmparams_cli.analysis.tuning import Sweep
from llmparams_cli.commands.tune.request import Request, temporary_folder
from llmparams_cli.jobs.tuning.sweep import sweep
from llmparams_cli.render.plots import plot_files
from llmparams_cli.render.plots.sheet import Sheet
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.render.tuning import data, variants


def run(request: Request) -> None:
    """Try the rates, and print what they show."""
    env, files = request.env, request.files
    plots = plot_files(env, files.png, files.svg)
    with temporary_folder() as folder, ProgressBar(env) as progress:
        start = request.start(progress)
        material = request.material(start, request.examples(), progress)
        found = sweep(env, start, material, request.order, folder / "base.gguf", progress)
    plots.write(lambda: _plot(found))
    if files.as_json:
        data.show_sweep(env, found)
    elif not plots:
        variants.show_sweep(env, found, color=request.color)


def _plot(found: Sweep) -> Sheet:
    from llmparams_cli.render.plots.tuning import sweep as plot

    return plot(found)
