"""`llmparams presets check`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.options import Command, named_preset
from llmparams_cli.presets.checking import check
from llmparams_cli.presets.find import PROJECT_FILE, Found, available, find, places
from llmparams_cli.presets.parents import Reader
from llmparams_cli.render import presets as view

HELP = Command


def command(
    ctx: typer.Context,
    files: Annotated[
        list[str] | None,
        named_preset("FILE", "Preset files or names. [the project's]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print an array of objects.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No tally on stderr.")] = False,
) -> None:
    """Find every problem in preset files, llmparams.yaml included: unknown names, values out
    of range, values that exclude each other, tests that cannot hold, circles of `extends`.

    Prints FILE:LINE:COLUMN and the problem; the exit code is 3 if there is one. A value without
    effect is a remark, and no problem.

    \b
    llmparams presets check presets/*.yaml
    """
    env: Environment = ctx.obj
    env.quiet = quiet
    chosen = [find(name, env) for name in files] if files else _of_project(env)
    reader = Reader(env)
    problems = [problem for found in chosen for problem in check(found, env, reader)]
    if as_json:
        view.problems_json(env, problems)
    else:
        view.show_problems(env, problems, len(chosen))
    if any(not problem.is_remark for problem in problems):
        raise typer.Exit(ExitCode.PRESET)


def _of_project(env: Environment) -> list[Found]:
    """The project's presets and its llmparams.yaml; the user's presets if there is no project."""
    mine = [f for files in available(env).values() for f in files if f.place == "project"]
    files = [
        Found(path, "", place)
        for place, path in places(env)
        if place == "project" and path.name == PROJECT_FILE
    ]
    # Entries of llmparams.yaml are checked with that file as a whole.
    own = [found for found in mine if not found.entry] + files
    return own or [f for files in available(env).values() for f in files if f.place == "user"]
