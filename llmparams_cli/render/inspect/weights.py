"""The values of tensors as histograms, and their norms layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from llmparams_cli.analysis.inside import Described, Norm
from llmparams_cli.analysis.weights import OUTLIER
from llmparams_cli.env import Environment
from llmparams_cli.render.bars import bar, spark
from llmparams_cli.render.inspect.words import by_layer, count, measure
from llmparams_cli.render.styles import BOLD, CYAN, DIM
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import beginning
from llmparams_cli.text.units import percent
from llmparams_cli.text.width import cells, cut, pad

MOST_ROWS = 80  # of norms
ROWS = 20  # of a histogram
NUMBER = 11  # columns of a value
LONGEST_BAR = 50
LONGEST_NAME = 40


def show(env: Environment, tensors: Sequence[Described], *, color: str) -> None:
    """Each tensor: what it is, its values in numbers, and as a histogram."""
    view = View(env, color)
    for place, tensor in enumerate(tensors):
        if place:
            view.line()
        _tensor(view, tensor)
    env.stdout.flush()


def _tensor(view: View, tensor: Described) -> None:
    values = tensor.statistics
    view.line(one_line(beginning(tensor.name, 200)), BOLD)
    shape = " × ".join(map(count, tensor.shape)) or "one value"
    view.line(f"  {tensor.kind}, {shape} in {tensor.type}, {count(values.count)} values")
    if values.not_finite:
        view.line(f"  {count(values.not_finite)} are NaN or infinite and left out below")
    if not values.count:
        return
    facts = {
        "range": f"{measure(values.minimum)} to {measure(values.maximum)}",
        "mean": measure(values.mean),
        "standard deviation": measure(values.deviation),
        "norm": measure(values.norm),
        "zeros": _part(values.zeros, values.count),
        f"beyond {OUTLIER:.0f} σ": _part(values.beyond, values.count),
    }
    width = max(map(len, facts))
    for name, value in facts.items():
        view.line(f"  {name:<{width}}  {value}")
    extremes = (
        f"{measure(each.value)} at {list(tensor.index(each.place))}" for each in values.extremes
    )
    view.line(f"  {'most extreme':<{width}}  {', '.join(extremes)}")
    view.line()
    _histogram(view, tensor)


def _part(some: int, all: int) -> str:
    return f"{count(some)} ({percent(some / all)})"


def _histogram(view: View, tensor: Described) -> None:
    found = tensor.statistics.histogram
    per_row = -(-len(found.counts) // ROWS)
    counts = [
        sum(found.counts[start : start + per_row]) for start in range(0, len(found.counts), per_row)
    ]
    most = max(counts)
    step = (found.high - found.low) / len(counts)
    length = min(LONGEST_BAR, view.width - NUMBER - 14)
    for row, many in enumerate(counts):
        start = measure(found.low + row * step)
        picture = bar(many / most if most else 0.0, length, view.env.stdout)
        view.spans([(f"{start:>{NUMBER}} ", DIM), (picture, CYAN), (f" {count(many)}", DIM)])
    view.line(f"{measure(found.high):>{NUMBER}}", DIM)


def show_layers(env: Environment, norms: Sequence[Norm], *, color: str) -> None:
    """A line of cells for each kind of tensor, a cell for each layer; then the others as bars."""
    view = View(env, color)
    groups, others = by_layer(norms)
    if groups:
        _cells(view, dict(islice(groups.items(), MOST_ROWS)))
    if others:
        _bars(view, others[:MOST_ROWS])
    left_out = max(0, len(groups) - MOST_ROWS) + max(0, len(others) - MOST_ROWS)
    if left_out:
        view.line(f"… {count(left_out)} more rows: --json has all", DIM)
    env.stdout.flush()


def _cells(view: View, groups: dict[str, list[Norm]]) -> None:
    names = [cut(one_line(name), LONGEST_NAME, view.env.stdout) for name in groups]
    width = max(map(cells, names))
    rows = []
    for norms in groups.values():
        low, high = (pick(norms, key=lambda norm: norm.norm) for pick in (min, max))
        rows.append(
            (norms, f"{measure(low.norm)} ({low.layer})", f"{measure(high.norm)} ({high.layer})")
        )
    lows, highs = (max(len(row[place]) for row in rows) for place in (1, 2))
    most = max(len(norms) for norms, _, _ in rows)
    room = max(1, min(most, view.width - width - lows - highs - 8))
    view.line("norm of each tensor, layer by layer, from 0 to the largest of its line", BOLD)
    heads = pad("", width) + "  " + pad("layers", room)
    view.line(f"  {heads}  {'least, where':<{lows}}  most", DIM)
    for name, (norms, least, greatest) in zip(names, rows, strict=True):
        picture = pad(spark([norm.norm for norm in norms], room, view.env.stdout), room)
        numbers = f"  {least:<{lows}}  {greatest}"
        view.spans([(f"  {pad(name, width)}  ", ""), (picture, CYAN), (numbers, "")])


def _bars(view: View, norms: Sequence[Norm]) -> None:
    names = [cut(one_line(norm.name), LONGEST_NAME, view.env.stdout) for norm in norms]
    width = max(map(cells, names))
    most = max(norm.root_mean_square for norm in norms)
    length = min(24, view.width - width - 30)
    view.line("outside the layers: norm, and root mean square drawn", BOLD)
    for name, norm in zip(names, norms, strict=True):
        picture = bar(
            norm.root_mean_square / most if most else 0.0, max(0, length), view.env.stdout
        )
        numbers = f"{measure(norm.norm):>10}  {measure(norm.root_mean_square):>10} "
        view.spans([(f"  {pad(name, width)}  {numbers}", ""), (picture, CYAN)])
