"""`llmparams cache list`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.options import Command, QuietOption
from llmparams_cli.records.prefixes import store
from llmparams_cli.render import cache as view

HELP = Command


def command(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object.")] = False,
    quiet: QuietOption = False,
) -> None:
    """List what is kept of each model: segments (files), tokens, size, last use; and the limit.

    A pipe gets a line for each model, with tabs between the fields and sizes in bytes.

    \b
    llmparams cache list
    llmparams cache list --json | jq .size
    """
    env: Environment = ctx.obj
    env.quiet = quiet
    kept = store.opened(env)
    view.show_list(env, kept.kept(), kept.limit, as_json=as_json)
