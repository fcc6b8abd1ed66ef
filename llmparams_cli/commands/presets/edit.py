"""`llmparams presets edit`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.jobs import preset_files
from llmparams_cli.options import Command, named_preset
from llmparams_cli.presets.checking import check
from llmparams_cli.presets.parents import Reader
from llmparams_cli.render import presets as view

HELP = Command


def command(
    ctx: typer.Context,
    name: Annotated[str, named_preset("NAME", "A preset, by name or path.")],
) -> None:
    """Open a preset in $VISUAL or $EDITOR, then check what you saved.

    A preset that came with the program is copied to your own first; the copy hides it.
    """
    env: Environment = ctx.obj
    found = preset_files.edit(env, name)
    problems = check(found, env, Reader(env))
    view.show_problems(env, problems, 1)
    if any(not problem.is_remark for problem in problems):
        raise typer.Exit(ExitCode.PRESET)
