"""`llmparams presets import`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.commands.presets.format_option import format_option
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.formats import FORMATS
from llmparams_cli.jobs import preset_files
from llmparams_cli.jobs.exchange import imported
from llmparams_cli.options import Command

HELP = Command


def command(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The other program's file, or -.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Its name here. [its own]")
    ] = None,
    format: Annotated[
        str | None, format_option(FORMATS, default="[recognised from the content]")
    ] = None,
    section: Annotated[
        str | None,
        typer.Option("--section", metavar="NAME", help="One section of a file of several."),
    ] = None,
    user: Annotated[
        bool, typer.Option("--user", help="For all projects: in the configuration directory.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not report losses.")] = False,
) -> None:
    """Read another program's preset and write it as one of yours: of llama.cpp, Ollama, LM Studio,
    text-generation-webui, SillyTavern, KoboldCpp, transformers (generation_config.json), vLLM,
    llm, aichat, mods, GPT4All, Jan, LocalAI, or a request to OpenAI's, Anthropic's, Ollama's,
    vLLM's or llama.cpp's API.

    Says on stderr what was lost, reordered, filled in or changed. No code in a file is run.

    \b
    llmparams presets import Modelfile --name support
    """
    env: Environment = ctx.obj
    env.quiet = quiet
    recognised, arrivals = imported(env, file, format, section)
    if name and len(arrivals) > 1:
        sections = ", ".join(arrival.name for arrival in arrivals)
        raise UsageError(f"--name fits one preset, and there are {sections}", "--section NAME")
    for arrival in arrivals:
        preset_files.save(env, name or arrival.name, arrival.preset, user=user, force=force)
        for loss in arrival.losses:
            env.note(f"{name or arrival.name} from {recognised}: {loss}")
