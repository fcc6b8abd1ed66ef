"""Multiples of a number, which llguidance's own JSON Schema compiler can follow as a terminal."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

from llmparams_cli.constraints.schema.sets import Numbers

LARGEST = 4 * 10**8  # ten times a step, without its point, has to fit in llguidance's 32 bits
MOST_STATES = 10_000  # that it goes through for the digits of the step that are not zeros
MOST_DIGITS = 12  # behind the point


def schemas(numbers: Numbers) -> list[str] | None:
    """Schemas of llguidance that together hold the numbers; None if it cannot count the step.

    Behind a step's point it expects all digits or none: 0.5 is no multiple of 0.25 to it, but
    0.50 is. So there is one schema for each number of digits.
    """
    step = _step(numbers)
    digits = _digits(step)
    if digits is None or numbers.barred or numbers.whole is False:
        return None
    found = []
    for count in range(digits + 1):
        coefficient = _least(step, Fraction(1, 10**count)) * 10**count
        if coefficient > LARGEST or int(str(int(coefficient)).rstrip("0")) > MOST_STATES:
            return None
        if _has_one(numbers, coefficient / 10**count):
            found.append(_schema(numbers, coefficient, count))
    return list(dict.fromkeys(found))


def _step(numbers: Numbers) -> Fraction:
    """The least number that is a multiple of all."""
    step = Fraction(1) if numbers.whole else Fraction(numbers.multiples[0])
    for other in numbers.multiples:
        step = _least(step, Fraction(other))
    return step


def _least(one: Fraction, other: Fraction) -> Fraction:
    """The least common multiple."""
    bottom = one.denominator * other.denominator
    top = math.lcm(one.numerator * other.denominator, other.numerator * one.denominator)
    return Fraction(top, bottom)


def _digits(step: Fraction) -> int | None:
    """How many digits behind its point the step has."""
    for count in range(MOST_DIGITS + 1):
        if (step * 10**count).denominator == 1:
            return count
    return None


def _has_one(numbers: Numbers, step: Fraction) -> bool:
    """Whether a multiple lies within the limits."""
    if numbers.low is None or numbers.high is None:
        return True
    first = math.ceil(Fraction(numbers.low) / step)
    if numbers.low_open and first * step == numbers.low:
        first += 1
    return first * step < numbers.high or (first * step == numbers.high and not numbers.high_open)


def _schema(numbers: Numbers, coefficient: Fraction, count: int) -> str:
    step: Any = int(coefficient) if not count else float(coefficient / 10**count)
    schema: dict[str, Any] = {"type": "number" if count else "integer", "multipleOf": step}
    for word, limit, is_open in (
        ("minimum", numbers.low, numbers.low_open),
        ("maximum", numbers.high, numbers.high_open),
    ):
        if limit is not None:
            name = f"exclusive{word.capitalize()}" if is_open else word
            schema[name] = _plain(limit)
    schema["x-guidance"] = {"whitespace_flexible": False}
    return json.dumps(schema)


def _plain(limit: Decimal) -> Any:
    return int(limit) if limit == limit.to_integral_value() else float(limit)
