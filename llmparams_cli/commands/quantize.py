"""`llmparams quantize`: a smaller model, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from llmparams_cli.analysis.ladder import Rung, best
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path
from llmparams_cli.jobs.evaluation import text as texts
from llmparams_cli.jobs.evaluation.beside import beside
from llmparams_cli.jobs.prepare import Prepared, prepare
from llmparams_cli.jobs.quantization import ladder as ladders
from llmparams_cli.jobs.quantization import making
from llmparams_cli.jobs.quantization.keeping import keeps
from llmparams_cli.models.ggml_types import MADE
from llmparams_cli.options import (
    CHUNK,
    LONG_CHUNK,
    ChunksOption,
    ColorOption,
    HelpInSections,
    LongChunkOption,
    PngOption,
    QuietOption,
    ReplaceOption,
    SvgOption,
    VerboseOption,
    named_model,
    values,
    with_parameters,
)
from llmparams_cli.options.idle import refuse_idle
from llmparams_cli.params.spec import MADE_WITH
from llmparams_cli.render import ladder as ladder_view
from llmparams_cli.render import quantization as view
from llmparams_cli.render.outputs import check_outputs
from llmparams_cli.render.plots import Plots, plot_files
from llmparams_cli.render.plots.sheet import Sheet
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.text.units import bytes_of

HELP = HelpInSections
NOWHERE = "model.gguf"  # a name in messages, where no file is made


def _command(
    ctx: typer.Context,
    model: Annotated[str, named_model("IN", "A model's name, or the path of a GGUF file.")],
    output: Annotated[
        str | None, typer.Argument(metavar="[OUT]", help="The file to be made.")
    ] = None,
    type: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="What to make of it, such as Q4_K_M; for --ladder several, with commas.",
            autocompletion=values.words(MADE, many=True),
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="NAME[=TYPE]",
            help="Leave these tensors as they are, or in a type of their own; repeats.",
        ),
    ] = None,
    imatrix: Annotated[
        str | None,
        typer.Option("--imatrix", metavar="FILE", help="An importance matrix for this model."),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="FILE", help="Measure what it costs on this text."),
    ] = None,
    chunk: LongChunkOption = CHUNK,
    chunks: ChunksOption = None,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="Measure several types on the text, side by side.")
    ] = False,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="SIZE", help="With --ladder: make OUT the best that fits."),
    ] = None,
    png: PngOption = None,
    svg: SvgOption = None,
    requantize: Annotated[
        bool, typer.Option("--requantize", help="Take a file that is quantised already, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell the size, and write nothing.")
    ] = False,
    force: ReplaceOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    color: ColorOption = "auto",
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Make a model smaller: its weights in fewer bits. OUT appears when it is whole.

    --keep takes the ends of tensors' names, with * and several with commas: --keep output keeps
    the matrix that gives the logits as it is, --keep "attn_v=Q8_0,blk.0.*" others in part.

    \b
    llmparams quantize model-f16.gguf model-q4.gguf --type Q4_K_M
    llmparams quantize model-f16.gguf model-q4.gguf --type Q4_K_M --dry-run
    llmparams quantize model-f16.gguf model-q3.gguf --type Q3_K_M --keep output=Q8_0
    llmparams quantize model-f16.gguf model-q4.gguf --type Q4_K_M --text story.txt
    llmparams quantize model-f16.gguf --ladder --text story.txt --svg ladder.svg
    llmparams quantize model-f16.gguf small.gguf --ladder --text story.txt --size 100M
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    _refuse_missing(output, type, text, ladder=ladder)
    if ladder:
        idle = {"--dry-run": dry_run, "OUT without --size": output is not None and size is None}
        refuse_idle(idle, "with --ladder")
    else:
        refuse_idle({"--size": size, "--png": png, "--svg": svg}, "without --ladder")
    refuse_idle({"--text": text} if dry_run else {}, "with --dry-run")
    target = None if output is None else making.target_of(env, output, force=force or dry_run)
    run = _Run(
        env,
        making.Wanted(
            target or env.directory / NOWHERE,
            "" if ladder else making.file_type(type or ""),
            keeps(keep or ()),
            None if imatrix is None else resolve_path(imatrix, env.directory),
            requantize,
            force,
        ),
        None if text is None else _reading(env, text, chunk, chunks),
        flags,
        as_json,
        color,
    )
    if not ladder:
        _make(run, model, dry_run=dry_run)
        return
    check_outputs(env, {"--png": png, "--svg": svg}, taken=as_json)
    plots = plot_files(env, png, svg)
    limit = None if size is None else _bytes(size)
    _climb(run, model, type, limit, plots, has_target=target is not None)


@dataclass(frozen=True)
class _Run:
    """What both ways of this command have in common."""

    env: Environment
    wanted: making.Wanted
    reading: texts.Wanted | None
    flags: dict[str, Any]
    as_json: bool
    color: str

    def prepare(self, model: str) -> Prepared:
        """A model, ready with the flags of this run."""
        return prepare(self.env, [], {**self.flags, "model": model})


def _refuse_missing(
    output: str | None, type: str | None, text: str | None, *, ladder: bool
) -> None:
    if ladder:
        if text is None:
            raise UsageError("--ladder measures on a text", "--text FILE gives one")
        return
    if output is None:
        raise UsageError("OUT is missing", "the file to be made; --ladder makes none")
    if type is None:
        raise UsageError("--type is missing", "Q4_K_M is common; --ladder measures many")


def _reading(env: Environment, file: str, chunk: int, most: int | None) -> texts.Wanted:
    return texts.Wanted(texts.text_of(env, file), chunk, most=most, least=LONG_CHUNK)


def _make(run: _Run, model: str, *, dry_run: bool) -> None:
    prepared = run.prepare(model)
    order = making.order(prepared, run.wanted)
    result, found = order.result, None
    with ProgressBar(run.env) as progress:
        if not dry_run:
            result = making.make(run.env, order, progress)
        if run.reading:
            made = run.prepare(str(order.target))
            found = beside(run.env, prepared, made, run.reading, progress)
    if run.as_json:
        view.show_json(run.env, result, found)
    else:
        view.show(run.env, result, found, color=run.color)


def _climb(
    run: _Run, model: str, named: str | None, size: int | None, plots: Plots, *, has_target: bool
) -> None:
    assert run.reading
    kinds = ladders.types(named, importance=run.wanted.importance is not None)
    prepared = run.prepare(model)
    if has_target:  # for its errors, before an hour of measuring
        making.order(prepared, replace(run.wanted, type=kinds[0]))
    with ProgressBar(run.env) as progress:
        source, rungs = ladders.climb(
            run.env,
            prepared,
            kinds,
            run.wanted,
            run.reading,
            run.prepare,
            progress,
            size=size,
        )
        chosen = None if size is None else best(rungs, size)
        if chosen and has_target:
            wanted = replace(run.wanted, type=chosen.type)
            making.make(run.env, making.order(prepared, wanted), progress)
    plots.write(lambda: _plot(source.name, rungs, chosen, size))
    if run.as_json:
        ladder_view.show_json(run.env, source, rungs, chosen)
    elif not plots:
        ladder_view.show(run.env, source, rungs, chosen, color=run.color)


def _plot(name: str, rungs: list[Rung], chosen: Rung | None, size: int | None) -> Sheet:
    from llmparams_cli.render.plots.ladder import ladder

    return ladder(name, rungs, chosen, size)


def _bytes(text: str) -> int:
    try:
        return bytes_of(text)
    except ValueError as error:
        raise UsageError(f"--size {text}: no size", "such as 100M or 1.5G") from error


command = with_parameters(_command, MADE_WITH)
