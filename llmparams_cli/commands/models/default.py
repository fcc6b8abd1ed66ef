"""`llmparams models default`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.models import default as job
from llmparams_cli.options import Command, QuietOption, named_model
from llmparams_cli.params.settings import Source
from llmparams_cli.presets.files import shown
from llmparams_cli.text.safe import encodable, one_line

HELP = Command


def command(
    ctx: typer.Context,
    name: Annotated[
        str | None, named_model(metavar="[NAME]", help="The model that runs from now on.")
    ] = None,
    unset: Annotated[
        bool, typer.Option("--unset", help="Take the choice back: the usual order counts again.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Show or choose the model that runs without --model.

    The choice is a line in your config.yaml; the rest of that file stays as it is. Without
    one, the only model that was pulled runs, or else the built-in one. A project's
    llmparams.yaml, presets and LLMPARAMS_MODEL count more.
    """
    env: Environment = ctx.obj
    env.quiet = quiet
    if unset and name is not None:
        raise UsageError("--unset and a name exclude each other")
    place = shown(env.config_file, env.directory)
    if unset:
        env.note(
            f"the default model is taken out of {place}"
            if job.unset(env)
            else f"{place} names no model"
        )
        return
    chosen = job.choose(env, name) if name is not None else None
    current = job.current(env)
    if chosen is None:
        env.stdout.write(encodable(f"{one_line(current.text)}\n", env.stdout))
        why = current.origin.place if current.origin.source is Source.DEFAULT else current.origin
        env.note(f"{current.text}: {why}")
        return
    env.note(f"wrote model: {chosen.text} to {place}")
    if current != chosen:
        env.note(f"here {current.text} counts more ({current.origin})")
