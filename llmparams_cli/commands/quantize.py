"""`llmparams quantize`: a smaller model, and what that costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path
from llmparams_cli.jobs.prepare import prepare
from llmparams_cli.models.ggml_types import MADE
from llmparams_cli.options import (
    ColorOption,
    HelpInSections,
    QuietOption,
    VerboseOption,
    named_model,
    values,
    with_parameters,
)
from llmparams_cli.params.spec import Scope
from llmparams_cli.render.progress import ProgressBar

HELP = HelpInSections
LEAST = 32  # tokens in a chunk: fewer are no text


def _command(
    ctx: typer.Context,
    model: Annotated[str, named_model("IN", "A model's name, or the path of a GGUF file.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="The file to be made.")],
    type: Annotated[
        str,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="What to make of it, such as Q4_K_M.",
            autocompletion=values.words(MADE),
        ),
    ],
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
    chunk: Annotated[
        int, typer.Option("--chunk", min=LEAST, metavar="N", help="Tokens that are read at a time.")
    ] = 512,
    chunks: Annotated[
        int | None, typer.Option("--chunks", min=1, metavar="N", help="Read only the first N.")
    ] = None,
    requantize: Annotated[
        bool, typer.Option("--requantize", help="Take a file that is quantised already, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell the size, and write nothing.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
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
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    from llmparams_cli.jobs.evaluation import text as text_job
    from llmparams_cli.jobs.evaluation.beside import beside
    from llmparams_cli.jobs.quantization import making
    from llmparams_cli.jobs.quantization.keeping import keeps
    from llmparams_cli.render import quantization as view

    if text is not None and dry_run:
        raise UsageError("--text has no effect with --dry-run", "it reads the new file")
    reading = text_job.Wanted(text_job.text_of(env, text), chunk, most=chunks) if text else None
    wanted = making.Wanted(
        making.target_of(env, output, force=force or dry_run),
        making.file_type(type),
        keeps(keep or ()),
        _path(env, imatrix),
        requantize,
        force,
    )
    prepared = prepare(env, [], {**flags, "model": model})
    order = making.order(prepared, wanted)
    result, found = order.result, None
    with ProgressBar(env) as progress:
        if not dry_run:
            result = making.make(env, order, progress)
        if reading:
            made = prepare(env, [], {**flags, "model": str(order.target)})
            found = beside(env, prepared, made, reading, progress)
    if as_json:
        view.show_json(env, result, found)
    else:
        view.show(env, result, found, color=color)


def _path(env: Environment, text: str | None) -> Path | None:
    return None if text is None else resolve_path(text, env.directory)


command = with_parameters(_command, (Scope.LOAD, Scope.CONTEXT))
