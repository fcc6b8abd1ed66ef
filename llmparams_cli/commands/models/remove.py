"""`llmparams models remove`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.models import default, removal
from llmparams_cli.options import Command, QuietOption, pulled_model
from llmparams_cli.params.settings import Source
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.units import size_text

HELP = Command


def command(
    ctx: typer.Context,
    name: Annotated[str, pulled_model(metavar="NAME", help="A model that was pulled.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Remove a model that `models pull` brought: its files and its record, nothing else.

    Models of other programs are left to them; the error says how each removes its own.
    """
    env: Environment = ctx.obj
    env.quiet = quiet
    model = removal.removable(env, name)
    size = size_text(model.size)
    if not yes and not _agrees(env, f"remove {model.name} ({size}, {model.folder})?"):
        env.note("nothing was removed")
        return
    left = removal.remove(model)
    env.note(f"removed {model.name}: {size} are free")
    if left:
        env.note(f"{model.folder} has other files, which stay: {', '.join(left[:5])}")
    chosen = default.current(env)
    if chosen.text == model.name and chosen.origin.source is not Source.DEFAULT:
        env.note(f"{chosen.origin.place} still names it")


def _agrees(env: Environment, question: str) -> bool:
    """Ask on the terminal; without one, nobody can answer."""
    if not (env.stdin_is_tty and env.stderr_is_tty):
        raise UsageError("removing a model wants a yes", "--yes, where there is no terminal")
    env.aside(f"{one_line(question)} [y/N] ")
    return env.stdin.readline().strip().lower() in ("y", "yes")
