"""`llmparams models verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.jobs.models import verify as job
from llmparams_cli.options import Command, named_model
from llmparams_cli.render import models as view
from llmparams_cli.render.progress import ProgressBar

HELP = Command


def command(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        named_model(metavar="NAME", help="Models, by name or path. [those that were pulled]"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every model on this disk.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print an array of objects.")] = False,
) -> None:
    """Check that every byte of a model is as it was when it came: the header is read, and the
    SHA-256 of its files compared with the recorded one. Ollama, the Hub's cache and Python
    packages record it, too; of other files it is printed.

    The exit code is 4 if a model is wrong or damaged.

    \b
    llmparams models verify smollm2
    """
    env: Environment = ctx.obj
    models = job.chosen(env, names or [], everything=everything)
    with ProgressBar(env) as progress:
        results = job.verify(models, progress)
        seen = list(results) if as_json else view.show_verified(env, results, progress)
    if as_json:
        view.verified_json(env, seen)
    if any(each.verdict.is_bad for each in seen):
        raise typer.Exit(ExitCode.MODEL)
