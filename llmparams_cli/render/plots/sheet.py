"""Shared by all plots: their style, a layout in inches, and the bytes of a file.

Text by a model is untrusted here too: nothing in it is read as mathematics, as a direction
of writing or as a line break, and an SVG refers to nothing outside itself.
"""

from __future__ import annotations

import io
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmparams_cli import APP
from llmparams_cli.text.safe import in_xml
from llmparams_cli.text.shorten import ELLIPSIS, beginning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

DPI = 150
SIZE = 8.0  # points
TITLE, SUBTITLE = 11.0, 8.5
INK, FAINT = "#222222", "#767676"
# Light and dark of one colour, and one that stands out: they differ in grey as well, and to
# eyes that confuse red and green (Okabe and Ito 2008).
PALE, DEEP, MARK, BAND = "#a6cee3", "#0b4f8a", "#d55e00", "#fdebdd"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = "osD^vPX"  # to tell the series apart without colours
MARGIN = 0.3  # inches at every edge
ENTRY = 0.55  # inches of a legend's entry beside its name
LINE = 0.2  # inches from one line of text to the next
# Fonts after the first draw the characters it lacks, if they are installed.
FONTS = (
    *("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP"),
    *("Noto Sans KR", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("Droid Sans Fallback", "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Noto Sans Arabic", "Noto Sans Hebrew"),
    *("Noto Sans Devanagari", "Noto Sans Thai", "Nirmala UI", "Arial Unicode MS", "Unifont"),
    *("Noto Emoji", "Symbola", "Segoe UI Emoji", "Segoe UI Symbol", "Apple Symbols"),
)
STYLE: dict[str, Any] = {
    "font.size": SIZE,
    "text.parse_math": False,  # a token may be `$`
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.solid_capstyle": "butt",
    "svg.fonttype": "none",
    "svg.hashsalt": APP,  # without it, ids are random
}
_DOCTYPE = re.compile(rb"<!DOCTYPE[^>]*>\s*")  # names a file on w3.org


def load() -> None:
    """Import matplotlib, without warnings on stderr and without a window system."""
    import logging
    import warnings
    from importlib import import_module

    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    os.environ.pop("MPLBACKEND", None)
    with warnings.catch_warnings():
        # From combinations of its version with those of its dependencies.
        warnings.simplefilter("ignore", DeprecationWarning)
        import_module("matplotlib.figure")


@contextmanager
def style() -> Iterator[None]:
    """The style in which a plot is made, whatever the user's matplotlib configuration is."""
    import warnings

    import matplotlib
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    families = [name for name in FONTS if name in installed]
    defaults = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"}
    with warnings.catch_warnings(), matplotlib.rc_context(defaults):
        warnings.simplefilter("ignore", DeprecationWarning)
        # A character that no font has is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph|Matplotlib currently does not support")
        matplotlib.rcParams.update({**STYLE, "font.family": [*families, "sans-serif"]})
        yield


class Sheet:
    """A white sheet; its parts are placed in inches from the left and the top edge."""

    def __init__(self, width: float, height: float, title: str, subtitle: str) -> None:
        from matplotlib.figure import Figure

        self.width, self.height, self.title = width, height, in_xml(title)
        self.figure = Figure(figsize=(width, height), facecolor="white")
        room = width - 2 * MARGIN
        first = fitting(title, room, TITLE * 1.1)  # bold is wider
        self.text(MARGIN, MARGIN, first, fontsize=TITLE, fontweight="bold", gid="title")
        second = fitting(subtitle, room, SUBTITLE)
        self.text(MARGIN, MARGIN + 0.24, second, fontsize=SUBTITLE, color=FAINT, gid="subtitle")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """An empty plot."""
        bottom = self.height - top - height
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def text(self, left: float, top: float, text: str, **style: Any) -> Text:
        """A line whose upper left corner is there, unless `ha` or `va` says otherwise."""
        place = left / self.width, 1 - top / self.height
        return self.figure.text(*place, in_xml(text), **{"va": "top", **style})

    def legend(self, top: float, rows: Sequence[Sequence[tuple[str, dict[str, Any]]]]) -> None:
        """Names with the marks they stand for, which are given as Line2D takes them."""
        from matplotlib.lines import Line2D

        for number, row in enumerate(rows):
            left, middle = MARGIN, top + (number + 0.4) * LINE
            for name, mark in row:
                dot = mark.get("linestyle") == ""
                ends = (left + 0.11,) if dot else (left, left + 0.11, left + 0.22)
                across = [end / self.width for end in ends]
                height = [1 - middle / self.height] * len(ends)
                self.figure.add_artist(Line2D(across, height, **mark))
                self.text(left + 0.3, middle, name, va="center_baseline", gid="legend")
                left += ENTRY + inches(name, SIZE)

    def image(self, format: str) -> bytes:
        """The bytes of the file, which are the same for the same content."""
        buffer = io.BytesIO()
        # None leaves an entry out; the date and the version would differ from run to run.
        unset = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        metadata = {**unset, "Title": self.title} if format == "svg" else {"Title": self.title}
        self.figure.savefig(buffer, format=format, dpi=DPI, metadata=metadata)
        data = buffer.getvalue()
        return _DOCTYPE.sub(b"", data, count=1) if format == "svg" else data


def legend_rows(
    entries: Sequence[tuple[str, dict[str, Any]]], width: float
) -> list[list[tuple[str, dict[str, Any]]]]:
    """The entries of a legend, in rows of at most `width` inches."""
    rows: list[list[tuple[str, dict[str, Any]]]] = []
    left = width
    for name, mark in entries:
        wide = ENTRY + inches(name, SIZE)
        if left + wide > width:
            rows.append([])
            left = 0.0
        rows[-1].append((name, mark))
        left += wide
    return rows


def quoted(text: str, most: int = 16) -> str:
    """A token in quotes, cut to `most` characters."""
    return f'"{shortened(text, most - 2)}"'


def shortened(text: str, most: int) -> str:
    """One line of at most `most` characters."""
    return beginning(in_xml(text), most)


def fitting(text: str, room: float, size: float) -> str:
    """The text cut to `room` inches in letters of `size` points."""
    text = in_xml(text)
    if inches(text, size) <= room:
        return text
    text = text[: int(room * 72 / size / 0.6) + 1]
    while text and inches(text, size) > room:
        text = text[:-1]
    return text[:-1] + ELLIPSIS


def inches(text: str, size: float) -> float:
    """Estimate the width of a line in letters of `size` points."""
    # On average, a letter is 0.6 of its size wide, and an East Asian character as wide as high.
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return (0.6 * len(text) + 0.4 * wide) * size / 72
