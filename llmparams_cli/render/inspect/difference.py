"""Two model files side by side: what differs, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmparams_cli.analysis.inside import Compared, Difference
from llmparams_cli.env import Environment
from llmparams_cli.models.cursor import Array
from llmparams_cli.render.bars import bar
from llmparams_cli.render.inspect.words import count, measure, number
from llmparams_cli.render.styles import BOLD, CYAN, DIM
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import beginning
from llmparams_cli.text.width import cells, cut_middle, pad

MOST_ROWS = 24  # of tensors, the most different first; --json has all
MOST_KEYS = 40
SHORTEST_NAME, LONGEST_NAME = 8, 36
NONE = "-"


def show(env: Environment, found: Difference, *, color: str) -> None:
    """What is alike, the tensors that differ most, and the metadata."""
    view = View(env, color)
    view.line(f"{_text(found.names[0], 200)}", BOLD)
    view.line(f"{_text(found.names[1], 200)}", BOLD)
    if found.is_identical:
        view.line("no difference: the same metadata and the same tensors")
        return
    other = [tensor for tensor in found.tensors if tensor.shapes[0] != tensor.shapes[1]]
    differ = [tensor for tensor in found.tensors if tensor.distance]
    view.line(
        f"{count(len(found.tensors))} tensors in both: "
        f"{count(len(found.tensors) - len(other) - len(differ))} the same, {count(len(differ))} "
        f"with other values, {count(len(other))} of other shape"
    )
    for title, names in (("the first", found.only_first), ("the second", found.only_second)):
        if names:
            rest = f", … {count(len(names) - 6)} more" if len(names) > 6 else ""
            listed = ", ".join(_text(name, 60) for name in names[:6])
            view.line(f"only in {title}, {count(len(names))}: {listed}{rest}")
    _tensors(view, differ)
    _shapes(view, other)
    _metadata(view, found.metadata)
    env.stdout.flush()


def _tensors(view: View, tensors: Sequence[Compared]) -> None:
    if not tensors:
        return
    ranked = sorted(tensors, key=_relative, reverse=True)[:MOST_ROWS]
    most = _relative(ranked[0])
    types = [" → ".join(dict.fromkeys(tensor.types)) for tensor in ranked]
    type_width = max(map(len, types))
    room = max(SHORTEST_NAME, min(LONGEST_NAME, view.width - type_width - 36))
    names = [cut_middle(_text(tensor.name, 200), room, view.env.stdout) for tensor in ranked]
    width = max(map(cells, names))
    length = max(0, min(16, view.width - width - type_width - 38))
    view.line()
    view.line("difference: its norm by the norm of the first, the largest, the cosine", BOLD)
    head = (
        f"  {pad('', width)}  {pad('', type_width)} {'relative':>10} {'largest':>10} {'cosine':>8}"
    )
    view.line(head, DIM)
    for name, type, tensor in zip(names, types, ranked, strict=True):
        apart = tensor.distance
        assert apart is not None
        relative = NONE if apart.relative is None else measure(apart.relative)
        cosine = NONE if apart.cosine is None else f"{apart.cosine:.5f}"
        numbers = f"{relative:>10} {measure(apart.largest):>10} {cosine:>8} "
        picture = bar(_relative(tensor) / most if most else 0.0, length, view.env.stdout)
        view.spans(
            [(f"  {pad(name, width)}  {pad(type, type_width)} {numbers}", ""), (picture, CYAN)]
        )
    if len(tensors) > len(ranked):
        view.line(f"  … {count(len(tensors) - len(ranked))} more, which differ less", DIM)


def _relative(tensor: Compared) -> float:
    apart = tensor.distance
    return -1.0 if apart is None or apart.relative is None else apart.relative


def _shapes(view: View, tensors: Sequence[Compared]) -> None:
    if tensors:
        view.line()
        view.line("other shapes", BOLD)
    for tensor in tensors[:MOST_ROWS]:
        shapes = " → ".join(str(list(shape)) for shape in tensor.shapes)
        view.line(f"  {_text(tensor.name, LONGEST_NAME)}  {shapes}")
    if len(tensors) > MOST_ROWS:
        view.line(f"  … {count(len(tensors) - MOST_ROWS)} more", DIM)


def _metadata(view: View, entries: Sequence[tuple[str, Any, Any]]) -> None:
    if entries:
        view.line()
        view.line("metadata", BOLD)
    room = max(16, (view.width - LONGEST_NAME - 8) // 2)
    for key, first, second in entries[:MOST_KEYS]:
        values = " → ".join(_value(value, room) for value in (first, second))
        view.line(f"  {_text(key, LONGEST_NAME)}  {values}")
    if len(entries) > MOST_KEYS:
        view.line(f"  … {count(len(entries) - MOST_KEYS)} more: --json has all", DIM)


def _value(value: Any, most: int) -> str:
    if value is None:
        return NONE
    if isinstance(value, (list, Array)):
        return f"{count(len(value))} items"
    return _text(number(value), most)


def _text(text: str, most: int) -> str:
    return beginning(one_line(text[: 4 * most]), most)
