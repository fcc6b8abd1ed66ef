"""`llmparams optimize`: settings that pass more cases, found by a search and proved on others."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from llmparams_cli import APP
from llmparams_cli.env import Environment
from llmparams_cli.errors import PresetError, UsageError
from llmparams_cli.jobs import preset_files, shell
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.jobs.optimization import metric as metrics
from llmparams_cli.jobs.optimization import preset as result
from llmparams_cli.jobs.optimization import search as job
from llmparams_cli.options import (
    ColorOption,
    HelpInSections,
    ModelOption,
    PresetOption,
    QuietOption,
    SystemOption,
    VerboseOption,
    with_parameters,
)
from llmparams_cli.options.values import assignments
from llmparams_cli.params.spec import Scope
from llmparams_cli.params.table import PARAMS
from llmparams_cli.render import optimization as view
from llmparams_cli.render.progress import ProgressBar

HELP = HelpInSections
TRIALS = 50  # where no budget is named


@with_parameters
def command(
    ctx: typer.Context,
    cases: Annotated[
        str, typer.Option("--cases", metavar="FILE", help="Answer these cases: YAML, JSONL.")
    ],
    over: Annotated[
        list[str],
        typer.Option(
            "--over",
            metavar="NAME=VALUES",
            help="What varies: LOW..HIGH or A,B; repeats.",
            autocompletion=assignments(Scope.SAMPLING, Scope.STOPPING, values=True),
        ),
    ],
    model: ModelOption = None,
    preset: PresetOption = None,
    system: SystemOption = None,
    metric: Annotated[
        str,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="What to raise: pass, command:COMMAND or mean:NAME.",
        ),
    ] = metrics.PASS,
    minimize: Annotated[
        bool, typer.Option("--minimize", help="Lower the metric instead of raising it.")
    ] = False,
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=1, metavar="N", help=f"Try so many settings. [{TRIALS}]"),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.0, metavar="M", help="Search for so long, or less."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, metavar="N", help="Answers to each case.")
    ] = None,
    hold_back: Annotated[
        float,
        typer.Option(
            "--hold-back", min=0.0, max=1.0, metavar="X", help="Share of cases for the proof."
        ),
    ] = 0.5,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="NAME", help="Write the winner as a preset."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a preset that is there.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with this search where it was left.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with everything.")
    ] = False,
    color: ColorOption = "auto",
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Search for the settings that pass the most cases, and prove them on cases held back.

    Cases are as for llmparams evaluate --cases. Some are searched: Optuna proposes values, all
    with the same seeds, and learns from what passes. Then the best of all and the settings
    without --over meet on the other cases with new seeds, which tells what is gained, or that
    no setting beat the default. --over also takes preset=A,B and system=@FILE,@FILE.

    A command: metric reads the answer and prints a number. mean: takes a number of compare.

    \b
    llmparams optimize --cases cases.yaml --over temperature=0.1..1.5 --over top_p=0.5..1
    llmparams optimize --cases cases.yaml --over preset=precise,balanced --seeds 5 -o best
    llmparams optimize --cases cases.yaml --over temperature=0..2 --metric mean:distinct-2
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    given = {**flags, "model": model, "system": system}
    if hold_back != hold_back:  # NaN is within any bounds
        raise UsageError("--hold-back nan is no share", "0.5 holds back half of the cases")
    if output:
        _refuse_taken(env, output, force=force)
    budget = _budget(trials, minutes)
    run = partial(shell.run, env)
    search = job.plan(
        env,
        over,
        preset or [],
        given,
        cases,
        metrics.read(metric, run),
        seeds=seeds,
        hold_back=hold_back,
        minimize=minimize,
    )
    note_model(env, search.candidates.default.prepared)
    with ProgressBar(env) as progress:
        outcome = job.run(search, budget, run, progress, resume=resume)
    facts = view.Facts(
        [axis.name for axis in search.candidates.axes],
        metric,
        search.metric.is_share,
        minimize,
        len(search.cases),
        len(search.held),
    )
    if as_json:
        view.show_json(env, outcome, facts)
    else:
        view.show(env, outcome, facts, color=color)
    if output and outcome.is_better:
        named = {"cases": cases, "over": over, "preset": preset, "metric": metric, "seeds": seeds}
        more = {"minimize": minimize, "hold-back": hold_back, "trials": trials, "minutes": minutes}
        line = _command_line({**named, **more, **given})
        result.save(env, output, search, outcome, preset or [], given, line, force=force)
    elif output:
        env.note("no preset is written: nothing is better than the default")


def _refuse_taken(env: Environment, output: str, *, force: bool) -> None:
    """Before the search, which may take hours."""
    path = preset_files.destination(env, output, user=False)
    if path.exists() and not force:
        raise PresetError(f"{path.name} is there already", "--force replaces it")


def _budget(trials: int | None, minutes: float | None) -> job.Budget:
    if minutes is not None and not minutes > 0:
        raise UsageError(f"--minutes {minutes:g}: no time", "give more than 0")
    if minutes is None:
        return job.Budget(trials or TRIALS)
    return job.Budget(trials or math.inf, minutes)


def _command_line(given: Mapping[str, Any]) -> str:
    """The command that finds the same again."""
    words = [APP, "optimize"]
    for name, value in given.items():
        flag = PARAMS[name].flag if name in PARAMS else f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value not in (None, False):
            values: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
            words += [word for each in values for word in (flag, str(each))]
    return shlex.join(words)
