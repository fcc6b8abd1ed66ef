"""`llmparams doctor`: what this machine and this installation can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.options import Command
from llmparams_cli.protocol import Check

HELP = Command


def command(
    ctx: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for bug reports.")
    ] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Test again what is remembered of this machine.")
    ] = False,
) -> None:
    """Check what this machine and this installation can do.

    Every problem comes with its cure. The exit code is 0 unless something keeps the program
    from generating text.
    """
    raise typer.Exit(doctor(ctx.obj, as_json, refresh))


def doctor(env: Environment, as_json: bool, refresh: bool = False) -> ExitCode:
    """Print the report; return the exit code of the first check that failed."""
    from llmparams_cli.jobs.diagnosis import diagnose
    from llmparams_cli.render.doctor import show, show_json

    made: list[Check] = []

    # Passes each check on as soon as it is made, and remembers it for the exit code.
    def checks() -> Iterator[Check]:
        for check in diagnose(env, refresh=refresh):
            made.append(check)
            yield check

    (show_json if as_json else show)(env, checks())
    return next((check.exit_code for check in made if check.exit_code), ExitCode.SUCCESS)
