"""`llmparams presets new`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmparams_cli.env import Environment
from llmparams_cli.jobs import preset_files
from llmparams_cli.options import HelpInSections, model_option, preset_option, with_parameters
from llmparams_cli.options.values import runs

HELP = HelpInSections


@with_parameters
def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, or the file to write.")],
    preset: Annotated[
        list[str] | None,
        preset_option("Extend this preset; repeats."),
    ] = None,
    receipt: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Take the values of a finished run or chat.",
            autocompletion=runs,
        ),
    ] = None,
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="What it is for, in one line.")
    ] = "",
    model: Annotated[str | None, model_option("")] = None,
    system: Annotated[
        str | None, typer.Option("--system", metavar="TEXT", help="System text, or @FILE.")
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt", metavar="TEXT", help="Template, such as 'Translate: {{ input }}'."
        ),
    ] = None,
    user: Annotated[
        bool, typer.Option("--user", help="For all projects: in the configuration directory.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Write a new preset, with a comment for every value.

    It goes to the project's presets/ directory (made here if there is none), or with --user
    to the user's. Values come from --preset, from a run or a chat (its
    receipt, its id in the log, its name, or last), and from flags.

    \b
    llmparams presets new terse --temperature 0.3 --max-tokens 80 --description "Few words."
    llmparams presets new that-story --from last
    """
    env: Environment = ctx.obj
    preset_files.create(
        env,
        name,
        extends=preset or [],
        receipt=receipt,
        description=description,
        prompt=prompt,
        flags={**flags, "model": model, "system": system},
        user=user,
        force=force,
    )
