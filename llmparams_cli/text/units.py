"""Numbers for people: sizes, percentages, three significant digits."""

from __future__ import annotations

import re

ROUNDED = 999.95  # from here on, one decimal would round to 1000.0
READABLE = 3  # decimals of a percentage at most: more zeros would have to be counted


def size_text(count: float) -> str:
    """A number of bytes: '999 bytes', '4.1 GB'."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < ROUNDED:
            return f"{count:.1f} {unit}"
    return f"{count:.0f} {unit}"


def bytes_of(text: str) -> int:
    """The number of bytes that a user means: 100M, 1.5 GB, 700MiB; raises ValueError."""
    found = re.fullmatch(r"([0-9.]+) *(?:([KMGT])(i?)B?)?", text.strip(), re.IGNORECASE)
    if not found:
        raise ValueError
    number, unit, binary = found.groups()
    power = "KMGT".index(unit.upper()) + 1 if unit else 0
    return int(float(number) * (1024 if binary else 1000) ** power)


def count_text(count: float) -> str:
    """A number of things: '999', '134.5M', '8.0B'."""
    if count < 1000:
        return f"{count:.0f}"
    for unit in ("K", "M", "B"):
        count /= 1000
        if count < ROUNDED:
            return f"{count:.1f}{unit}"
    return f"{count / 1000:.1f}T"


def counted(number: int, noun: str) -> str:
    """'1 file', '1,200 files'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """A share from 0 to 1 as a percentage: 99.8%, 4.1%, 0.04%, 0.004%, 4e-7%."""
    share *= 100
    if share >= 99.95 or share == 0:  # from 99.95 on, one decimal would round to 100.0
        return f"{share:.0f}%"
    if share >= 1:
        return f"{share:.1f}%"
    if share >= 0.01:
        return f"{share:.2f}%"
    digit, exponent = f"{share:.0e}".split("e-")
    decimals = int(exponent)
    return f"{share:.{decimals}f}%" if decimals <= READABLE else f"{digit}e-{decimals}%"


def short_number(value: float) -> str:
    """Three significant digits, but integers in full: 0.0435, 1.33, 40, 1234."""
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
