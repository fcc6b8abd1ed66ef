"""`llmparams evaluate`: how good a model is, by evidence."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmparams_cli.analysis.divergence import Beside
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.jobs.prepare import prepare
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


def _command(
    ctx: typer.Context,
    models: Annotated[
        list[str] | None, named_model("[MODEL]...", "A model's name, or the path of a GGUF file.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="FILE", help="The text; - reads stdin.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="NAME",
            help="Measure how far the others depart from this model.",
            autocompletion=values.model_names,
        ),
    ] = None,
    chunk: Annotated[
        int, typer.Option("--chunk", min=8, metavar="N", help="Tokens that are read at a time.")
    ] = 512,
    strided: Annotated[
        bool,
        typer.Option("--strided", help="Count every token that has half a chunk before it."),
    ] = False,
    chunks: Annotated[
        int | None, typer.Option("--chunks", min=1, metavar="N", help="Read only the first N.")
    ] = None,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Add every token's log probability to the JSON.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, chunk by chunk.")
    ] = False,
    color: ColorOption = "auto",
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Measure how well models predict a text: perplexity, and bits per byte, which compare models
    with different tokenizers.

    Like llama-perplexity, it reads chunks side by side and counts the second half of each; with
    --strided they overlap, and every token counts that has half a chunk before it.

    \b
    llmparams evaluate --text story.txt
    llmparams evaluate smollm2 gemma3-270m --text story.txt --strided
    llmparams evaluate model-q4.gguf --text story.txt --against model-f16.gguf
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    if text is None:
        raise UsageError("there is nothing to evaluate by", "--text FILE gives a text")
    if tokens and not as_json:
        raise UsageError("--tokens has no effect without --json")
    from llmparams_cli.jobs.evaluation import text as job
    from llmparams_cli.jobs.evaluation.beside import beside
    from llmparams_cli.render import evaluation as view

    wanted = job.Wanted(job.text_of(env, text), chunk, strided, chunks)
    named: list[str | None] = [*models] if models else [None]
    prepared = [prepare(env, [], {**flags, "model": model}) for model in named]
    note_model(env, prepared[0])
    found: list[Beside] = []
    with ProgressBar(env) as progress:
        if against is None:
            results = job.evaluate(env, prepared, wanted, progress)
        else:
            base = prepare(env, [], {**flags, "model": against})
            found = [beside(env, base, each, wanted, progress) for each in prepared]
            results = [found[0].base, *(each.other for each in found)]
    if as_json:
        view.show_text_json(env, results, found, tokens=tokens)
    else:
        view.show_text(env, results, found, color=color)


command = with_parameters(_command, (Scope.LOAD, Scope.CONTEXT))
