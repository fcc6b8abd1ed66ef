"""Sets of characters as regular expressions name them, written in Rust's syntax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)
DIGIT: Ranges = ((0x30, 0x39),)
WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
# What ECMA-262's /\w/iu finds beside: LATIN SMALL LETTER LONG S and KELVIN SIGN.
FOLDED_WORD: Ranges = (*WORD, (0x17F, 0x17F), (0x212A, 0x212A))
# White space and line terminators of ECMA-262, which are not quite those of Unicode.
SPACE: Ranges = (
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)
LINE_ENDS: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
ANY: Ranges = ((0, LAST),)
META = frozenset("\\.+*?()|[]{}^$#&-~/")


@dataclass(frozen=True)
class Characters:
    """Characters by their numbers and by properties (\\p{L}); `negated`: all others."""

    ranges: Ranges = ()
    properties: tuple[str, ...] = ()
    negated: bool = False
    ignore_case: bool = False

    def others(self) -> Characters:
        return replace(self, negated=not self.negated)

    def code(self) -> int | None:
        """The number of the character if the set is a single one."""
        if self.properties or self.negated or len(self.ranges) != 1:
            return None
        first, last = self.ranges[0]
        return first if first == last else None

    def to_rust(self) -> str | None:
        """None for no character at all."""
        if self.properties or (self.ignore_case and self.negated):
            ranges, sign = _sorted(self.ranges), "^" if self.negated else ""
        else:
            ranges, sign = complement(self.ranges) if self.negated else _sorted(self.ranges), ""
        ranges = _without_surrogates(ranges)
        if not ranges and not self.properties:
            return _every() if sign else None
        text = _written(ranges, self.properties, sign)
        return f"(?i:{text})" if self.ignore_case and _has_case(ranges, self.properties) else text


def _every() -> str:
    return "(?s:.)"


def _written(ranges: Ranges, properties: Sequence[str], sign: str) -> str:
    if ranges == _without_surrogates(ANY) and not properties and not sign:
        return _every()
    if not sign and not properties and len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return escaped(ranges[0][0])
    return f"[{sign}{''.join(map(_range, ranges))}{''.join(properties)}]"


def _range(bounds: tuple[int, int]) -> str:
    first, last = bounds
    if first == last:
        return escaped(first)
    return f"{escaped(first)}{'' if last == first + 1 else '-'}{escaped(last)}"


def escaped(code: int) -> str:
    """A character as it stands in Rust's expressions, within a class and without."""
    if 0x20 <= code < 0x7F:
        return f"\\{chr(code)}" if chr(code) in META else chr(code)
    return f"\\x{{{code:X}}}"


def complement(ranges: Ranges) -> Ranges:
    """All other characters, in order."""
    result, start = [], 0
    for low, high in _sorted(ranges):
        if low > start:
            result.append((start, low - 1))
        start = max(start, high + 1)
    return (*result, (start, LAST)) if start <= LAST else tuple(result)


def _sorted(ranges: Ranges) -> Ranges:
    """In order, without overlaps."""
    result: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], high))
        else:
            result.append((low, high))
    return tuple(result)


def _without_surrogates(ranges: Ranges) -> Ranges:
    """Half a pair is no character of a text in UTF-8."""
    return complement((*complement(ranges), SURROGATES))


def _has_case(ranges: Ranges, properties: Sequence[str]) -> bool:
    if properties:
        return True
    return any(high >= 0x80 or (low <= 0x7A and high >= 0x41) for low, high in ranges)
