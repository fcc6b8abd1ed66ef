"""Numbers within limits as terminals of Lark: as plain decimals and with an exponent."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from llmparams_cli.constraints.schema.sets import Numbers

PLAIN = r"(?:0|[1-9][0-9]*)"
INTEGER = rf"/-?{PLAIN}/"
NUMBER = rf"/-?{PLAIN}(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{{1,3}})?/"
FRACTIONAL = rf"/-?{PLAIN}\.[0-9]*[1-9][0-9]*/"
NOTHING = "/[^\\x00-\\x{10FFFF}]/"


def terminal(numbers: Numbers) -> str:
    """A terminal for the numbers, without regard to multiples."""
    low, high = numbers.low, numbers.high
    if low is None and high is None:
        found = {True: INTEGER, False: FRACTIONAL, None: NUMBER}[numbers.whole]
    else:
        positive = _between(
            Decimal(0) if low is None or low < 0 else low,
            low is not None and low >= 0 and numbers.low_open,
            high,
            numbers.high_open,
            numbers.whole is not True,
        )
        negative = _between(
            Decimal(0) if high is None or high > 0 else -high,
            high is not None and high <= 0 and numbers.high_open,
            None if low is None else -low,
            numbers.low_open,
            numbers.whole is not True,
        )
        parts = [positive] if positive else []
        if negative:
            parts.append(f'"-" ({negative})')
        found = " | ".join(parts)
        if not found:
            return NOTHING
        if numbers.whole is False:
            found = f"({found}) & {FRACTIONAL}"
    if numbers.barred:
        found = f"({found}) & ~({' | '.join(_spellings(number) for number in numbers.barred)})"
    return found


def _between(
    low: Decimal, low_open: bool, high: Decimal | None, high_open: bool, fractions: bool
) -> str:
    """Numbers without a sign from `low` (not below 0) to `high`, as an expression of Lark."""
    if high is not None and (high < low or (high == low and (low_open or high_open))):
        return ""
    conditions = [f"/{_at_least(low, low_open, fractions)}/"]
    if low == 0 and not low_open:
        conditions = [rf"/{PLAIN}{_fraction(fractions)}/"]
    if high is not None:
        conditions.append(f"/{_at_most(high, high_open, fractions)}/")
    plain = " & ".join(conditions)
    if not fractions:
        return plain
    # What stands before an exponent is itself a number within the limits: whoever began it as a
    # plain one can end it, and is not left with digits without end (8.59666… of a maximum of 1).
    scientific = _scientific(low, low_open, high, high_open, rf"/[1-9](?:\.[0-9]+)?/ & {plain}")
    return f"({plain}) | {scientific}" if scientific else plain


def _fraction(wanted: bool) -> str:
    return r"(?:\.[0-9]+)?" if wanted else ""


def _parts(number: Decimal) -> tuple[str, str]:
    whole, _, fraction = format(number, "f").partition(".")
    return whole.lstrip("0") or "0", fraction.rstrip("0")


def _at_least(limit: Decimal, is_open: bool, fractions: bool) -> str:
    whole, fraction = _parts(limit)
    above = _greater_whole(whole) + _fraction(fractions)
    if not fractions:
        is_in = not fraction and not is_open
        return f"(?:{above}|{whole})" if is_in else above
    if not fraction and not is_open:
        tail = r"(?:\.[0-9]+)?"
    else:
        tail = rf"\.{_digits_above(fraction, is_open)}"
    return f"(?:{above}|{whole}{tail})"


def _at_most(limit: Decimal, is_open: bool, fractions: bool) -> str:
    whole, fraction = _parts(limit)
    below = _smaller_whole(whole)
    options = [below + _fraction(fractions)] if below else []
    if not fraction:
        if not is_open:
            options.append(whole + (r"(?:\.0+)?" if fractions else ""))
    elif not fractions:
        options.append(whole)
    else:
        options.append(rf"{whole}(?:\.(?:{_digits_below(fraction, is_open)}))?")
    return f"(?:{'|'.join(options)})" if options else r"[^\x00-\x{10FFFF}]"


def _greater_whole(whole: str) -> str:
    """Integers above one that is not negative."""
    options = [rf"[1-9][0-9]{{{len(whole)},}}"]
    for place, digit in enumerate(whole):
        if digit < "9":
            options.append(f"{whole[:place]}{_class(int(digit) + 1, 9)}{_free(whole, place)}")
    return f"(?:{'|'.join(options)})"


def _smaller_whole(whole: str) -> str:
    """Integers from 0 to below one; empty if there are none."""
    options = []
    if len(whole) > 1:
        options.append(rf"0|[1-9][0-9]{{0,{len(whole) - 2}}}")
    for place, digit in enumerate(whole):
        first = 1 if place == 0 and len(whole) > 1 else 0
        if int(digit) > first:
            options.append(f"{whole[:place]}{_class(first, int(digit) - 1)}{_free(whole, place)}")
    return f"(?:{'|'.join(options)})" if options else ""


def _free(digits: str, place: int) -> str:
    count = len(digits) - place - 1
    return f"[0-9]{{{count}}}" if count else ""


def _class(first: int, last: int) -> str:
    return f"[{first}-{last}]" if first != last else str(first)


def _digits_above(fraction: str, is_open: bool) -> str:
    """Digits behind the point whose value is not below (or above) those of a fraction."""
    options = []
    for place, digit in enumerate(fraction):
        if digit < "9":
            options.append(f"{fraction[:place]}{_class(int(digit) + 1, 9)}[0-9]*")
    options.append(f"{fraction}{'[0-9]*[1-9][0-9]*' if is_open else '[0-9]*'}")
    return f"(?:{'|'.join(options)})"


def _digits_below(fraction: str, is_open: bool) -> str:
    options = []
    for place, digit in enumerate(fraction):
        if place:
            options.append(fraction[:place])  # shorter: the rest is 0
        if digit > "0":
            options.append(f"{fraction[:place]}{_class(0, int(digit) - 1)}[0-9]*")
    if not is_open:
        options.append(f"{fraction}0*")
    return "|".join(options)


# --- with an exponent, as 1.5e3: one digit before the point, not 0


def _scientific(
    low: Decimal, low_open: bool, high: Decimal | None, high_open: bool, digits: str
) -> str:
    options = []
    first = -400 if low == 0 else low.adjusted()
    last = 400 if high is None else (high.adjusted() if high else -401)
    if high is not None and high == 0:
        return ""
    ends = {first: low != 0, last: high is not None}
    whole = [first + (1 if ends[first] else 0), last - (1 if ends[last] else 0)]
    if whole[0] <= whole[1] and first != last:
        options.append(rf"({digits}) /[eE]/ /{_exponents(*whole)}/")
    for exponent in dict.fromkeys(end for end, is_limited in ends.items() if is_limited):
        conditions = [digits]
        if exponent == first and low != 0:
            conditions.append(f"/{_at_least(low.scaleb(-exponent), low_open, True)}/")
        if high is not None and exponent == last:
            conditions.append(f"/{_at_most(high.scaleb(-exponent), high_open, True)}/")
        options.append(rf"({' & '.join(conditions)}) /[eE]/ /{_exponents(exponent, exponent)}/")
    return " | ".join(options)


def _exponents(first: int, last: int) -> str:
    """An expression for the exponents in between, of up to three digits."""
    options = []
    if last >= 0:
        options.append(rf"\+?0*{_natural(max(first, 0), min(last, 999))}")
    if first < 0:
        options.append(rf"-0*{_natural(max(1, -last), min(-first, 999))}")
    return f"(?:{'|'.join(options)})"


def _natural(first: int, last: int) -> str:
    if first == last:
        return str(first)
    if (first, last) == (0, 400):
        return "[0-9]{1,3}"
    return f"(?:{'|'.join(str(number) for number in range(first, last + 1))})"


def _spellings(number: Decimal) -> str:
    whole, fraction = _parts(abs(number))
    sign = "-" if number < 0 else ("-?" if number == 0 else "")
    tail = rf"\.{fraction}0*" if fraction else r"(?:\.0+)?"
    options = [f"/{sign}{whole}{tail}/"]
    if number == 0:
        options.append(r"/-?0(?:\.0+)?[eE][+-]?[0-9]+/")
    else:
        # However the point is moved, the digits are the same.
        digits = (whole + fraction).strip("0")
        spread = "".join(rf"{digit}\.?" for digit in digits)
        options.append(rf"/{sign}0?\.?0*{spread}0*\.?0*[eE][+-]?[0-9]+/")
    return " | ".join(options)


def spelled(value: Any) -> str:
    """A string, number, boolean or null as a literal of Lark."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return rf"/{int(value)}(?:\.0+)?/"
    text = json.dumps(value, ensure_ascii=False)
    # A lone surrogate can be escaped in JSON, but not encoded as UTF-8.
    return json.dumps(text if text.encode(errors="replace").decode() == text else json.dumps(value))
