"""Sets of characters as regular expressions name them, written in Rust's syntax."""

from __future__ import annotations

from dataclasses import dataclass, replace

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)  # half a pair is no character of a text in UTF-8
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
        ranges = _without(SURROGATES, _ordered(self.ranges))
        # Without regard to case, [^a] leaves out A too: the opposite is for Rust to find.
        if self.properties or (self.ignore_case and self.negated and _has_case(ranges)):
            sign = "^" if self.negated else ""
            text = f"[{sign}{''.join(map(_range, ranges))}{''.join(self.properties)}]"
            return f"(?i:{text})" if self.ignore_case else text
        ranges = _without(SURROGATES, complement(ranges)) if self.negated else ranges
        if not ranges:
            return None
        text = _written(ranges)
        return f"(?i:{text})" if self.ignore_case and _has_case(ranges) else text


def _written(ranges: Ranges) -> str:
    if ranges == _without(SURROGATES, ANY):
        return "(?s:.)"
    text = "".join(map(_range, ranges))
    is_single = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    return text if is_single else f"[{text}]"


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
    for low, high in _ordered(ranges):
        if low > start:
            result.append((start, low - 1))
        start = max(start, high + 1)
    return (*result, (start, LAST)) if start <= LAST else tuple(result)


def _ordered(ranges: Ranges) -> Ranges:
    """In order, without overlaps."""
    result: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], high))
        else:
            result.append((low, high))
    return tuple(result)


def _without(these: tuple[int, int], ranges: Ranges) -> Ranges:
    return complement((*complement(ranges), these))


def _has_case(ranges: Ranges) -> bool:
    return any(high >= 0x80 or (low <= 0x7A and high >= 0x41) for low, high in ranges)
