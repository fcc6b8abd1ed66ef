"""Bars and sparklines made of characters: Unicode blocks, or ASCII."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TextIO

from llmparams_cli.text.safe import encodes

EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "_.-=+*%#"


def bar(share: float, width: int, stream: TextIO) -> str:
    """A horizontal bar that fills `share` (0 to 1) of `width` columns, padded to that width."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    text = EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8].strip()
    if not encodes(EIGHTHS, stream):
        text = "#" * round(share * width)
    return f"{text:<{width}}"


def spark(values: Sequence[float], width: int, stream: TextIO) -> str:
    """A sparkline, scaled from 0 to its highest point. If there are more values than columns,
    neighbours are averaged.
    """
    return sparks([values], width, stream)[0]


def sparks(
    rows: Sequence[Sequence[float]], width: int, stream: TextIO, *, least: float = 0.0
) -> list[str]:
    """Sparklines on one scale, from 0 to the highest point of all, but at least to `least`."""
    means = [_averaged(values, width) for values in rows]
    levels = LEVELS if encodes(LEVELS, stream) else ASCII_LEVELS
    top = max(least, *(mean for row in means for mean in row), 0.0) or 1.0
    return ["".join(levels[round(mean / top * (len(levels) - 1))] for mean in row) for row in means]


def _averaged(values: Sequence[float], width: int) -> list[float]:
    """The values, or the means of neighbours if there are more than `width`."""
    columns = max(1, min(width, len(values)))
    edges = [round(column * len(values) / columns) for column in range(columns + 1)]
    parts = [values[low:high] for low, high in pairwise(edges)]
    return [sum(part) / len(part) for part in parts if part]
