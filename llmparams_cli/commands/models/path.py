"""`llmparams models path`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.models.resolve import locate
from llmparams_cli.options import Command, named_model

HELP = Command


def command(
    ctx: typer.Context, name: Annotated[str, named_model(metavar="NAME", help="A model.")]
) -> None:
    """Print the path of a model's file, and nothing else; of a split model, the first part's.

    \b
    ls -l "$(llmparams models path smollm2)"
    """
    env: Environment = ctx.obj
    # A path is bytes, whatever the encoding of the terminal.
    env.stdout.buffer.write(os.fsencode(locate(name, env).path) + b"\n")
