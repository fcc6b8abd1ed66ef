"""`llmparams compare`: the texts, where they part, and the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmparams_cli.comparison import Variant, side_by_side
from llmparams_cli.env import Environment
from llmparams_cli.render.bars import bar
from llmparams_cli.render.comparison.tree import tree
from llmparams_cli.safe import encodable, one_line, printable
from llmparams_cli.units import short_number

BOLD = "1"
LONGEST_TEXT = 300  # characters of a sample where there are several
PICTURED = ("entropy", "distinct-2", "agreement", "tokens")
BAR = 12


def show(env: Environment, variants: Sequence[Variant]) -> None:
    """Every variant's texts, where the first ones part, and the table of numbers."""
    colored = env.wants_color("auto", env.stdout)
    alone = all(len(variant.samples) == 1 for variant in variants)
    for variant in variants:
        _write(env, _styled(one_line(variant.name), BOLD, colored) + "\n")
        for sample in variant.samples:
            text = printable(sample.finished.text).strip()
            if not alone:
                text = one_line(text)
                text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
                text = f"  seed {sample.seed}: {text}"
            _write(env, f"{text}\n")
        _write(env, "\n")
    for number, line in enumerate(_parting(variants)):
        _write(env, (_styled(line, BOLD, colored) if number == 0 else line) + "\n")
    for number, line in enumerate(_table(variants)):
        _write(env, (_styled(line, BOLD, colored) if number == 0 else line) + "\n")
    for line in _picture(env, variants):
        _write(env, line + "\n")
    env.stdout.flush()


def _parting(variants: Sequence[Variant]) -> Iterator[str]:
    """Of the first answer of each: what all of them drew, and where they drew differently."""
    first, *more = side_by_side(variants)
    title = f"where they part, seed {first[0].seed}"
    yield f"{title} (--json tells all)" if more else title
    lines = list(tree([sample.finished.tokens for sample in first], [v.name for v in variants]))
    yield from lines or ["nowhere: these answers are the same"]
    yield ""


def _picture(env: Environment, variants: Sequence[Variant]) -> Iterator[str]:
    """Where one parameter takes at least three values: some metrics against it, as bars."""
    axes = {key for variant in variants for key in variant.values}
    if len(axes) != 1 or len(variants) < 3:
        return
    [axis] = axes
    points = [(variant.values[axis], variant.means()) for variant in variants]
    names = [name for name in PICTURED if all(mean[name] is not None for _, mean in points)]
    widest = max(len(axis), *(len(value) for value, _ in points))
    yield ""
    yield "  ".join([f"{axis:>{widest}}", *(f"{name:<{BAR + 6}}" for name in names)]).rstrip()
    for value, mean in points:
        cells = []
        for name in names:
            number = mean[name] or 0.0
            most = max(other[name] or 0.0 for _, other in points) or 1.0
            cells.append(f"{bar(env, env.stdout, number / most, BAR)} {_number(number):>5}")
        yield "  ".join([f"{value:>{widest}}", *cells]).rstrip()


def _table(variants: Sequence[Variant]) -> Iterator[str]:
    """A row for each variant; columns without any number are left out."""
    means = [variant.means() for variant in variants]
    names = [name for name in means[0] if any(mean[name] is not None for mean in means)]
    rows = [["", *names, "stops"]]
    for variant, mean in zip(variants, means, strict=True):
        stops = ", ".join(f"{count} {reason}" for reason, count in variant.stops().items())
        rows.append([one_line(variant.name), *(_number(mean[name]) for name in names), stops])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            f"{cell:<{width}}" if column in (0, len(row) - 1) else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _number(value: float | None) -> str:
    return "-" if value is None else short_number(value)


def _styled(text: str, style: str, colored: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if colored else text


def _write(env: Environment, text: str) -> None:
    env.stdout.write(encodable(text, env.stdout))
