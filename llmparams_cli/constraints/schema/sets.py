"""Sets of values of one kind, as the keywords of a schema describe them, and what two share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any, TypeVar

from llmparams_cli.constraints.schema.place import Node, Place, both

T = TypeVar("T")
KINDS = ("null", "true", "false", "number", "string", "array", "object")


@dataclass(frozen=True)
class Item:
    """A JSON value, equal to those that JSON Schema calls equal."""

    key: str
    value: Any = field(compare=False)


@dataclass(frozen=True)
class Values:
    """These values and no others, as far as the whole schema admits them."""

    items: tuple[Item, ...]


@dataclass(frozen=True)
class Constant:
    """null, true or false."""


@dataclass(frozen=True)
class Numbers:
    """`whole`: True for integers only, False for all but integers."""

    low: Decimal | None = None
    low_open: bool = False
    high: Decimal | None = None
    high_open: bool = False
    whole: bool | None = None
    multiples: tuple[Decimal, ...] = ()
    barred: tuple[Decimal, ...] = ()
    path: str = field(default="", compare=False)


@dataclass(frozen=True)
class Strings:
    """`patterns` and `barred` are Rust's expressions for the whole text."""

    fewest: int = 0
    most: int | None = None
    patterns: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()
    path: str = field(default="", compare=False)


@dataclass(frozen=True)
class Rows:
    """What the items of an array have to be: by their place, and `rest` for all others."""

    head: tuple[Node, ...] = ()
    rest: Node | None = None
    evaluates: bool = True


@dataclass(frozen=True)
class Contained:
    node: Node
    fewest: int
    most: int | None


@dataclass(frozen=True)
class Arrays:
    fewest: int = 0
    most: int | None = None
    groups: tuple[Rows, ...] = ()
    contained: tuple[Contained, ...] = ()
    unique: str = ""  # the path of the uniqueItems


@dataclass(frozen=True)
class Pattern:
    source: str
    rust: str
    node: Node


@dataclass(frozen=True)
class Members:
    """What the members of an object have to be: by name, by pattern, and `rest` for all others."""

    named: tuple[tuple[str, Node], ...] = ()
    patterns: tuple[Pattern, ...] = ()
    rest: Node | None = None
    evaluates: bool = True


@dataclass(frozen=True)
class Objects:
    fewest: int = 0
    most: int | None = None
    required: tuple[str, ...] = ()
    groups: tuple[Members, ...] = ()
    names: tuple[Node, ...] = ()
    path: str = field(default="", compare=False)


Sized = Strings | Arrays | Objects
Some = Values | Constant | Numbers | Sized
Forms = Mapping[str, tuple[Some, ...]]
"""For each kind, the sets that together hold the values of that kind."""

FREE: dict[str, Some] = {
    **dict.fromkeys(("null", "true", "false"), Constant()),
    "number": Numbers(),
    "string": Strings(),
    "array": Arrays(),
    "object": Objects(),
}
EVERYTHING: Forms = {kind: (free,) for kind, free in FREE.items()}
NOTHING: Forms = {}


def kind_of(value: Any) -> str:
    """The kind of a JSON value, one of KINDS."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def item(value: Any) -> Item:
    """The value, ready to be compared as JSON Schema does."""
    return Item(json.dumps(_plain(value), sort_keys=True), value)


def _plain(value: Any) -> Any:
    """With 1.0 as 1, since JSON Schema sees no difference."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value


def decimal(number: float) -> Decimal:
    """The number as it is written."""
    return Decimal(repr(number) if isinstance(number, float) else number)


# --- what two sets share


def met(one: Some, other: Some) -> Some | None:
    """The values in both, or None where that is clearly none."""
    if one == other:
        return one
    if isinstance(other, Values) and not isinstance(one, Values):
        one, other = other, one
    if isinstance(one, Values):
        return _values_in(one, other)
    if isinstance(one, Numbers) and isinstance(other, Numbers):
        return _numbers(one, other)
    if isinstance(one, Sized) and isinstance(other, type(one)):
        return _sized(one, other)
    return one


def _sized(one: Sized, other: Sized) -> Sized | None:
    """With the tighter limits of both, and what each asks for."""
    found: dict[str, Any] = {}
    for each in fields(one):
        first, second = getattr(one, each.name), getattr(other, each.name)
        if isinstance(first, tuple):
            found[each.name] = _joined(first, second)
        else:
            found[each.name] = first or second  # a path
    found["fewest"] = max(one.fewest, other.fewest)
    found["most"] = smallest(one.most, other.most)
    both_of_them = type(one)(**found)
    return None if is_short(both_of_them) else both_of_them


def is_short(some: Sized) -> bool:
    """Whether more is wanted than is admitted."""
    return some.most is not None and some.most < some.fewest


