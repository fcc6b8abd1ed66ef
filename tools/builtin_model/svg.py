"""Small line charts as SVG, readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

COLOURS = ("#3b7dd8", "#d9662b", "#3a9d5d")
GREY = "#888888"
LEFT, RIGHT, TOP, BOTTOM = 46, 24, 34, 26

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One chart: a line for each name, and labels under the x axis."""

    title: str
    lines: dict[str, Points]
    ticks: Sequence[tuple[float, str]]
    unit: str = ""
    top: float | None = None
    """The upper end of the y axis; lines are cut off there."""


def write(
    panels: Sequence[Panel], columns: int, path: Path, width: int = 240, height: int = 150
) -> None:
    """Put the panels into a grid."""
    rows = -(-len(panels) // columns)
    parts = [
        f'<g transform="translate({i % columns * width} {i // columns * height})">'
        f"{_panel(panel, width, height)}</g>"
        for i, panel in enumerate(panels)
    ]
    size = f'viewBox="0 0 {columns * width} {rows * height}" width="{columns * width}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="10">'
    )
    path.write_text("\n".join([head, *parts, "</svg>"]) + "\n", encoding="utf-8")


def rounded_up(value: float) -> float:
    """The next number of one digit and zeros: a good end for an axis."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return math.ceil(value / unit) * unit


def _panel(panel: Panel, width: int, height: int) -> str:
    xs = [x for x, _ in panel.ticks] + [x for line in panel.lines.values() for x, _ in line]
    highest = panel.top or rounded_up(max(y for line in panel.lines.values() for _, y in line))
    x_low, x_span = min(xs), (max(xs) - min(xs)) or 1.0

    def x_at(x: float) -> float:
        return LEFT + (x - x_low) / x_span * (width - LEFT - RIGHT)

    def y_at(y: float) -> float:
        return height - BOTTOM - min(y, highest) / highest * (height - TOP - BOTTOM)

    parts = [_text(LEFT, 14, panel.title, "start", bold=True)]
    for share in (0, 0.5, 1):
        y = y_at(share * highest)
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{width - RIGHT}" stroke="{GREY}" stroke-width=".4"/>'
        )
        parts.append(_text(LEFT - 4, y + 3, f"{share * highest:.3g}{panel.unit}", "end"))
    parts += [_text(x_at(x), height - BOTTOM + 13, label, "middle") for x, label in panel.ticks]
    for number, (name, line) in enumerate(panel.lines.items()):
        parts.append(_line([(x_at(x), y_at(y)) for x, y in line], COLOURS[number]))
        if len(panel.lines) > 1:
            parts.append(_text(width - RIGHT, 14 + 12 * number, name, "end", COLOURS[number]))
    return "".join(parts)


def _line(points: Points, colour: str) -> str:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = ""
    if len(points) < 20:
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in points)
    stroke = f'fill="none" stroke="{colour}" stroke-width="1.4"'
    return f'<g fill="{colour}"><path d="M{path}" {stroke}/>{dots}</g>'


def _text(
    x: float, y: float, text: str, anchor: str, colour: str = GREY, bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}"{weight}>{escape(text)}</text>'
