"""`llmparams presets schema`."""

from __future__ import annotations

import typer

from llmparams_cli.options import Command
from llmparams_cli.presets.schema import preset_schema
from llmparams_cli.render.json_output import write_json

HELP = Command


def command(ctx: typer.Context) -> None:
    """Print the JSON Schema of preset files, with which editors complete and check them.

    \b
    llmparams presets schema > preset.schema.json
    and as a preset's first line:  # yaml-language-server: $schema=preset.schema.json
    """
    write_json(ctx.obj, preset_schema(), indent=2)
