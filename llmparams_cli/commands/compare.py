"""`llmparams compare`: presets and grids of values, side by side from one prefill."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from llmparams_cli.analysis.comparison import EXPLAINED, Variant, read_metric
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs import compare as job
from llmparams_cli.jobs import prompt as prompts
from llmparams_cli.jobs import shell
from llmparams_cli.jobs.explain import COVERAGE, TOP
from llmparams_cli.jobs.judging import INVALID, invalid
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.jobs.prepare import Form
from llmparams_cli.options import (
    ColorOption,
    FileOption,
    GridOption,
    HelpInSections,
    HideThinkingOption,
    HtmlOption,
    ModelOption,
    NoCacheOption,
    OverflowOption,
    PngOption,
    PromptArgument,
    QuietOption,
    RawOption,
    SpecialOption,
    SvgOption,
    SystemOption,
    VarOption,
    VerboseOption,
    preset_option,
    with_parameters,
)
from llmparams_cli.render.comparison import data
from llmparams_cli.render.comparison.live import watching
from llmparams_cli.render.comparison.text import show
from llmparams_cli.render.outputs import IN_A_BROWSER, check_outputs, put
from llmparams_cli.render.plots import plot_files
from llmparams_cli.render.plots.sheet import Sheet
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.render.summary import only_thought


class HELP(HelpInSections):  # as every command calls it
    """Explains the numbers below the options."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Numbers of an answer, or means over a variant's answers"):
            formatter.write_dl(list(EXPLAINED.items()))
        super().format_epilog(ctx, formatter)


@with_parameters
def command(
    ctx: typer.Context,
    prompt: PromptArgument = None,
    model: ModelOption = None,
    preset: Annotated[list[str] | None, preset_option("A variant for each; repeats.")] = None,
    grid: GridOption = None,
    samples: Annotated[
        int, typer.Option("--samples", min=1, metavar="N", help="Answers of each variant.")
    ] = 1,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="json, regex:PATTERN, length:10-50, command:COMMAND; repeats.",
        ),
    ] = None,
    many: Annotated[
        str | None,
        typer.Option("--prompts", metavar="FILE", help="Many prompts: a line each, or JSONL."),
    ] = None,
    file: FileOption = None,
    var: VarOption = None,
    system: SystemOption = None,
    raw: RawOption = False,
    special: SpecialOption = False,
    overflow: OverflowOption = "refuse",
    html: HtmlOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every answer and number as JSON.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row for each answer.")] = False,
    png: PngOption = None,
    svg: SvgOption = None,
    color: ColorOption = "auto",
    hide_thinking: HideThinkingOption = False,
    no_cache: NoCacheOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Answer one prompt with several presets, or with every combination of several values,
    and compare: texts, and numbers of each.

    The prompt is read once and all answers are decoded together, several times faster than
    one after the other. All variants draw with the same random numbers, so what differs
    comes from the parameters.

    \b
    llmparams compare "Tell me a story." --preset precise --preset creative-chat
    llmparams compare "Tell me a story." --grid temperature=0.2,0.8,1.4 --samples 4
    llmparams compare "Tell me a story." --grid temperature=0.2,0.8,1.4 --html story.html
    llmparams compare "Tell me a story." --grid temperature=0.2,0.8,1.4 --svg metrics.svg
    llmparams compare --prompts prompts.txt --grid top_p=0.5,0.95 --metric 'regex:^Once' --csv
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet, env.keeps_prompts = verbose, quiet, not no_cache
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    if many and (prompt is not None or file):
        other = "--file" if prompt is None else "PROMPT"
        raise UsageError(f"--prompts and {other} exclude each other", "one file takes them all")
    check_outputs(env, {"--png": png, "--svg": svg, "--html": html}, taken=as_json or as_csv)
    plots = plot_files(env, png, svg)
    metrics = [read_metric(text, partial(shell.run, env), env.note) for text in metric or []]
    given = {**flags, "model": model, "system": system}
    found = job.setups(env, preset or [], grid or [], given, var or [])
    if len(found) * samples == 1 and not many:
        raise UsageError("there is only one answer", "--grid temperature=0.2,1.2, or --preset")
    parts = [] if many else _parts(env, prompt, file, found)
    texts = job.prompts_of(env, many) if many else [prompts.joined(parts)]
    note_model(env, found[0].prepared, texts[0], argument=None if many else prompt, files=file)
    # In the order in which `run` numbers the answers to one prompt.
    names = [each.variant.name for each in found for _ in range(samples)]
    with (
        ProgressBar(env) as progress,
        watching(env, names, len(texts), progress, hide_thinking=hide_thinking) as watch,
    ):
        variants = job.run(
            env,
            found,
            texts,
            samples=samples,
            form=Form(raw, special, overflow, parts),
            metrics=metrics,
            details=0 if html is None else job.DETAILED,  # only a page shows single draws
            progress=progress,
            watch=watch,
        )
    _note_unsaid(env, variants)
    if html is not None:
        _write_page(env, html, found)
    plots.write(lambda: _plot(variants))
    if as_json:
        data.show_json(env, variants, [each.settings for each in found])
    elif as_csv:
        data.show_csv(env, variants)
    elif not (html or plots):
        show(env, variants, color=color)
        _warn_of_invalid(env, found)


def _note_unsaid(env: Environment, variants: list[Variant]) -> None:
    """How many answers thoughts left no room for, and the cure."""
    told = [only_thought(sample.finished) for each in variants for sample in each.samples]
    if unsaid := list(filter(None, told)):
        env.note(f"{len(unsaid)} of {len(told)} answers: {unsaid[0]}")


def _warn_of_invalid(env: Environment, found: list[job.Setup]) -> None:
    """How many answers are not valid under their JSON Schemas, and why the first is not."""
    told = [invalid(s.finished, each.settings) for each in found for s in each.variant.samples]
    if (faults := list(filter(None, told))) and not env.quiet:
        env.warn(f"{len(faults)} of {len(told)} answers are {INVALID}: {faults[0]}")


def _plot(variants: list[Variant]) -> Sheet:
    from llmparams_cli.render.plots.metrics import metrics

    return metrics(variants)


def _parts(
    env: Environment, prompt: str | None, file: list[str] | None, found: list[job.Setup]
) -> list[prompts.Part]:
    required = any(each.prepared.needs_input for each in found)
    return prompts.read_parts(env, prompt, file, required=required)


def _write_page(env: Environment, file: str, found: list[job.Setup]) -> None:
    from llmparams_cli.render import html
    from llmparams_cli.render.html.draws import Recorded
    from llmparams_cli.trace import MOST_SHOWN

    page = html.compare_page(
        [each.variant for each in found],
        [each.settings for each in found],
        found[0].prepared.model.name,
        Recorded(TOP, COVERAGE, MOST_SHOWN),
    )
    put(env, "--html", file, page, IN_A_BROWSER)
