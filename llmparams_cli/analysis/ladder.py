"""Several quantisations of a model side by side: size against quality and speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmparams_cli.analysis.divergence import Beside, mean

CLEAR = 2.0  # standard errors by which one is nearer to the original than another
NOISE = 0.1  # the share by which two measurements of one speed may differ


@dataclass(frozen=True)
class Rung:
    """A quantisation of the model: its file type and size (bytes), its bits per weight, and what it
    makes of a text beside the original.
    """

    type: str
    size: int
    bits_per_weight: float
    beside: Beside

    @property
    def distance(self) -> float:
        """How far it is from the original: the mean KL divergence."""
        return self.beside.divergence.mean.value

    @property
    def speed(self) -> float:
        """Tokens that it writes in a second."""
        return self.beside.speeds[1]


def beaten(rungs: Sequence[Rung]) -> dict[str, str]:
    """The types that another beats in everything, each with the nearest to the original of those:
    it is no larger, clearly nearer to the original, and no slower.
    """
    found = {}
    for rung in rungs:
        better = [other for other in rungs if _beats(other, rung)]
        if better:
            found[rung.type] = min(better, key=lambda other: other.distance).type
    return found


def _beats(other: Rung, rung: Rung) -> bool:
    if other.size > rung.size or other.speed < rung.speed * (1 - NOISE):
        return False
    # Both were measured at the same tokens.
    gap = mean(rung.beside.divergence.at.divergence - other.beside.divergence.at.divergence)
    return gap.value > CLEAR * gap.error


def best(rungs: Sequence[Rung], size: int) -> Rung | None:
    """Of those of at most `size` bytes, the one nearest to the original."""
    fitting = [rung for rung in rungs if rung.size <= size]
    return min(fitting, key=lambda rung: rung.distance, default=None)
