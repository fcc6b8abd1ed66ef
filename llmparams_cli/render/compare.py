"""`llmparams compare`: live columns, the texts, the table, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmparams_cli.comparison import Sample, Variant
from llmparams_cli.env import Environment
from llmparams_cli.protocol import Finished, Piece
from llmparams_cli.render.bars import bar
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.terminal import columns
from llmparams_cli.safe import encodable, one_line, printable
from llmparams_cli.units import short_number

if TYPE_CHECKING:
    from rich.columns import Columns
    from rich.console import Console

BOLD, DIM = "1", "2"
NARROWEST = 22  # columns of a live text
LONGEST_TEXT = 300  # characters of a sample where there are several
PICTURED = ("entropy", "distinct-2", "agreement", "tokens")
BAR = 12
Progress = Callable[[str, float], None]
Watch = Callable[[int, Piece | Finished], None]


@contextmanager
def watching(
    env: Environment, names: Sequence[str], prompts: int, progress: Progress
) -> Iterator[Watch]:
    """Live columns on stderr while answers grow, where they fit; else how many have ended."""
    fits = prompts == 1 and len(names) * NARROWEST <= columns(env, env.stderr)
    if not env.stderr_is_tty or env.quiet or not fits:
        yield _counting(len(names) * prompts, progress)
        return
    from rich.live import Live

    live = Live(console=_console(env), transient=True, refresh_per_second=12)
    texts = [""] * len(names)

    def watch(number: int, event: Piece | Finished) -> None:
        if isinstance(event, Piece):
            texts[number] += printable(event.text)
            live.start()  # only now: until here there may be a progress bar
            live.update(_columns(live.console, names, texts))

    try:
        yield watch
    finally:
        live.stop()


def _counting(answers: int, progress: Progress) -> Watch:
    ended: set[int] = set()

    def watch(number: int, event: Piece | Finished) -> None:
        if isinstance(event, Finished):
            ended.add(number)
            progress("answering", len(ended) / answers)

    return watch


def _console(env: Environment) -> Console:
    from rich.console import Console

    return Console(file=env.stderr, width=columns(env, env.stderr))


def _columns(console: Console, names: Sequence[str], texts: Sequence[str]) -> Columns:
    from rich.columns import Columns
    from rich.panel import Panel
    from rich.text import Text

    room, lines = console.width // len(names), max(4, console.height - 4)
    panels = [
        Panel(Text(_tail(text, room - 4, lines)), title=Text(one_line(name)), width=room)
        for name, text in zip(names, texts, strict=True)
    ]
    return Columns(panels, padding=0)


def _tail(text: str, width: int, lines: int) -> str:
    """The end of a text that has outgrown its column."""
    return text if len(text) < width * lines else f"…{text[-width * (lines - 1) :]}"


def show(env: Environment, variants: Sequence[Variant]) -> None:
    """Every variant's texts, then the table of numbers."""
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
    for number, line in enumerate(_table(variants)):
        _write(env, (_styled(line, BOLD, colored) if number == 0 else line) + "\n")
    for line in _picture(env, variants):
        _write(env, line + "\n")
    env.stdout.flush()


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


def show_json(env: Environment, variants: Sequence[Variant]) -> None:
    """Every variant with its means, and every sample with its text and numbers."""
    document = [
        {
            "name": variant.name,
            "values": variant.values,
            "means": {name: _rounded(value) for name, value in variant.means().items()},
            "stops": variant.stops(),
            "samples": [_sample_object(sample) for sample in variant.samples],
        }
        for variant in variants
    ]
    write_json(env, {"variants": document}, indent=2 if env.stdout_is_tty else None)


def _sample_object(sample: Sample) -> dict[str, Any]:
    finished = sample.finished
    return {
        "prompt": sample.prompt,
        "seed": sample.seed,
        "text": finished.text,
        "stop": {"reason": finished.stop.reason.value, "detail": finished.stop.detail},
        "metrics": {name: _rounded(value) for name, value in sample.metrics.items()},
        "token_ids": [token.id for token in finished.tokens],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def show_csv(env: Environment, variants: Sequence[Variant]) -> None:
    """A row for each answer."""
    keys = list(dict.fromkeys(key for variant in variants for key in variant.values))
    metrics = list(variants[0].samples[0].metrics)
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(["variant", *keys, "prompt", "seed", "stop", *metrics, "text"])
    for variant in variants:
        own = [variant.values.get(key, "") for key in keys]
        for sample in variant.samples:
            numbers = (_rounded(sample.metrics[name]) for name in metrics)
            reason = sample.finished.stop.reason.value
            known = [variant.name, *own, sample.prompt, sample.seed, reason]
            writer.writerow([*known, *numbers, sample.finished.text])
    _write(env, sheet.getvalue())
    env.stdout.flush()


def _styled(text: str, style: str, colored: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if colored else text


def _write(env: Environment, text: str) -> None:
    env.stdout.write(encodable(text, env.stdout))
