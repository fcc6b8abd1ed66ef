"""Statistics of weights and biases, from values that come in slices.

Values are float32 arrays from numpy; sums are made in float64. What is not finite (NaN, infinity)
is counted and left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float32, float64
    from numpy.typing import NDArray

    Slices = Iterable[NDArray[float32]]

BINS = 60
OUTLIER = 6.0  # standard deviations from the mean
MOST_EXTREME = 5


@dataclass(frozen=True)
class Extreme:
    """A value far from 0, and its place in the order in which the tensor is stored."""

    place: int
    value: float


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each of equal steps from `low` to `high`, and outside of them."""

    low: float
    high: float
    counts: tuple[int, ...]
    below: int
    above: int


@dataclass(frozen=True)
class Statistics:
    """What the values of a tensor are like. `beyond` counts those more than `OUTLIER` standard
    deviations from the mean; `extremes` are the largest by magnitude.
    """

    count: int
    not_finite: int
    zeros: int
    minimum: float
    maximum: float
    mean: float
    deviation: float
    norm: float
    beyond: int
    extremes: tuple[Extreme, ...]
    histogram: Histogram

    @property
    def root_mean_square(self) -> float:
        return self.norm / math.sqrt(self.count) if self.count else 0.0


@dataclass
class _Moments:
    """Sums over the slices so far (Chan, Golub and LeVeque 1979)."""

    count: int = 0
    seen: int = 0
    zeros: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0  # of the distances from the mean
    norm_squared: float = 0.0
    extremes: list[Extreme] = field(default_factory=list)

    def add(self, part: NDArray[float32]) -> None:
        import numpy as np

        at, self.seen = self.seen, self.seen + part.size
        self._keep_extremes(part, at)
        part = finite(part)
        if not part.size:
            return
        wide = part.astype(np.float64)
        mean = float(wide.mean())
        self.norm_squared += float(np.dot(wide, wide))
        wide -= mean
        count, apart = self.count + part.size, mean - self.mean
        self.squares += float(np.dot(wide, wide)) + apart**2 * self.count * part.size / count
        self.mean += apart * part.size / count
        self.count = count
        self.zeros += part.size - int(np.count_nonzero(part))
        self.minimum = min(self.minimum, float(part.min()))
        self.maximum = max(self.maximum, float(part.max()))

    @property
    def deviation(self) -> float:
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    def _keep_extremes(self, part: NDArray[float32], at: int) -> None:
        import numpy as np

        sizes = np.abs(part)
        if not np.isfinite(sizes).all():
            sizes[~np.isfinite(sizes)] = -1.0
        if len(self.extremes) == MOST_EXTREME:
            places = np.flatnonzero(sizes > abs(self.extremes[-1].value))  # mostly none
        else:
            kept = min(MOST_EXTREME, part.size)
            places = np.flatnonzero(sizes >= np.partition(sizes, -kept)[-kept])
        places = places[np.argsort(-sizes[places], kind="stable")[:MOST_EXTREME]]
        found = [Extreme(at + int(i), float(part[i])) for i in places if sizes[i] >= 0]
        found += self.extremes
        found.sort(key=lambda each: (-abs(each.value), each.place))
        self.extremes = found[:MOST_EXTREME]


def statistics(slices: Callable[[], Slices]) -> Statistics:
    """Describe a tensor; `slices` begins to read its values anew: they are read twice."""
    moments = _Moments()
    for part in slices():
        moments.add(part)
    if not moments.count:
        moments.minimum = moments.maximum = 0.0
    reach = OUTLIER * moments.deviation
    low = max(moments.minimum, moments.mean - reach)
    high = min(moments.maximum, moments.mean + reach)
    counts, below, above = _counted(slices(), low, high)
    return Statistics(
        moments.count,
        moments.seen - moments.count,
        moments.zeros,
        moments.minimum,
        moments.maximum,
        moments.mean,
        moments.deviation,
        math.sqrt(moments.norm_squared),
        below + above,
        tuple(moments.extremes),
        Histogram(low, high, counts, below, above),
    )


def _counted(slices: Slices, low: float, high: float) -> tuple[tuple[int, ...], int, int]:
    import numpy as np

    total, below, above = np.zeros(BINS, np.int64), 0, 0
    span = high - low or 1.0  # values that are all the same lie in the first step
    for part in slices:
        wide = finite(part).astype(np.float64)
        below += int((wide < low).sum())
        above += int((wide > high).sum())
        steps = (wide[(wide >= low) & (wide <= high)] - low) / span * BINS
        total += np.bincount(np.minimum(steps.astype(np.int64), BINS - 1), minlength=BINS)
    return tuple(int(count) for count in total), below, above


def norm(slices: Slices) -> tuple[float, int]:
    """The Euclidean norm of all finite values, and how many there are."""
    import numpy as np

    squares, count = 0.0, 0
    for part in slices:
        wide: NDArray[float64] = finite(part).astype(np.float64)
        squares += float(np.dot(wide, wide))
        count += wide.size
    return math.sqrt(squares), count


@dataclass(frozen=True)
class Distance:
    """How far the values of one tensor are from those of another of the same shape.

    `relative` is the norm of the difference by the norm of the first; `cosine` is that of the angle
    between both. Either is None where a norm is 0.
    """

    largest: float
    relative: float | None
    cosine: float | None


def distance(first: Slices, second: Slices) -> Distance:
    """Compare two tensors, slice by slice; a pair of which one is not finite is left out."""
    import numpy as np

    largest = a_squared = b_squared = apart = product = 0.0
    for left, right in zip(first, second, strict=True):
        both = np.isfinite(left) & np.isfinite(right)
        a, b = left[both].astype(np.float64), right[both].astype(np.float64)
        difference = a - b
        if difference.size:
            largest = max(largest, float(np.abs(difference).max()))
        a_squared += float(np.dot(a, a))
        b_squared += float(np.dot(b, b))
        product += float(np.dot(a, b))
        apart += float(np.dot(difference, difference))
    relative = math.sqrt(apart / a_squared) if a_squared else (0.0 if not b_squared else None)
    both_norms = math.sqrt(a_squared) * math.sqrt(b_squared)
    cosine = min(1.0, product / both_norms) if both_norms else None
    return Distance(largest, relative, cosine)


def finite(part: NDArray[float32]) -> NDArray[float32]:
    """The values without NaN and infinity."""
    import numpy as np

    is_finite = np.isfinite(part)
    return part if is_finite.all() else part[is_finite]
