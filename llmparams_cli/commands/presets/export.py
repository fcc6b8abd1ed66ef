"""`llmparams presets export`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.commands.presets.format_option import format_option
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path, write_whole
from llmparams_cli.formats import WRITTEN
from llmparams_cli.jobs.exchange import exported
from llmparams_cli.options import Command, named_preset
from llmparams_cli.text.safe import encodable

HELP = Command


def command(
    ctx: typer.Context,
    name: Annotated[str, named_preset("NAME", "A preset, by name or path.")],
    format: Annotated[str, format_option(WRITTEN)],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to write. [stdout]")
    ] = "-",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not report losses.")] = False,
) -> None:
    """Write a preset in another program's format, and tell on stderr what does not fit there.

    \b
    llmparams presets export legal-summary --format ollama -o Modelfile
    """
    env: Environment = ctx.obj
    env.quiet = quiet
    text, losses = exported(name, format, env)
    if output == "-":
        env.stdout.write(encodable(text, env.stdout))
        env.stdout.flush()  # on a terminal the preset comes first
    else:
        try:
            write_whole(resolve_path(output, env.directory), text)
        except OSError as error:
            raise UsageError(f"--output {output}: {error.strerror}", "another file") from error
    # On stderr, so that the preset can be piped.
    for loss in losses:
        env.note(f"{name} for {format}: {loss}")
