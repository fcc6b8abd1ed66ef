"""The data of the pages of `inspect`: sections with a picture and a table each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmparams_cli.analysis.inside import Compared, Described, Difference, Norm
from llmparams_cli.analysis.weights import OUTLIER
from llmparams_cli.render.inspect.words import by_layer, count, measure, number
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import beginning
from llmparams_cli.text.units import percent

MOST_ROWS = 2000  # of a table
LONGEST = 200  # characters of a value


def weights(model: str, tensors: Sequence[Described]) -> dict[str, Any]:
    """A section for each tensor, with its histogram."""
    return _document("Weights and biases", model, [_weights(tensor) for tensor in tensors])


def _weights(tensor: Described) -> dict[str, Any]:
    values, total = tensor.statistics, tensor.statistics.count or 1
    shape = " \u00d7 ".join(map(count, tensor.shape))
    rows = [
        ["range", f"{measure(values.minimum)} to {measure(values.maximum)}"],
        ["mean", measure(values.mean)],
        ["standard deviation", measure(values.deviation)],
        ["norm", measure(values.norm)],
        ["zeros", f"{count(values.zeros)} ({percent(values.zeros / total)})"],
        [
            f"beyond {OUTLIER:.0f} standard deviations",
            f"{count(values.beyond)} ({percent(values.beyond / total)})",
        ],
        ["NaN or infinite", count(values.not_finite)],
        *(
            [f"extreme at {list(tensor.index(each.place))}", measure(each.value)]
            for each in values.extremes
        ),
    ]
    found = values.histogram
    picture = {
        "kind": "histogram",
        "low": measure(found.low),
        "high": measure(found.high),
        "counts": list(found.counts),
    }
    hint = f"{tensor.kind}, {shape} in {tensor.type}, {count(values.count)} values"
    return _section(tensor.name, hint, picture, ["", "value"], rows)


def layers(model: str, norms: Sequence[Norm]) -> dict[str, Any]:
    """A row of cells for each kind of tensor, a cell for each layer; and the others."""
    groups, others = by_layer(norms)
    sections = []
    picture: dict[str, Any]
    if groups:
        picture = {
            "kind": "cells",
            "rows": [
                {"name": name, "layers": [each.layer for each in row], "values": _norms(row)}
                for name, row in groups.items()
            ],
        }
        rows = [
            [each.name, measure(each.norm), measure(each.root_mean_square)]
            for row in groups.values()
            for each in row
        ]
        hint = "The norm of each tensor, from 0 to the largest of its row."
        heads = ["Tensor", "norm", "root mean square"]
        sections.append(_section("Layer by layer", hint, picture, heads, rows))
    if others:
        names = [each.name for each in others]
        picture = {"kind": "bars", "names": names, "values": _norms(others)}
        rows = [[each.name, measure(each.norm), measure(each.root_mean_square)] for each in others]
        heads = ["Tensor", "norm", "root mean square"]
        sections.append(_section("Outside the layers", "Norms.", picture, heads, rows))
    return _document("Norms", model, sections)


def _norms(row: Sequence[Norm]) -> list[float]:
    return [each.norm for each in row]


def compare(found: Difference) -> dict[str, Any]:
    """The tensors that differ, most first; then what only one file has, and the metadata."""
    differ = sorted((each for each in found.tensors if each.distance), key=_relative, reverse=True)
    sections = []
    if differ:
        picture = {
            "kind": "bars",
            "names": [each.name for each in differ[:60]],
            "values": [max(0.0, _relative(each)) for each in differ[:60]],
        }
        hint = "The norm of the difference by the norm of the first; the most different first."
        heads = ["Tensor", "types", "relative", "largest", "cosine"]
        sections.append(_section("Values", hint, picture, heads, list(map(_compared, differ))))
    other = [each for each in found.tensors if each.shapes[0] != each.shapes[1]]
    rows = [[each.name, *map(str, map(list, each.shapes))] for each in other]
    rows += [[name, "only here", ""] for name in found.only_first]
    rows += [[name, "", "only here"] for name in found.only_second]
    if rows:
        heads = ["Tensor", "first", "second"]
        sections.append(_section("Shapes", "Tensors without a match.", None, heads, rows))
    keys = [[key, _value(first), _value(second)] for key, first, second in found.metadata]
    if keys:
        heads = ["Key", "first", "second"]
        sections.append(_section("Metadata", "Keys whose values differ.", None, heads, keys))
    if not sections:
        sections.append(_section("No difference", "The same metadata and tensors.", None, [], []))
    return _document("Two models", " and ".join(found.names), sections)


def _relative(tensor: Compared) -> float:
    apart = tensor.distance
    return -1.0 if apart is None or apart.relative is None else apart.relative


def _compared(tensor: Compared) -> list[str]:
    apart = tensor.distance
    assert apart is not None
    numbers = (apart.relative, apart.largest, apart.cosine)
    types = " \u2192 ".join(dict.fromkeys(tensor.types))
    return [tensor.name, types, *("-" if value is None else measure(value) for value in numbers)]


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return beginning(one_line(value[: 2 * LONGEST]), LONGEST)
    return f"{count(len(value))} items" if hasattr(value, "__len__") else number(value)


def _section(
    title: str,
    hint: str,
    picture: dict[str, Any] | None,
    heads: list[str],
    rows: list[list[str]],
) -> dict[str, Any]:
    left_out = max(0, len(rows) - MOST_ROWS)
    return {
        "title": beginning(one_line(title), LONGEST),
        "hint": hint,
        "picture": picture,
        "heads": heads,
        "rows": [[one_line(text) for text in row] for row in rows[:MOST_ROWS]],
        "more": left_out,
    }


def _document(title: str, facts: str, sections: list[dict[str, Any]]) -> dict[str, Any]:
    return {"title": title, "facts": one_line(facts), "sections": sections}
