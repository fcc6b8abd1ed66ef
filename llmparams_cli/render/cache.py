"""`llmparams cache list`: what is kept of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.records.prefixes.store import Kept
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.terminal import Row, table
from llmparams_cli.text.safe import encodable, one_line
from llmparams_cli.text.units import size_text
from llmparams_cli.text.width import cells

HEAD = ("model", "segments", "tokens", "size", "used")


def show_list(env: Environment, kept: Sequence[Kept], limit: int, *, as_json: bool) -> None:
    """Print a line for each model, or JSON; the sum goes to stderr."""
    if as_json:
        write_json(env, _object(kept, limit), indent=2)
        return
    if env.stdout_is_tty and kept:
        rows = [HEAD, *(_cells(each) for each in kept)]
        widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
        lines = [Row(row, "" if number else "bold") for number, row in enumerate(rows)]
        _write(env, table(env, lines, widths, colored=env.wants_color("auto", env.stdout)))
    elif not env.stdout_is_tty:
        for each in kept:
            _write(env, "\t".join(map(one_line, _exact(each))) + "\n")
    size = size_text(sum(each.size for each in kept))
    env.note(f"{size} of {size_text(limit)}" if limit else f"{size}; the cache is off")


def _cells(each: Kept) -> tuple[str, ...]:
    used = f"{_used(each).astimezone():%Y-%m-%d %H:%M}"
    return (
        one_line(each.name),
        f"{each.segments}",
        f"{each.tokens:,}",
        size_text(each.size),
        used,
    )


def _exact(each: Kept) -> tuple[str, ...]:
    numbers = (each.segments, each.tokens, each.size)
    return (each.name, *map(str, numbers), f"{_used(each):%Y-%m-%dT%H:%M:%SZ}", each.path)


def _object(kept: Sequence[Kept], limit: int) -> dict[str, Any]:
    return {
        "models": [
            {
                "model": each.name,
                "path": each.path,
                "segments": each.segments,
                "tokens": each.tokens,
                "size": each.size,
                "last_used": f"{_used(each):%Y-%m-%dT%H:%M:%SZ}",
            }
            for each in kept
        ],
        "segments": sum(each.segments for each in kept),
        "tokens": sum(each.tokens for each in kept),
        "size": sum(each.size for each in kept),
        "limit": limit,
    }


def _used(each: Kept) -> datetime:
    return datetime.fromtimestamp(each.used // 10**9, timezone.utc)


def _write(env: Environment, text: str) -> None:
    env.stdout.write(encodable(text, env.stdout))
    env.stdout.flush()
