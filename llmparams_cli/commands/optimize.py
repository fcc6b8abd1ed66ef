"""`llmparams optimize`: settings that pass more cases, found by a search and proved on others."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import typer

from llmparams_cli import APP
from llmparams_cli.analysis.optimization import Outcome
from llmparams_cli.env import Environment
from llmparams_cli.errors import PresetError, UsageError
from llmparams_cli.jobs import preset_files, shell
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.jobs.optimization import metric as metrics
from llmparams_cli.jobs.optimization import preset as result
from llmparams_cli.jobs.optimization import search as job
from llmparams_cli.jobs.optimization.by_answers import ByAnswers, by_answers
from llmparams_cli.jobs.optimization.proposals import load as load_optuna
from llmparams_cli.options import (
    ColorOption,
    HelpInSections,
    ModelOption,
    PngOption,
    PresetOption,
    QuietOption,
    SvgOption,
    SystemOption,
    VerboseOption,
    refuse_nan,
    with_parameters,
)
from llmparams_cli.options.idle import for_answers, refuse_idle
from llmparams_cli.options.values import assignments
from llmparams_cli.params.spec import Scope, flag_of
from llmparams_cli.render import optimization as view
from llmparams_cli.render.outputs import check_outputs
from llmparams_cli.render.plots import plot_files
from llmparams_cli.render.plots.sheet import Sheet
from llmparams_cli.render.progress import ProgressBar

HELP = HelpInSections
TRIALS, HELD_BACK = 50, 0.5  # where nothing is named


@with_parameters
def command(
    ctx: typer.Context,
    cases: Annotated[
        str | None, typer.Option("--cases", metavar="FILE", help="Answer these: YAML, JSONL.")
    ] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            "--over",
            metavar="NAME=VALUES",
            help="What varies: LOW..HIGH or A,B; repeats.",
            autocompletion=assignments(Scope.SAMPLING, Scope.STOPPING, values=True),
        ),
    ] = None,
    by: Annotated[
        Literal["answers", "speed"],
        typer.Option("--for", help="What to search for: good answers, or speed on this machine."),
    ] = "answers",
    model: ModelOption = None,
    preset: PresetOption = None,
    system: SystemOption = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help=f"What to raise: pass, command:COMMAND or mean:NAME. [{metrics.PASS}]",
        ),
    ] = None,
    minimize: Annotated[
        bool, typer.Option("--minimize", help="Lower the metric instead of raising it.")
    ] = False,
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=1, metavar="N", help=f"Try so many settings. [{TRIALS}]"),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.0, metavar="M", help="Begin no trials after so long."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, metavar="N", help="Answers to each case.")
    ] = None,
    hold_back: Annotated[
        float | None,
        typer.Option(
            "--hold-back",
            min=0.0,
            max=1.0,
            metavar="X",
            help=f"Share of cases for the proof. [{HELD_BACK}]",
        ),
    ] = None,
    prompt_tokens: Annotated[
        int | None,
        typer.Option(
            "--prompt-tokens", min=1, metavar="N", help="For speed: the prompt's length. [512]"
        ),
    ] = None,
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
    png: PngOption = None,
    svg: SvgOption = None,
    color: ColorOption = "auto",
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Search for the settings that pass the most cases, and prove them on cases held back; or for
    the fastest ones on this machine.

    Cases are as for llmparams evaluate --cases. Some are searched: Optuna proposes values, all
    with the same seeds, and learns from what passes. Then the best of all and the settings
    without --over meet on the other cases with new seeds, which tells what is gained, or that
    no setting beat the default. --over also takes preset=A,B and system=@FILE,@FILE.

    A command: metric reads the answer and prints a number. mean: takes a number of compare.

    With --for speed there are no cases: a prompt is read and an answer is written, with each
    setting and with the default in turns. Without --over it tries threads, ubatch_size,
    flash_attention and the types of the cache.

    \b
    llmparams optimize --cases cases.yaml --over temperature=0.1..1.5 --over top_p=0.5..1
    llmparams optimize --cases cases.yaml --over preset=precise,balanced --seeds 5 -o best
    llmparams optimize --cases cases.yaml --over temperature=0..2 --metric mean:distinct-2
    llmparams optimize --cases cases.yaml --over lora=none,style.gguf --png search.png
    llmparams optimize --model smollm2 --for speed --minutes 5 -o fast
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    given = {**flags, "model": model, "system": system}
    of_answers = {"--cases": cases, "--metric": metric, "--seeds": seeds, "--hold-back": hold_back}
    if by == "speed":
        others = {"--minimize": minimize, "--system": system, **for_answers(_but_length(flags))}
        refuse_idle({**of_answers, **others}, "with --for speed")
    else:
        refuse_idle({"--prompt-tokens": prompt_tokens}, "without --for speed")
    load_optuna()
    if output:
        _refuse_taken(env, output, force=force)
    plots = plot_files(env, png, svg)
    check_outputs(env, {"--png": png, "--svg": svg}, taken=as_json)
    budget = _budget(trials, minutes)
    presets = preset or []
    if by == "speed":
        search = job.for_speed(env, over or [], presets, given, prompt_tokens)
    else:
        asked = _asked(env, cases, metric or metrics.PASS, seeds, hold_back, minimize=minimize)
        search = job.for_answers(env, over or [], presets, given, asked)
    note_model(env, search.candidates.default.prepared)
    way = search.way
    facts = view.Facts(
        [axis.name for axis in search.candidates.axes],
        way.metric_name,
        way.scale,
        minimize,
        way.tried_on,
        way.proved_on,
        way.unit,
    )
    outcome = _search(env, search, budget, facts, resume=resume)
    if output and outcome.is_better:
        how = None if by == "answers" else by
        named = {"cases": cases, "for": how, "over": over, "preset": preset, "metric": metric}
        more = {"seeds": seeds, "hold-back": hold_back, "minimize": minimize, "trials": trials}
        last = {"minutes": minutes, "prompt-tokens": prompt_tokens}
        line = _command_line({**named, **more, **last, **given})
        result.save(env, output, search, outcome, presets, given, line, force=force)
    plots.write(lambda: _plot(outcome, facts))
    if as_json:
        view.show_json(env, outcome, facts)
    elif not plots:
        view.show(env, outcome, facts, color=color)
    if output and not outcome.is_better:
        env.note("no preset is written: nothing is better than the default")


def _search(
    env: Environment, search: job.Search, budget: job.Budget, facts: view.Facts, *, resume: bool
) -> Outcome:
    record = job.begin(search, resume=resume)
    try:
        with ProgressBar(env) as progress:
            return job.run(search, record, budget, progress, view.watching(env, progress, facts))
    except KeyboardInterrupt:  # told when the bar is gone
        kept = max(0, len(record.trials) - 1)
        env.note(f"{kept} trials are kept: the same command with --resume goes on")
        raise
    finally:
        record.close()


def _but_length(flags: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if name != "max_tokens"}


def _asked(
    env: Environment,
    cases: str | None,
    metric: str,
    seeds: int | None,
    hold_back: float | None,
    *,
    minimize: bool,
) -> ByAnswers:
    """What answers are judged by."""
    if cases is None:
        raise UsageError("--cases FILE is missing", "--for speed needs none")
    share = HELD_BACK if hold_back is None else hold_back
    refuse_nan("--hold-back", share, "0.5 holds back half of the cases")
    run = partial(shell.run, env)
    read = metrics.read(metric, run)
    return by_answers(env, cases, read, run, seeds=seeds, hold_back=share, minimize=minimize)


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
        flag = flag_of(name)
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            values: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
            words += [word for each in values for word in (flag, str(each))]
    return shlex.join(words)


def _plot(outcome: Outcome, facts: view.Facts) -> Sheet:
    from llmparams_cli.render.plots.optimization import optimization

    return optimization(outcome, facts)
