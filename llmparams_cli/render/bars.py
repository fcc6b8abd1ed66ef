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


def spark(values: Sequence[float], width: int, stream: TextIO, *, top: float = 0.0) -> str:
    """A sparkline, scaled from 0 to the largest value or `top`, whichever is more. If there are
    more values than columns, neighbours are averaged.
    """
    if not values:
        return ""
    columns = max(1, min(width, len(values)))
    edges = [round(column * len(values) / columns) for column in range(columns + 1)]
    parts = [values[low:high] for low, high in pairwise(edges)]
    means = [sum(part) / len(part) for part in parts]
    levels = LEVELS if encodes(LEVELS, stream) else ASCII_LEVELS
    top = max(top, *means) or 1.0
    return "".join(levels[round(mean / top * (len(levels) - 1))] for mean in means)
