"""Checks a text by a whole JSON Schema, as that was written.

The grammar that was followed does not matter here: jsonschema checks the text, with numbers read to
the letter, patterns as ECMA-262 reads them, and formats as `formats` has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from typing import Any

from llmparams_cli.constraints.checking import exact_json
from llmparams_cli.constraints.patterns.formats import FORMATS
from llmparams_cli.constraints.patterns.python_pattern import Unreadable, in_python
from llmparams_cli.constraints.schema.place import objects_in
from llmparams_cli.text.shorten import beginning

LONGEST_TEXT = 61  # characters of an answer that are quoted
LARGEST = 10_000  # digits of a number that is divided
MAPS = ("properties", "$defs", "definitions", "dependentSchemas", "dependencies")
VALUES = ("const", "enum", "default", "examples")  # what they hold are no schemas
WITHOUT_FRACTIONS = (  # dialects for which 1.0 is no integer
    "http://json-schema.org/draft-03/schema#",
    "http://json-schema.org/draft-04/schema#",
)
CODE = re.compile(r"\\x\{([0-9A-F]+)\}")


def fault(text: str, schema: Any) -> str:
    """Where and why the text is not valid; empty if it is."""
    try:
        document = exact_json.read(text)
    except exact_json.NameTwice as error:
        return f"$: {error}"
    except ValueError as error:
        return f"{_short(text)} is not JSON: {error}"
    return _fault(document, exact_json.exact(schema))


def _fault(document: Any, schema: Any) -> str:
    import jsonschema
    import referencing
    from referencing.exceptions import Unresolvable

    written: dict[str, str] = {}
    try:
        schema = _in_python(schema, written)
        # A registry of its own: without one, jsonschema fetches what a $ref names.
        known = referencing.Registry()
        checker = _validator(schema)(schema, registry=known, format_checker=_formats())
        found = jsonschema.exceptions.best_match(checker.iter_errors(document))
        return f"{found.json_path}: {_told(found, written)}" if found else ""
    except Unresolvable as error:
        return f"$: the schema names {error.ref!r}, which is not in it"
    except RecursionError:
        return "$: cannot be checked: the schema or the answer is nested too deeply"
    except jsonschema.exceptions.UnknownType as error:
        return f"$: cannot be checked: there is no type {error.type!r}"
    # What jsonschema raises for a schema that is none.
    except (ValueError, TypeError, AttributeError, KeyError, ArithmeticError) as error:
        return f"$: cannot be checked: {error}"


def _in_python(schema: Any, written: dict[str, str]) -> Any:
    """The schema with its patterns of names in Python's words; `written` gets what they were."""
    if isinstance(schema, list):
        return [_in_python(each, written) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "patternProperties" and isinstance(value, dict):
            found[name] = {
                _translated(key, written): _in_python(each, written) for key, each in value.items()
            }
        elif name in MAPS and isinstance(value, dict):
            found[name] = {key: _in_python(each, written) for key, each in value.items()}
        else:
            found[name] = value if name in VALUES else _in_python(value, written)
    return found


def _translated(pattern: str, written: dict[str, str]) -> str:
    found = in_python(pattern)
    written[found] = pattern
    return found


def _validator(schema: Any) -> Any:
    """The validator of the schema's dialect, which is exact about numbers."""
    from jsonschema import validators

    extend: Any = validators.extend
    base = validators.validator_for(schema, default=_undeclared(schema))
    types = base.TYPE_CHECKER
    if base.META_SCHEMA.get("$schema") not in WITHOUT_FRACTIONS:
        types = types.redefine("integer", _is_integer)
    checks = {"multipleOf": _multiple_of, "pattern": _pattern}
    return extend(base, validators=checks, type_checker=types)


def _undeclared(schema: Any) -> Any:
    """The dialect of a schema that names none: the newest in which its keywords mean something."""
    import jsonschema

    if any(isinstance(part.get("exclusiveMinimum"), bool) for part in objects_in(schema)):
        return jsonschema.Draft4Validator
    if any(isinstance(part.get("items"), list) for part in objects_in(schema)):
        return jsonschema.Draft7Validator
    return jsonschema.Draft202012Validator


def _is_integer(_checker: Any, value: Any) -> bool:
    if isinstance(value, exact_json.Number):
        return value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


def _multiple_of(validator: Any, divisor: Any, value: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not validator.is_type(value, "number"):
        return
    if any(abs(Decimal(each).adjusted()) > LARGEST for each in (value, divisor)):
        raise ValueError("a number is too large to be divided")
    if Fraction(value) % Fraction(divisor):
        yield ValidationError(f"{value!r} is not a multiple of {divisor!r}")


def _pattern(validator: Any, pattern: Any, value: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if validator.is_type(value, "string") and not _is_found(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _is_found(pattern: str, text: str) -> bool:
    """By Python, or by what follows patterns in answers where Python has no words for this one."""
    try:
        return bool(re.search(in_python(pattern), text))
    except Unreadable:
        from llmparams_cli.constraints.matching import is_match
        from llmparams_cli.constraints.patterns.pattern import conditions

        wanted = conditions(pattern)
        found = all(is_match(each, text) for each in wanted.every)
        return found and not any(is_match(each, text) for each in wanted.never)


def _formats() -> Any:
    """Checks the formats as `formats` has them, the same ones wherever this runs: what jsonschema
    itself can check depends on the libraries that it finds.
    """
    import jsonschema

    checker = jsonschema.FormatChecker(())
    checker.checkers = {name: (partial(_has_format, name), ()) for name in FORMATS}
    return checker


def _has_format(name: str, value: Any) -> bool:
    if not isinstance(value, str):
        return True
    if name == "regex":
        return _is_regex(value)
    known = FORMATS[name]
    if known.narrower and not (value.isascii() and "xn--" not in value.lower()):
        return True  # other scripts: not known for sure
    fits = known.longest is None or len(value) <= known.longest
    return fits and bool(_format(name).fullmatch(value))


def _is_regex(text: str) -> bool:
    from llmparams_cli.constraints.patterns import pattern

    try:
        pattern.whole(text)
    except pattern.Malformed:
        return False
    except pattern.NoCounterpart:
        return True  # one that no grammar can follow
    return True


@cache
def _format(name: str) -> re.Pattern[str]:
    """The expression in Python's words, which differ from Rust's in this alone."""
    regex = FORMATS[name].regex
    return re.compile(CODE.sub(lambda found: f"\\U{int(found[1], 16):08x}", regex))


def _told(error: Any, written: dict[str, str]) -> str:
    """The message of an error, with the value as JSON, shortened, and patterns as they were."""
    message, value = str(error.message), repr(error.instance)
    if message.startswith(value):
        message = beginning(_as_json(error.instance), LONGEST_TEXT) + message[len(value) :]
    for found, pattern in written.items():
        message = message.replace(repr(found), repr(pattern))
    return message


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:  # a Number within
        return repr(value)


def _short(text: str) -> str:
    return repr(beginning(text, LONGEST_TEXT))
