"""`llmparams explain`: one answer, and what every sampler stage and setting did to it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.commands.asking import refuse_unwanted, show_resolution, stop_reasons
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs import explain as job
from llmparams_cli.jobs import prompt as prompts
from llmparams_cli.jobs.judging import warn_if_invalid
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.jobs.prepare import Form, prepare
from llmparams_cli.options import (
    ColorOption,
    FailOnOption,
    FileOption,
    HelpInSections,
    HtmlOption,
    ModelOption,
    NoCacheOption,
    OverflowOption,
    PngOption,
    PresetOption,
    PromptArgument,
    QuietOption,
    RawOption,
    ShowParamsOption,
    SpecialOption,
    SvgOption,
    SystemOption,
    VarOption,
    VerboseOption,
    with_parameters,
)
from llmparams_cli.options.values import assignments
from llmparams_cli.params.spec import Scope
from llmparams_cli.render.explanation import data, draw, overview
from llmparams_cli.render.explanation import fit as fit_view
from llmparams_cli.render.outputs import IN_A_BROWSER, check_outputs, put
from llmparams_cli.render.plots import plot_files
from llmparams_cli.render.plots.sheet import Sheet
from llmparams_cli.render.progress import ProgressBar

HELP = HelpInSections


@with_parameters
def command(
    ctx: typer.Context,
    prompt: PromptArgument = None,
    model: ModelOption = None,
    preset: PresetOption = None,
    file: FileOption = None,
    var: VarOption = None,
    system: SystemOption = None,
    raw: RawOption = False,
    special: SpecialOption = False,
    overflow: OverflowOption = "refuse",
    at: Annotated[
        int | None, typer.Option("--at", metavar="N", help="Show draw N stage by stage.")
    ] = None,
    top: Annotated[
        int, typer.Option("--top", min=1, max=1000, metavar="N", help="Candidates to show.")
    ] = job.TOP,
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="NAME=VALUE",
            help="Draw again from the same logits with another value, several "
            "(NAME=VALUE,NAME=VALUE), or a preset (PRESET or PRESET,NAME=VALUE); repeats, "
            "once for each other run.",
            autocompletion=assignments(Scope.SAMPLING, Scope.STOPPING, presets=True),
        ),
    ] = None,
    go_on: Annotated[
        bool, typer.Option("--continue", help="Decode the other text of each --what-if too.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="FILE", help="Explain this text as the answer."),
    ] = None,
    stepwise: Annotated[
        bool, typer.Option("--step", help="Walk through the draws with the arrow keys.")
    ] = False,
    html: HtmlOption = None,
    png: PngOption = None,
    svg: SvgOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    color: ColorOption = "auto",
    show_params: ShowParamsOption = False,
    fail_on: FailOnOption = None,
    no_cache: NoCacheOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Generate an answer and show, draw by draw, what became of the model's distribution:
    what each sampler stage removed, what the penalties took, which settings changed anything,
    how near the end was, and what another value would have drawn.

    Takes prompt, presets and parameters as generate does; the same seed gives the same answer.

    \b
    llmparams explain "Once upon a time" --seed 7 --max-tokens 20
    llmparams explain "Once upon a time" --seed 7 --at 3
    llmparams explain "Once upon a time" --seed 7 --what-if temperature=0.2 --continue
    llmparams explain "Once upon a time" --seed 7 --what-if temperature=0.4,top_p=0.5
    llmparams explain "Write a haiku" --target haiku.txt --preset precise
    llmparams explain "Once upon a time" --seed 7 --html story.html
    llmparams explain "Once upon a time" --seed 7 --at 3 --svg draw.svg
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet, env.keeps_prompts = verbose, quiet, not no_cache
    if target is not None:
        # A given text is scored: nothing is generated that these could show or change.
        of_an_answer = {
            "--what-if": what_if, "--continue": go_on, "--at": at, "--step": stepwise,
            "--html": html, "--png": png, "--svg": svg,
            "--top": top != job.TOP, "--fail-on": fail_on,
        }  # fmt: skip
        _refuse_beside_target(of_an_answer)
    check_outputs(env, {"--png": png, "--svg": svg, "--html": html}, taken=as_json)
    plots = plot_files(env, png, svg)
    prepared = prepare(env, preset or [], {**flags, "model": model, "system": system}, var or [])
    unwanted = stop_reasons(fail_on)
    if show_params:
        show_resolution(env, prepared, color, as_json=as_json)
        return
    others = job.other_settings(env, prepared.settings, what_if or [])
    if stepwise and not (env.stdin_is_tty and env.stdout_is_tty):
        raise UsageError("--step needs a terminal", "--at N shows one draw anywhere")
    if go_on and not others:
        raise UsageError("--continue has nothing to continue", "name it with --what-if")
    parts = prompts.read_parts(env, prompt, file, required=prepared.needs_input, target=target)
    text = prompts.joined(parts)
    note_model(env, prepared, text, argument=prompt, files=file)
    form = Form(raw, special, overflow, parts)
    request = prepared.request(text, form=form)
    with ProgressBar(env) as progress:
        if target is not None:
            wanted = prompts.read_target(env, target)
            fit = job.fit(env, prepared, request, wanted, progress)
            fit_view.show_fit(env, fit, as_json=as_json, color=color)
            return
        explanation = job.explain(
            env,
            prepared,
            request,
            others,
            top=top,
            coverage=job.COVERAGE if html is not None else 0.0,
            go_on=go_on,
            progress=progress,
        )
    if html is not None:
        # A page has all draws: --at says where it opens.
        _write_page(env, html, explanation, top, at or 1)
    plots.write(lambda: _plot(explanation, at, top))
    if as_json:
        data.show_json(env, explanation)
    elif html is None and not plots:
        _show(env, explanation, at, stepwise=stepwise, color=color)
        warn_if_invalid(env, explanation.finished, explanation.settings)
    refuse_unwanted(explanation.finished.stop, unwanted)


def _show(
    env: Environment, explanation: Explanation, at: int | None, *, stepwise: bool, color: str
) -> None:
    if stepwise:
        draw.browse(env, explanation, job.token_at(explanation, at or 1).number, color=color)
    elif at is not None:
        draw.show_token(env, explanation, job.token_at(explanation, at), color=color)
    else:
        overview.show(env, explanation, color=color)


def _refuse_beside_target(flags: dict[str, Any]) -> None:
    for flag, given in flags.items():
        if given not in (None, False, []):
            raise UsageError(f"{flag} is for an answer of the model, not --target")


def _plot(explanation: Explanation, at: int | None, top: int) -> Sheet:
    from llmparams_cli.render.plots.along import along
    from llmparams_cli.render.plots.waterfall import waterfall

    if at is None:
        return along(explanation)
    return waterfall(explanation, job.token_at(explanation, at), top)


def _write_page(env: Environment, file: str, explanation: Explanation, top: int, at: int) -> None:
    from llmparams_cli.render import html
    from llmparams_cli.render.html.draws import Recorded
    from llmparams_cli.trace import MOST_SHOWN

    recorded = Recorded(top, job.COVERAGE, MOST_SHOWN)
    start = job.token_at(explanation, at).number
    page = html.explain_page(explanation, recorded, start=start)
    put(env, "--html", file, page, IN_A_BROWSER)
