"""`llmparams presets show`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from llmparams_cli.commands.presets.format_option import format_option
from llmparams_cli.env import Environment
from llmparams_cli.formats import WRITTEN
from llmparams_cli.jobs.resolution import resolution
from llmparams_cli.options import Command, named_preset
from llmparams_cli.presets.catalog import flattened
from llmparams_cli.render import presets as view
from llmparams_cli.render import settings_view
from llmparams_cli.text.safe import encodable

HELP = Command


def command(
    ctx: typer.Context,
    name: Annotated[str, named_preset("NAME", "The preset, by name or path.")],
    format: Annotated[str, format_option(("origins", "yaml", "json", *WRITTEN))] = "origins",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print values and origins as JSON.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show the values at their defaults, too.")
    ] = False,
    color: Annotated[
        Literal["auto", "always", "never"], typer.Option("--color", help="When to use colours.")
    ] = "auto",
) -> None:
    """Show what a preset resolves to here: the values that are set, where they come from, and
    the command line that does the same without it.

    \b
    llmparams presets show legal-summary
    llmparams presets show legal-summary --format ollama > Modelfile
    """
    env: Environment = ctx.obj
    if format == "origins":
        resolved = resolution(name, env)
        settings_view.show(
            env,
            resolved.settings,
            model=resolved.model,
            system=resolved.system,
            prompt=resolved.prompt,
            command=resolved.command,
            color=color,
            as_json=as_json,
            rest="" if everything else "--all",
        )
        return
    preset = flattened(name, env)
    if format in ("yaml", "json"):
        view.write_preset(env, preset, format)
        return
    from llmparams_cli.jobs.exchange import exported

    text, losses = exported(name, format, env)
    env.stdout.write(encodable(text, env.stdout))
    for loss in losses:
        env.note(f"{name} for {format}: {loss}")
