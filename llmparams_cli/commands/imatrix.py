"""`llmparams imatrix`: which weights matter, from what a model does with a text."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmparams_cli.env import Environment
from llmparams_cli.files import display_path, write_whole
from llmparams_cli.jobs.prepare import prepare
from llmparams_cli.options import (
    CHUNK,
    LONG_CHUNK,
    ChunksOption,
    HelpInSections,
    LongChunkOption,
    QuietOption,
    ReplaceOption,
    VerboseOption,
    named_model,
    with_parameters,
)
from llmparams_cli.params.spec import MADE_WITH
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.text.safe import one_line

HELP = HelpInSections


def _command(
    ctx: typer.Context,
    model: Annotated[str, named_model("MODEL", "A model's name, or the path of a GGUF file.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="The file to be made (GGUF).")],
    text: Annotated[str, typer.Option("--text", metavar="FILE", help="The text; - reads stdin.")],
    chunk: LongChunkOption = CHUNK,
    chunks: ChunksOption = None,
    force: ReplaceOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Make an importance matrix: while a model reads a text like those that it is meant for, add up
    what each column of its weights is multiplied with. `quantize --imatrix` rounds those columns
    with the most care that matter most. The file is as llama-imatrix makes it.

    \b
    llmparams imatrix model-f16.gguf model.imatrix.gguf --text story.txt
    llmparams quantize model-f16.gguf small.gguf --type IQ2_XS --imatrix model.imatrix.gguf
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    from llmparams_cli.jobs.evaluation.text import Wanted, text_of
    from llmparams_cli.jobs.quantization.importance import collect
    from llmparams_cli.jobs.quantization.making import target_of
    from llmparams_cli.models.importance import importance_bytes

    target = target_of(env, output, force=force)
    wanted = Wanted(text_of(env, text), chunk, most=chunks, least=LONG_CHUNK)
    prepared = prepare(env, [], {**flags, "model": model})
    with ProgressBar(env) as progress:
        matrix = collect(env, prepared, wanted, text, progress)
    write_whole(target, importance_bytes(matrix), replace=force)
    name = one_line(display_path(target, env.directory))
    count, read = len(matrix.squares), matrix.chunks * matrix.size
    env.note(f"wrote {name}: {count} matrices, from {read:,} tokens in chunks of {matrix.size}")
    if unused := sum(int((each.counts == 0).sum()) for each in matrix.squares.values()):
        env.note(f"{unused} experts were never asked: all of their columns count alike")


command = with_parameters(_command, MADE_WITH)
