"""Builds pieces of GBNF, llama.cpp's notation for grammars (its grammars/README.md)."""

from __future__ import annotations

from collections.abc import Iterable


def literal(text: str) -> str:
    """The GBNF literal for `text`."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def either(options: Iterable[str]) -> str:
    """A choice between the alternatives, without repetitions; ValueError if there are none."""
    different = list(dict.fromkeys(options))
    if not different:
        raise ValueError("a list of alternatives is empty")
    return different[0] if len(different) == 1 else f"({' | '.join(different)})"


def integers(low: int, high: int) -> list[str]:
    """Alternatives that together match the integers from `low` to `high`."""
    negative = naturals(max(1, -high), -low)
    return [f'"-" ({part})' for part in negative] + naturals(max(0, low), high)


def naturals(low: int, high: int) -> list[str]:
    """The same for 0 <= low: one alternative for each number of digits."""
    if low > high:
        return []
    return [
        _digits(str(max(low, 10 ** (count - 1) if count > 1 else 0)), str(min(high, 10**count - 1)))
        for count in range(len(str(low)), len(str(high)) + 1)
    ]


def _digits(low: str, high: str) -> str:
    """The numbers from `low` to `high`, which have the same number of digits."""
    more = len(low) - 1
    if low == high:
        return literal(low)
    if not more:
        return f"[{low}-{high}]"
    if low[0] == high[0]:
        return f'"{low[0]}" ({_digits(low[1:], high[1:])})'
    # 123 to 456 is 123-199, then 200-399 with free digits, then 400-456.
    options, first, last = [], int(low[0]), int(high[0])
    if low[1:] != "0" * more:
        options.append(f'"{first}" ({_digits(low[1:], "9" * more)})')
        first += 1
    if high[1:] != "9" * more:
        options.append(f'"{last}" ({_digits("0" * more, high[1:])})')
        last -= 1
    if first <= last:
        options.append(f"[{first}-{last}] [0-9]{{{more}}}")
    return " | ".join(options)