def smallest(one: int | None, other: int | None) -> int | None:
    """Of two limits, where None is no limit."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _joined(one: tuple[T, ...], other: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*one, *other))) if one and other else one or other


def _values_in(values: Values, other: Some) -> Values | None:
    if isinstance(other, Values):
        keys = set(other.items)
        kept = tuple(item for item in values.items if item in keys)
    else:
        kept = tuple(item for item in values.items if _may_hold(other, item.value))
    return Values(kept) if kept else None


def _may_hold(some: Some, value: Any) -> bool:
    """False only where the set clearly does not hold the value."""
    if isinstance(some, Numbers):
        number = decimal(value)
        return not (
            (some.low is not None and (number < some.low or (number == some.low and some.low_open)))
            or (
                some.high is not None
                and (number > some.high or (number == some.high and some.high_open))
            )
            or (some.whole is not None and (number == number.to_integral_value()) != some.whole)
            or number in some.barred
        )
    if isinstance(some, Sized):
        size = len(value)
        if size < some.fewest or (some.most is not None and size > some.most):
            return False
    if isinstance(some, Objects):
        return all(name in value for name in some.required)
    return True


def _numbers(one: Numbers, other: Numbers) -> Numbers | None:
    low, low_open = _tighter(one.low, one.low_open, other.low, other.low_open, sign=1)
    high, high_open = _tighter(one.high, one.high_open, other.high, other.high_open, sign=-1)
    if one.whole is not None and other.whole is not None and one.whole != other.whole:
        return None
    found = Numbers(
        low,
        low_open,
        high,
        high_open,
        one.whole if other.whole is None else other.whole,
        _joined(one.multiples, other.multiples),
        _joined(one.barred, other.barred),
        one.path or other.path,
    )
    return None if is_void(found) else found


def _tighter(
    one: Decimal | None, is_open: bool, other: Decimal | None, is_other_open: bool, *, sign: int
) -> tuple[Decimal | None, bool]:
    if one is None:
        return other, is_other_open
    if other is None:
        return one, is_open
    if one == other:
        return one, is_open or is_other_open
    return (one, is_open) if (one > other) == (sign > 0) else (other, is_other_open)


def is_void(numbers: Numbers) -> bool:
    """Whether no number lies within the limits."""
    low, high = numbers.low, numbers.high
    if low is None or high is None:
        return False
    if numbers.whole:
        first = math.floor(low) + 1 if numbers.low_open else math.ceil(low)
        last = math.ceil(high) - 1 if numbers.high_open else math.floor(high)
        return first > last
    return low > high or (low == high and (numbers.low_open or numbers.high_open))


# --- unions and intersections of forms


def union(*parts: Forms, keeps_all: bool = False) -> Forms:
    """The values of any of the parts; with `keeps_all`, also those sets that others hold whole."""
    found: dict[str, dict[Some, None]] = {}
    for forms in parts:
        for kind, some in forms.items():
            found.setdefault(kind, {}).update(dict.fromkeys(some))
    if keeps_all:
        return {kind: tuple(some) for kind, some in found.items()}
    return {kind: _absorbed(kind, tuple(some)) for kind, some in found.items()}


def _absorbed(kind: str, some: tuple[Some, ...]) -> tuple[Some, ...]:
    return (FREE[kind],) if FREE[kind] in some else some


def shared(
    one: Forms,
    other: Forms,
    most: int,
    is_empty: Callable[[Some], bool] | None = None,
    *,
    keeps_all: bool = False,
) -> Forms | None:
    """The values in both; None if it takes more than `most` sets of one kind to say, and more than
    both have. Sets that are empty are left out; without `keeps_all`, those within another, too.
    """
    found: dict[str, tuple[Some, ...]] = {}
    for kind in one:
        if kind not in other:
            continue
        sets: dict[Some, None] = {}
        for first in one[kind]:
            options = [m for second in other[kind] if (m := met(first, second)) is not None]
            # Where one option is all of `first`, the others are part of it.
            if first in options and not keeps_all:
                options = [first]
            elif is_empty is not None:
                options = [option for option in options if not is_empty(option)]
            sets.update(dict.fromkeys(options))
            if len(sets) > max(most, len(one[kind]) + len(other[kind])):
                return None
        if sets:
            found[kind] = tuple(sets)
    return found


def only(kinds: Iterable[str], forms: Forms = EVERYTHING) -> Forms:
    """The values of these kinds."""
    return {kind: forms[kind] for kind in kinds if kind in forms}


def with_set(kind: str, some: Some | None) -> Forms:
    """All values but those of the kind, and of these the set."""
    rest = {name: free for name, free in EVERYTHING.items() if name != kind}
    return rest if some is None else {**rest, kind: (some,)}


def unseen(forms: Forms) -> Forms:
    """The same, where nothing counts as evaluated."""
    return {kind: tuple(map(_unseen, some)) for kind, some in forms.items()}


def _unseen(some: Some) -> Some:
    if isinstance(some, Arrays):
        return replace(some, groups=tuple(replace(g, evaluates=False) for g in some.groups))
    if isinstance(some, Objects):
        return replace(some, groups=tuple(replace(g, evaluates=False) for g in some.groups))
    return some


# --- the members of objects and the items of arrays


def member(objects: Objects, name: str | None, finds: Callable[[Pattern], bool]) -> Node:
    """What the member of this name has to be, which these patterns find; None: of a name that is
    not spoken of.
    """
    node: Node = ()
    for group in objects.groups:
        found = [value for named, value in group.named if named == name]
        found += [pattern.node for pattern in group.patterns if finds(pattern)]
        if not found and group.rest is not None:
            found = [group.rest]
        for part in found:
            node = both(node, part)
    return node


def row(arrays: Arrays, number: int) -> Node:
    """What the item at this place has to be."""
    node: Node = ()
    for group in arrays.groups:
        if number < len(group.head):
            node = both(node, group.head[number])
        elif group.rest is not None:
            node = both(node, group.rest)
    return node


def names_of(objects: Objects) -> list[str]:
    """The names that are spoken of, in the order in which they are."""
    named = [name for group in objects.groups for name, _ in group.named]
    return list(dict.fromkeys((*named, *objects.required)))


def alone(place: Place) -> Node:
    """The node of one place."""
    return () if place.schema is True and not place.negated else (place,)
