"""`llmparams models`: the list of models, and what checks found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.models.report import Listed, Verdict, Verified
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.progress import ProgressBar
from llmparams_cli.render.styles import BOLD, DIM, GREEN, RED, YELLOW, styled
from llmparams_cli.render.terminal import Row, columns, table
from llmparams_cli.text.safe import encodable, one_line
from llmparams_cli.text.units import count_text, size_text
from llmparams_cli.text.width import cells, pad

GAP = 2
HEAD = ("size", "type", "params", "context", "where", "used")
NONE = "-"
COLORS = {
    Verdict.RIGHT: GREEN,
    Verdict.WRONG: RED,
    Verdict.DAMAGED: RED,
    Verdict.UNKNOWN: YELLOW,
}


def show_list(env: Environment, models: Sequence[Listed], *, as_json: bool) -> None:
    """Print the models: a table on a terminal, lines with tabs in a pipe, or JSON."""
    if as_json:
        write_json(env, [_object(each) for each in models], indent=2)
    elif env.stdout_is_tty:
        _write(env, _table(env, models))
    else:
        for each in models:
            _write(env, "\t".join(map(one_line, _exact(each))) + "\n")


def _exact(each: Listed) -> tuple[str, ...]:
    """The fields for a script: sizes in bytes, dates in UTC."""
    numbers = (each.summary.size, each.summary.parameters, each.summary.context)
    size, parameters, context = (str(number or NONE) for number in numbers)
    used = f"{each.last_used:%Y-%m-%dT%H:%M:%SZ}" if each.last_used else NONE
    kind = each.summary.quantization or NONE
    return (each.name, size, kind, parameters, context, each.where, used)


def _table(env: Environment, models: Sequence[Listed]) -> str:
    """A line for each model, or two if the names are too long for that."""
    rows = [_cells(each) for each in models]
    widths = [max(map(cells, column)) for column in zip(HEAD, *rows, strict=True)]
    names = [one_line(each.name) for each in models]
    room = columns(env, env.stdout) - sum(widths) - GAP * len(widths)
    longest = max(map(cells, ("name", *names)))
    colored = env.wants_color("auto", env.stdout)
    if longest <= room:
        lines = [Row(("name", *HEAD), "bold")]
        for each, name, row in zip(models, names, rows, strict=True):
            lines.append(Row((name, *row), "dim" if each.summary.problem else ""))
            lines += [Row((f"  {remark}",), "dim") for remark in _remarks(each)]
        return table(env, lines, (longest, *widths), colored=colored)
    return "".join(_in_two_lines(models, names, rows, widths, colored=colored))


def _in_two_lines(
    models: Sequence[Listed],
    names: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    widths: Sequence[int],
    *,
    colored: bool,
) -> Iterator[str]:
    """The name on a line of its own, so that it can be copied; below it the rest."""

    def line(row: Sequence[str]) -> str:
        return "  ".join(["", *map(pad, row, widths)]).rstrip()

    yield styled(line(HEAD), DIM, colored) + "\n"
    for each, name, row in zip(models, names, rows, strict=True):
        yield f"{styled(name, BOLD, colored)}\n{line(row)}\n"
        yield from (styled(f"  {remark}", DIM, colored) + "\n" for remark in _remarks(each))


def _cells(each: Listed) -> tuple[str, ...]:
    summary = each.summary
    used = f"{each.last_used.astimezone():%Y-%m-%d}" if each.last_used else NONE
    return (
        size_text(summary.size) if summary.size else NONE,
        one_line(summary.quantization) or NONE,
        count_text(summary.parameters) if summary.parameters else NONE,
        str(summary.context or NONE),
        each.where,
        used,
    )


def _remarks(each: Listed) -> Iterator[str]:
    if each.summary.problem:
        yield one_line(each.summary.problem)
    if each.same_as:
        yield f"{'a copy of' if each.is_copy else 'the same file as'} {one_line(each.same_as)}"


def _object(each: Listed) -> dict[str, Any]:
    summary = each.summary
    return {
        "name": each.name,
        "where": each.where,
        "path": str(each.kept.path),
        "files": len(each.kept.files),
        "title": summary.title or None,
        "architecture": summary.architecture or None,
        "size": summary.size,
        "quantization": summary.quantization or None,
        "parameters": summary.parameters or None,
        "context": summary.context or None,
        "sha256": list(each.kept.sha256) or None,
        "same_as": each.same_as or None,
        "is_copy": each.is_copy,
        "last_used": f"{each.last_used:%Y-%m-%dT%H:%M:%SZ}" if each.last_used else None,
        "problem": summary.problem or None,
    }


def show_verified(
    env: Environment, results: Iterable[Verified], progress: ProgressBar
) -> list[Verified]:
    """Print each result as soon as it is there; return them all."""
    colored = env.wants_color("auto", env.stdout)
    seen = []
    for each in results:
        progress("", 1)  # the line must not run into the bar
        verdict = styled(each.verdict.value, COLORS[each.verdict], colored)
        hashes = f"SHA-256 {' '.join(each.sha256)}" if each.sha256 else ""
        details = ", ".join(filter(None, (hashes, one_line(each.reason))))
        _write(env, f"{one_line(each.name)}: {verdict}, {details}\n")
        seen.append(each)
    return seen


def verified_json(env: Environment, results: Sequence[Verified]) -> None:
    """The results as an array of objects."""
    write_json(
        env,
        [
            {
                "name": each.name,
                "path": str(each.path),
                "verdict": each.verdict.name.lower(),
                "sha256": list(each.sha256),
                "reason": each.reason or None,
            }
            for each in results
        ],
        indent=2,
    )


def _write(env: Environment, text: str) -> None:
    env.stdout.write(encodable(text, env.stdout))
    env.stdout.flush()
