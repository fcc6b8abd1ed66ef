"""What --over lets vary: numbers between two bounds, and choices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from llmparams_cli.errors import UsageError
from llmparams_cli.params.kinds import Number
from llmparams_cli.params.settings import Assignment, Origin, Source
from llmparams_cli.params.spec import Scope
from llmparams_cli.presets import values
from llmparams_cli.presets.values import Target

OVER = Origin(Source.FLAG, "--over")
PRESET, SYSTEM = "preset", "system"  # what may vary beside parameters
DIGITS = 3  # of a range's width that numbers are rounded to: nobody wants temperature 0.7316004
BETWEEN = ".."
EXAMPLE = "--over temperature=0.1..1.5, or --over preset=A,B"
Point = dict[str, str | float | int]  # a value for every axis, or for those with an effect


@dataclass(frozen=True)
class Axis:
    """One thing that varies: over `choices`, or if there are none, from `low` to `high`. `target`
    is its parameter, if it is one, and `read` what each choice means: files are read once.
    """

    name: str
    target: Target | None = None
    choices: tuple[str, ...] = ()
    read: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    integer: bool = False

    @property
    def size(self) -> float:
        """How many values there are; infinite for a range of broken numbers."""
        if self.choices:
            return len(self.choices)
        return self.high - self.low + 1 if self.integer else math.inf

    def values(self) -> Sequence[str | int]:
        """All values, if their number is finite."""
        return self.choices or range(int(self.low), int(self.high) + 1)

    def rounded(self, value: float) -> float:
        """A number with as many digits as matter in this range, and still in it."""
        digits = DIGITS - 1 - math.floor(math.log10(self.high - self.low))
        return min(max(round(value, digits), self.low), self.high)

    def assignment(self, point: Point) -> Assignment:
        """The parameter's value at a point, which has one."""
        assert self.target is not None
        value: Any = point[self.name]
        if self.choices:
            value = self.read[self.choices.index(value)]
        return Assignment(self.target.param.name, value, OVER, self.target.when_thinking)


def size(axes: Sequence[Axis]) -> float:
    """How many points there are."""
    return math.prod(axis.size for axis in axes)


def points(axes: Sequence[Axis]) -> Iterator[Point]:
    """All points of axes that are finite."""
    for chosen in product(*(axis.values() for axis in axes)):
        yield dict(zip((axis.name for axis in axes), chosen, strict=True))


def samples(axes: Sequence[Axis]) -> Iterator[Point]:
    """Points in which every axis has each of its choices, or both its ends, once: what does not go
    at all, or has no effect at all, shows in them.
    """
    ends = {axis.name: axis.choices or (axis.low, axis.high) for axis in axes}
    last = {name: both[-1] for name, both in ends.items()}
    yield dict(last)
    for name, others in ends.items():
        yield from ({**last, name: value} for value in others[:-1])


def key(point: Mapping[str, str | float | int]) -> tuple[tuple[str, str | float | int], ...]:
    """Tells equal points."""
    return tuple(sorted(point.items()))


def read_axes(texts: Sequence[str], directory: Path) -> list[Axis]:
    """Read every --over NAME=LOW..HIGH or NAME=A,B; raises UsageError."""
    found: dict[str, Axis] = {}
    for text in texts:
        axis = _axis(text, directory)
        if axis.name in found:
            raise UsageError(f"--over {axis.name} is given twice", "name all its values in one")
        found[axis.name] = axis
    if not found:
        raise UsageError("nothing varies", EXAMPLE)
    return list(found.values())


def _axis(text: str, directory: Path) -> Axis:
    name, listed = values.pair(text)
    if not listed:
        raise UsageError(f"--over {text!r} has no values", EXAMPLE)
    if name in (PRESET, SYSTEM):
        return Axis(name, choices=_choices(name, listed))
    target = values.target(name, OVER.place)
    _refuse_unsuitable(target)
    if isinstance(target.param.kind, Number) and BETWEEN in listed:
        return _range(target, target.param.kind, listed, directory)
    choices = _choices(target.name, listed)
    place = f"{OVER.place} {target.name}"
    read = tuple(values.given(target.param, [choice], directory, place) for choice in choices)
    for number, value in enumerate(read):
        if value in read[:number]:
            same = choices[read.index(value)]
            raise UsageError(
                f"{place}: {same} and {choices[number]} are the same", "name each value once"
            )
    return Axis(target.name, target, choices, read)


def _refuse_unsuitable(target: Target) -> None:
    if target.param.scope is Scope.LOAD:
        raise UsageError(
            f"--over {target.name}: one model is loaded once for all trials",
            "run optimize again for another value",
        )
    if target.param.name == "seed":
        raise UsageError("--over seed: all trials have the same seeds", "--seeds N takes more")


def _choices(name: str, listed: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(choice.strip() for choice in listed.split(",")))
    if len(found) < 2 or not all(found):
        raise UsageError(f"--over {name}={listed}: there is nothing to choose", EXAMPLE)
    return found


def _range(target: Target, kind: Number, listed: str, directory: Path) -> Axis:
    place = f"{OVER.place} {target.name}"
    low, high = (
        values.given(target.param, [bound.strip()], directory, place)
        for bound in listed.split(BETWEEN, 1)
    )
    for bound in (low, high):
        if isinstance(bound, str) or bound in kind.special:
            means = "has a meaning of its own and is no bound of a range"
            raise UsageError(f"{place}={listed}: {bound} {means}", EXAMPLE)
    if low >= high:
        cure = f"{place}={high:g}..{low:g}" if low > high else EXAMPLE
        raise UsageError(f"{place}={listed}: the range is empty", cure)
    return Axis(target.name, target, low=low, high=high, integer=kind.integer)
