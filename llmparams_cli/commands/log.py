"""`llmparams log`: the last runs."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.options import Command
from llmparams_cli.options.values import runs
from llmparams_cli.params.kinds import Number

HELP = Command
COUNT = Number(integer=True, low=1)
SHOW, CLEAR = "show", "clear"


def command(
    ctx: typer.Context,
    what: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT|show|clear]", help="Runs with this text; or what to do."),
    ] = None,
    id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="The run to show. [the last one]", autocompletion=runs),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", metavar="TEXT", help="Runs with this in prompt or answer."),
    ] = None,
    count: Annotated[
        str, typer.Option("-n", metavar="N", help="How many runs to list, the newest first.")
    ] = "20",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Clear without asking.")] = False,
) -> None:
    """List, search and show the last runs.

    Every generate keeps a receipt, for llmparams replay. The newest 1,000 stay, in 64 MB at
    most; --no-log or LLMPARAMS_LOG=off keeps none.

    \b
    llmparams log "fox"          the runs with this text in prompt or answer
    llmparams log show last      one in full; its id, or the first letters, name it
    llmparams log clear          forget all
    """
    env: Environment = ctx.obj
    if id is not None and what != SHOW:
        raise UsageError(f"{id!r} is one word too many", "a text of several words needs quotes")
    # The words 'show' and 'clear' are actions; --search finds runs that contain them.
    if what == SHOW and search is None:
        show(env, id, as_json=as_json)
    elif what == CLEAR and search is None:
        clear(env, yes=yes)
    elif what is not None and search is not None:
        raise UsageError(f"{what!r} and --search {search!r}: one text at a time")
    else:
        list_runs(env, what or search or "", _count(count), as_json=as_json)


def list_runs(env: Environment, search: str, count: int, *, as_json: bool) -> None:
    """Print the newest runs whose prompt or answer has this text."""
    from llmparams_cli.records import listing
    from llmparams_cli.render import log
    from llmparams_cli.render.json_output import write_json

    runs = list(listing.entries(env, count, search))
    if as_json:
        write_json(env, runs, indent=2 if env.stdout_is_tty else None)
    else:
        log.list_runs(env, runs)
    if not runs:
        env.note(f"no run in the log has {search!r}" if search else "the log is empty")


def show(env: Environment, id: str | None, *, as_json: bool) -> None:
    """Print one run in full; as JSON, its receipt as it is."""
    from llmparams_cli.records import reading, store
    from llmparams_cli.render import log
    from llmparams_cli.render.json_output import write_json

    path = store.find(env, store.LAST if id is None else id)
    receipt = reading.read(path, str(path))
    reading.check(receipt)
    if as_json:
        write_json(env, receipt.value, indent=2 if env.stdout_is_tty else None)
    else:
        log.show(env, receipt.value)


def clear(env: Environment, *, yes: bool) -> None:
    """Remove all runs, once the user has confirmed it."""
    from llmparams_cli.records import store

    known = len(store.ids(env))
    if not yes:
        if not env.stdin_is_tty:
            raise UsageError("log clear removes the log of all runs", "--yes confirms it")
        # On stderr: stdout is for results.
        env.aside(f"Remove the receipts of {known} runs from {store.directory(env)}? [y/N] ")
        if env.stdin.readline().strip().lower() not in ("y", "yes"):
            env.note("nothing was removed")
            return
    env.note(f"removed the receipts of {store.clear(env)} runs")


def _count(text: str) -> int:
    try:
        return int(COUNT.parse(text))
    except ValueError as error:
        raise UsageError(f"-n: {error}") from error
