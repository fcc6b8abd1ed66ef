"""The option --format: its help, completion and check, all from the table of formats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from llmparams_cli.errors import UsageError
from llmparams_cli.options.values import words
from llmparams_cli.params.kinds import did_you_mean


def format_option(names: Iterable[str], default: str = "") -> Any:
    """An option that takes one of these formats."""
    names = [*names]
    listed = f"{', '.join(names[:-1])} or {names[-1]}."

    def check(name: str | None) -> str | None:
        if name is None or name in names:
            return name
        raise UsageError(
            f"--format: {name!r} is not a known format{did_you_mean(name, names)}",
            f"the formats are {', '.join(names)}",
        )

    return typer.Option(
        "--format",
        metavar="FORMAT",
        help=f"{listed} {default}".rstrip(),
        callback=check,
        autocompletion=words(names),
    )
