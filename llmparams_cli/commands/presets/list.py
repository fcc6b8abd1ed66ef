"""`llmparams presets list`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.options import Command
from llmparams_cli.presets.catalog import listed
from llmparams_cli.render import presets as view

HELP = Command


def command(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print an array of objects.")] = False,
) -> None:
    """List all presets: where they are, what they are for, and what differs from the defaults."""
    view.show_list(ctx.obj, listed(ctx.obj), as_json=as_json)
