"""`tune --grid`: the losses of variants against what varies, their size and their time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmparams_cli.analysis.tuning import Rung, best_rung
from llmparams_cli.render.plots.sheet import (
    DEEP,
    FAINT,
    MARGIN,
    SIZE,
    Sheet,
    inches,
    legend_rows,
    shortened,
)
from llmparams_cli.render.plots.tuning import FOOT, HEAD, HELD, LEFT, RING, WIDTH
from llmparams_cli.render.transfer import time_text
from llmparams_cli.render.tuning.words import values_text
from llmparams_cli.text.units import count_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT, PANELS, BETWEEN = 2.9, 3, 0.35  # inches and number of the plots; what is between them
LABELS = 12  # points that have their values beside them
FAR = 8  # times the lowest: from there on, an axis is logarithmic
TRAIN: dict[str, Any] = {"color": DEEP, "linewidth": 1.2, "marker": "s", "markersize": 3.5}


def ladder(rungs: Sequence[Rung], axis: str) -> Sheet:
    """Both losses against what varies, against the parameters, and against the time."""
    best = best_rung(rungs)
    sheet = Sheet(WIDTH, HEAD + HEIGHT + FOOT, _title(rungs, axis), _facts(rungs))
    entries = [
        ("held out", HELD | {"markevery": [1]}),
        ("what it learned from", TRAIN | {"markevery": [1]}),
        *([("best", RING)] if best else []),
    ]
    sheet.legend(MARGIN + 0.5, legend_rows(entries, WIDTH - 2 * MARGIN))
    across = (WIDTH - LEFT - MARGIN - (PANELS - 1) * BETWEEN) / PANELS
    places = list(_places(rungs, axis))
    low, high = _heights(rungs)
    for column, (label, at, names) in enumerate(places):
        axes = sheet.axes(LEFT + column * (across + BETWEEN), HEAD, across, HEIGHT)
        axes.set_ylim(low, high)
        axes.grid(visible=True, axis="y")
        axes.set_xlabel(shortened(label, 30), labelpad=2)
        _scale(axes, column, at, names, across)
        _curves(axes, column, rungs, at, axis)
        if column:
            axes.tick_params(labelleft=False)
            _names(axes, rungs, at, axis)
        else:
            axes.set_ylabel("loss (nats a token)")
    return sheet


def _title(rungs: Sequence[Rung], axis: str) -> str:
    return f"{len(rungs)} variants of a model, by {shortened(axis, 30)}"


def _facts(rungs: Sequence[Rung]) -> str:
    best = best_rung(rungs)
    if best is None:
        return "the loss ran away for all of them"
    lost = sum(not math.isfinite(rung.loss) for rung in rungs)
    told = f"best: {values_text(best.values)}, {count_text(best.parameters)} parameters"
    return f"{told}, held-out loss {best.loss:.3f}" + (f"; {lost} ran away" if lost else "")


def _places(
    rungs: Sequence[Rung], axis: str
) -> Iterator[tuple[str, list[float], Mapping[float, str]]]:
    """For each plot what is across, where every variant stands there, and names of places."""
    texts = [rung.values.get(axis, "") for rung in rungs]
    try:
        at = list(map(float, texts))
        if not all(map(math.isfinite, at)):
            raise ValueError("inf and nan are names here")
    except ValueError:
        choices = list(dict.fromkeys(texts))
        at = [float(choices.index(text)) for text in texts]
    yield axis, at, dict(zip(at, texts, strict=True))
    sizes = {float(rung.parameters): count_text(rung.parameters) for rung in rungs}
    yield "parameters", [float(rung.parameters) for rung in rungs], sizes
    times = {rung.seconds: time_text(rung.seconds) for rung in rungs}
    yield "time", [rung.seconds for rung in rungs], times


def _heights(rungs: Sequence[Rung]) -> tuple[float, float]:
    seen = [x for rung in rungs for x in (rung.loss, rung.train) if math.isfinite(x)] or [0.0, 1.0]
    low, high = min(seen), max(seen)
    room = 0.08 * (high - low) or 0.1 * abs(high) or 0.1
    return low - room, high + 1.6 * room


def _scale(
    axes: Axes, column: int, at: Sequence[float], names: Mapping[float, str], across: float
) -> None:
    """Horizontal limits, and the names of places as far as they have room."""
    low, high = min(at), max(at)
    if low > 0 and high / low >= FAR and (column or len(at) > 2):
        axes.set_xscale("log")
        room = (high / low) ** 0.1
        axes.set_xlim(low / room, high * room)
    else:
        room = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_xlim(low - room, high + room)
    axes.set_xticks(*_ticks(axes, names, across))
    axes.set_xticks([], minor=True)


def _ticks(axes: Axes, names: Mapping[float, str], across: float) -> tuple[list[float], list[str]]:
    """The places and names that do not cover each other, both ends first."""
    spread = axes.transAxes.inverted().transform
    taken: list[tuple[float, float]] = []
    found: dict[float, str] = {}
    ordered = sorted(names)
    for at in (ordered[0], ordered[-1], *ordered):
        name = shortened(names[at], 12)
        middle = float(spread(axes.transData.transform((at, 0)))[0]) * across
        half = inches(name, SIZE) / 2 + 0.03
        if at not in found and all(
            middle + half <= low or middle - half >= high for low, high in taken
        ):
            taken.append((middle - half, middle + half))
            found[at] = name
    return list(found), list(found.values())


def _curves(axes: Axes, column: int, rungs: Sequence[Rung], at: Sequence[float], axis: str) -> None:
    """Both losses, and lines between variants that differ in nothing but the axis."""
    groups: dict[str, list[int]] = {}
    for number, rung in enumerate(rungs):
        if math.isfinite(rung.loss):
            others = {name: value for name, value in rung.values.items() if name != axis}
            groups.setdefault(values_text(others), []).append(number)
    for group, members in enumerate(groups.values()):
        members.sort(key=lambda number: at[number])
        xs = [at[number] for number in members]
        for name, style in (("train", TRAIN), ("held-out", HELD)):
            ys = [rungs[n].train if name == "train" else rungs[n].loss for n in members]
            axes.plot(xs, ys, gid=f"{name}-{column}-{group}", **style)
    best = best_rung(rungs)
    if best is not None:
        place = next(n for n, rung in enumerate(rungs) if rung is best)
        axes.plot(at[place], best.loss, gid=f"best-{column}", zorder=4, **RING)


def _names(axes: Axes, rungs: Sequence[Rung], at: Sequence[float], axis: str) -> None:
    """The values beside the points, where there are few."""
    if len(rungs) > LABELS:
        return
    for rung, x in zip(rungs, at, strict=True):
        if math.isfinite(rung.loss):
            axes.annotate(
                shortened(rung.values.get(axis, ""), 8),
                (x, rung.loss),
                (0, 8),
                textcoords="offset points",
                ha="center",
                color=FAINT,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
            )
