"""`llmparams models list`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.jobs.models.listing import listed
from llmparams_cli.options import Command, QuietOption
from llmparams_cli.render import models as view

HELP = Command


def command(
    ctx: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Also files that cannot be run, and why.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print an array of objects.")] = False,
    quiet: QuietOption = False,
) -> None:
    """List the models on this disk: those that were pulled, and those of the Hub's cache,
    Ollama, LM Studio, llama.cpp, Jan, GPT4All, llm and Python packages.

    The name is what --model takes. 'Used' is the last run of this program, as far as its log
    goes back. A pipe gets a line for each model, with tabs between the fields and sizes in bytes.

    \b
    llmparams models list
    llmparams models list --json | jq -r '.[].path'
    """
    env: Environment = ctx.obj
    env.quiet = quiet
    models = listed(env)
    sound = [each for each in models if not each.summary.problem]
    view.show_list(env, models if everything else sound, as_json=as_json)
    left_out = len(models) - len(sound)
    if left_out and not everything:
        what = "file is" if left_out == 1 else "files are"
        env.note(f"{left_out} more {what} no model that can be run: --all says why")
