"""Numbers and lists in words, as all views of a model's inside write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmparams_cli.analysis.inside import Norm
from llmparams_cli.models.anatomy import ORDER

MOST_RANGES = 6


def count(value: int) -> str:
    """A whole number, with commas."""
    return f"{value:,}"


def number(value: Any) -> str:
    """A value of the metadata: 8,192; 0.949999988079071, stored in 32 bits, is 0.95; yes, no."""
    if isinstance(value, bool):
        return yes_no(value)
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        short = f"{value:.7g}"
        return count(int(value)) if abs(value) < 1e12 and value == int(value) else short
    return str(value)


def yes_no(value: bool) -> str:
    """A switch in words."""
    return "yes" if value else "no"


def ranges(numbers: Sequence[int]) -> str:
    """Rising numbers, those in a row as a range: 0–2, 4, 6–9."""
    runs: list[list[int]] = []
    for each in numbers:
        if runs and each == runs[-1][-1] + 1:
            runs[-1][1:] = [each]
        else:
            runs.append([each])
    shown = [str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs]
    return ", ".join(shown[:MOST_RANGES]) + (", …" if len(shown) > MOST_RANGES else "")


def measure(value: float) -> str:
    """A value of a weight, or of a norm: four significant digits."""
    return f"{value:.4g}"


def by_layer(norms: Sequence[Norm]) -> tuple[dict[str, list[Norm]], list[Norm]]:
    """The norms inside the layers by tensor (its name without the layer), in the order in which
    kinds are shown, layers in a row; and those outside of the layers.
    """
    groups: dict[str, list[Norm]] = {}
    inside = [norm for norm in norms if norm.layer is not None]
    for norm in sorted(inside, key=lambda norm: (ORDER[norm.kind], norm.is_bias, norm.layer)):
        name = norm.name.partition("blk.")[2].partition(".")[2]
        groups.setdefault(f"{norm.tower}.{name}" if norm.tower else name, []).append(norm)
    return groups, [norm for norm in norms if norm.layer is None]
