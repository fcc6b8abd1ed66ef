"""`llmparams replay`: run a receipt again."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.options import Command, model_option, values
from llmparams_cli.params.spec import Scope

HELP = Command


def command(
    ctx: typer.Context,
    receipt: Annotated[
        str,
        typer.Argument(
            metavar="RECEIPT",
            help="A file, or a run of llmparams log: its id, or last.",
            autocompletion=values.runs,
        ),
    ],
    model: Annotated[
        str | None,
        model_option("[the receipt's]"),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Change one parameter; repeats.",
            autocompletion=values.assignments(*Scope),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show llama.cpp's log.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No notes on stderr.")] = False,
) -> None:
    """Run a receipt again: is the answer the same, and if not, where and why?

    The exit code is 0 for the same answer and 8 for another one. The whole model file is
    read and compared with its SHA-256.

    \b
    llmparams generate "Once upon a time" --receipt run.json
    llmparams replay run.json
    llmparams replay last --set temperature=0.4
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    raise typer.Exit(replay(env, receipt, model, changes or [], as_json=as_json))


def replay(
    env: Environment, receipt: str, model: str | None, changes: list[str], *, as_json: bool
) -> ExitCode:
    """Print how the replay went; return the exit code that says the same."""
    from llmparams_cli.jobs import replay as job
    from llmparams_cli.render.json_output import write_json
    from llmparams_cli.render.progress import ProgressBar
    from llmparams_cli.render.replay import show

    found = job.find(env, receipt)
    with ProgressBar(env) as progress:
        done = job.replay(env, found, model=model, changes=changes, progress=progress)
    report = done.to_object()
    if as_json:
        write_json(env, report, indent=2 if env.stdout_is_tty else None)
    else:
        show(env, report)
    return ExitCode.SUCCESS if done.identical else ExitCode.DIFFERENT
