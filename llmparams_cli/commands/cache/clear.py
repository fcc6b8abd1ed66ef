"""`llmparams cache clear`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.options import Command, QuietOption
from llmparams_cli.options.values import kept_models
from llmparams_cli.records.prefixes import store
from llmparams_cli.text.units import size_text

HELP = Command


def command(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A model, as llmparams cache list names it.",
            autocompletion=kept_models,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="What is kept of all models.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Remove what is kept of a model, or with --all of every one.

    Nothing is lost but time: the next run reads its prompt again. Runs that go on meanwhile are
    not disturbed.

    \b
    llmparams cache clear smollm2
    llmparams cache clear --all
    """
    env: Environment = ctx.obj
    env.quiet = quiet
    if everything == (model is not None):
        raise UsageError("cache clear wants a model or --all", "llmparams cache list names them")
    kept = store.opened(env)
    all_models = kept.kept()
    chosen = [each for each in all_models if everything or each.is_called(str(model))]
    if model is not None and not chosen:
        names = ", ".join(dict.fromkeys(each.name for each in all_models)) or "the cache is empty"
        raise UsageError(f"nothing is kept of a model {model!r}", names)
    kept.clear(chosen)
    size, segments = (sum(getattr(each, what) for each in chosen) for what in ("size", "segments"))
    env.note(f"removed {segments} segments: {size_text(size)} are free")
