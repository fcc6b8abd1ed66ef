"""Reads JSON to the letter: numbers as they are written, every name of an object once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from llmparams_cli.text.json_text import name_twice

LONG = 4000  # digits; Python refuses to read an int of more than 4,300


class Number(Decimal):
    """A number with a point or an exponent."""

    def __repr__(self) -> str:
        return str(self)


class NameTwice(ValueError):
    """An object has a name twice. What that means is open: readers take the first, the last or
    none.
    """


def read(text: str) -> Any:
    """The value that this text stands for. Raises ValueError if it is no JSON."""
    try:
        return json.loads(
            text,
            parse_float=Number,
            parse_int=_integer,
            parse_constant=_no_constant,
            object_pairs_hook=_object,
        )
    except ArithmeticError as error:
        raise ValueError("the exponent of a number is too large") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def exact(value: Any) -> Any:
    """The same value as `read` would have read it: its floats are what is written for them."""
    if isinstance(value, float):
        return Number(repr(value))
    if isinstance(value, list):
        return [exact(each) for each in value]
    if isinstance(value, dict):
        return {name: exact(each) for name, each in value.items()}
    return value


def _integer(text: str) -> int:
    return int(text) if len(text) < LONG else int(Decimal(text))


def _no_constant(text: str) -> None:
    """For NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(f"{text} is no JSON value")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    if (name := name_twice(pairs)) is not None:
        raise NameTwice(f"an object has the name {name!r} twice")
    return dict(pairs)
