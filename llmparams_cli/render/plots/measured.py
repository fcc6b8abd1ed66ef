"""Shared by the plots of a comparison: the numbers to draw, titles, dots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmparams_cli.analysis.comparison import UNPICTURED, Variant
from llmparams_cli.render.plots.sheet import SIZE, fitting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNITS = {"drawn_entropy": "bits", "logprob": "nats"}
LONGEST_NAME = 60  # characters of a variant's name
LARGEST = 1e100  # what is beyond cannot be drawn to scale
MEAN, ANSWER = "the mean of the answers", "an answer"


def metric_names(variants: Sequence[Variant]) -> list[str]:
    """The metrics to draw that have a number for any variant, in the order of the table."""
    means = [variant.means() for variant in variants]
    names = [name for name in means[0] if name not in UNPICTURED]
    return [name for name in names if any(drawable(mean[name]) is not None for mean in means)]


def drawable(value: float | None) -> float | None:
    """The number, or None if it is missing or too large for a scale."""
    return value if value is not None and abs(value) < LARGEST else None


def samples_of(variant: Variant, name: str) -> list[float]:
    """The metric of each sample; empty for one that is measured over all of them."""
    values = (drawable(sample.metrics.get(name)) for sample in variant.samples)
    return [value for value in values if value is not None]


def titles(variants: Sequence[Variant]) -> tuple[str, str]:
    """How many variants and answers; seeds and prompts."""
    samples = variants[0].samples
    prompts = list(dict.fromkeys(sample.prompt for sample in samples))
    each = len(samples) // len(prompts)
    answers = f"{each} answers each" if each > 1 else "one answer each"
    seeds = sorted({sample.seed for sample in samples})
    drawn = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    asked = f'"{prompts[0]}"' if len(prompts) == 1 else f"to each of {len(prompts)} prompts"
    return f"{len(variants)} variants, {answers}", f"{drawn}, {asked}"


def name_metric(axes: Axes, name: str, room: float) -> None:
    """Write a metric and its unit above its plot, in so many inches."""
    unit = f", {UNITS[name]}" if name in UNITS else ""
    style = {"fontsize": SIZE + 1, "fontweight": "bold", "loc": "left", "pad": 6}
    axes.set_title(fitting(name + unit, room, SIZE * 1.2), **style)


def dots(color: str) -> dict[str, Any]:
    """How single answers look."""
    return {"color": color, "linestyle": "", "marker": "o", "markersize": 3.5, "alpha": 0.45,
            "markeredgewidth": 0, "clip_on": False}  # fmt: skip
