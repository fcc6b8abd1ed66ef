"""`llmparams models path`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.models.resolve import locate
from llmparams_cli.options import named_model
from llmparams_cli.text.safe import encodable

HELP = typer.core.TyperCommand


def command(
    ctx: typer.Context, name: Annotated[str, named_model(metavar="NAME", help="A model.")]
) -> None:
    """Print the path of a model's file, and nothing else; of a split model, the first part's.

    \b
    ls -l "$(llmparams models path smollm2)"
    """
    env: Environment = ctx.obj
    env.stdout.write(encodable(f"{locate(name, env).path}\n", env.stdout))
