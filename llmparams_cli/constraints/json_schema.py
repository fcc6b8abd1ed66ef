"""Translates JSON Schema to GBNF: a grammar that generates JSON valid under the schema.

What a context-free grammar cannot express either makes the grammar narrower than the schema
(named properties come in their order, and no others beside them), or is reported as not
enforced. llama-cpp-python has a converter too; its grammars admit raw newlines in strings,
ignore limits of numbers, and turn {} into an object.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from llmparams_cli.constraints.gbnf import either, integers, literal, naturals

UNENFORCED = {
    *("not", "if", "then", "else", "multipleOf", "uniqueItems", "contains", "minContains"),
    *("maxContains", "patternProperties", "propertyNames", "minProperties", "maxProperties"),
    *("dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties"),
    "unevaluatedItems",
}
ANNOTATIONS = {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("$schema", "$id", "$comment", "$defs", "definitions"),
}
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
# The type that a schema without `type` means, by its other keywords.
IMPLIED_TYPES = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("pattern", "format", "minLength", "maxLength"),
    "number": (*LOWER[:2], *UPPER[:2]),
}
LARGEST = 10**16 - 1  # where a schema sets no limit: as many digits as a double holds
MOST_TIMES = 1000  # llama.cpp refuses long repetitions

NOT_IN_STRINGS = r'"\\\x00-\x1f'
PRIMITIVES = {
    "value": "object | array | string | number | boolean | null",
    "object": '"{" ws (pair ("," ws pair)*)? ws "}"',
    "pair": 'string ":" " "? value',
    "array": '"[" ws (value ("," ws value)*)? ws "]"',
    "string": r'"\"" char* "\""',
    "char": rf'[^{NOT_IN_STRINGS}] | "\\" (["\\/bfnrt] | "u" code)',
    "code": "[0-9a-cA-CefEF] hex{3} | [dD] [0-7] hex{2}",  # without surrogates
    "hex": "[0-9a-fA-F]",
    "number": 'integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?',
    "integer": '"-"? ("0" | [1-9] [0-9]{0,15})',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "ws": r'(" " | "\n" [ \t]{0,20})?',
    # Days end at 28, so that every date exists.
    "date": '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8])',
    "time": '([01] [0-9] | "2" [0-3]) (":" [0-5] [0-9]){2} ("." [0-9]{1,6})? "Z"',
    "uuid": 'hex{8} ("-" hex{4}){3} "-" hex{12}',
}
FORMATS = {"date": "date", "time": "time", "date-time": 'date "T" time', "uuid": "uuid"}


def to_gbnf(schema: Any) -> tuple[str, list[str]]:
    """The grammar, and the keywords of the schema that it does not enforce.

    Raises ValueError if the schema is invalid or no value can satisfy it.
    """
    converter = _Converter(schema)
    return converter.grammar(), sorted(converter.unenforced)


class _Converter:
    """Collects rules; its methods return expressions that can stand anywhere in a rule."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._rules: dict[str, str] = {}
        self._references: dict[str, str] = {}
        self.unenforced: set[str] = set()

    def grammar(self) -> str:
        root = self._value(self._schema)
        rules = {"root": root, **PRIMITIVES, **self._rules}
        return "\n".join(f"{name} ::= {rule}" for name, rule in rules.items())

    def _rule(self, expression: str) -> str:
        name = f"r{len(self._rules)}"
        self._rules[name] = expression
        return name

    def _value(self, schema: Any) -> str:
        if schema is True:
            return "value"
        if not isinstance(schema, dict):
            raise ValueError(f"{_json(schema)} admits nothing")
        if "$ref" in schema:
            return self._referred(schema)
        if "allOf" in schema:
            whole = _without(schema, "allOf")
            for part in schema["allOf"]:
                whole = _merged(whole, self._flat(part))
            return self._value(whole)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._any(self._options(schema, word))
        self.unenforced |= UNENFORCED & schema.keys()
        if "const" in schema:
            return literal(_json(schema["const"]))
        if "enum" in schema:
            return either(literal(_json(value)) for value in schema["enum"])
        return self._typed(schema)

    def _typed(self, schema: Mapping[str, Any]) -> str:
        kind = schema.get("type") or _implied_type(schema)
        if isinstance(kind, list):
            return self._any({**schema, "type": one} for one in kind)
        if kind in ("value", "boolean", "null"):
            return str(kind)
        if kind not in ("object", "array", "string", "number", "integer"):
            raise ValueError(f"type {kind!r} is not one of JSON's")
        return str(getattr(self, f"_{kind}")(schema))

    def _any(self, schemas: Iterable[Any]) -> str:
        return either(self._value(schema) for schema in schemas if schema is not False)

    def _options(self, schema: Mapping[str, Any], word: str) -> list[Any]:
        """The alternatives of anyOf or oneOf, each merged with the keywords beside them."""
        rest = _without(schema, word)
        if rest.keys() <= ANNOTATIONS:
            return list(schema[word])
        return [_merged(rest, self._flat(option)) for option in schema[word]]

    # --- references

    def _referred(self, schema: Mapping[str, Any]) -> str:
        rest = _without(schema, "$ref")
        if not rest.keys() <= ANNOTATIONS:
            return self._value(self._flat(schema))
        reference = schema["$ref"]
        if reference not in self._references:
            # Named before it is built, so that a recursive schema finds its own rule.
            name = self._references[reference] = self._rule("")
            self._rules[name] = self._value(self._lookup(reference))
        return self._references[reference]

    def _flat(self, schema: Any) -> Any:
        """The schema with its reference replaced by what it refers to."""
        followed: list[Any] = []
        while isinstance(schema, dict) and "$ref" in schema:
            reference = schema["$ref"]
            if reference in followed:
                raise ValueError(f"$ref {reference!r} leads back to itself")
            followed.append(reference)
            schema = _merged(_without(schema, "$ref"), self._lookup(reference))
        return schema

    def _lookup(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise ValueError(f"$ref {reference!r} leads out of the schema")
        found = self._schema
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")  # in this order (RFC 6901)
            try:
                found = found[int(key)] if isinstance(found, list) else found[key]
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise ValueError(f"$ref {reference!r} leads nowhere: no {key!r}") from error
        return found

    # --- objects and arrays

    def _object(self, schema: Mapping[str, Any]) -> str:
        properties = dict(schema.get("properties", {}))
        required = schema.get("required", [])
        others = schema.get("additionalProperties", True)
        for name in required:
            properties.setdefault(name, others)
        if properties:
            pairs = [
                (self._pair(literal(_json(name)), value), name in required)
                for name, value in properties.items()
                if value is not False or name in required
            ]
            return self._rule(f'"{{" ws {self._in_order(pairs)} ws "}}"')
        if others is False:
            return '"{}"'
        pair = self._pair("string", others)
        return self._rule(f'"{{" ws ({pair} ("," ws {pair})*)? ws "}}"')

    def _pair(self, name: str, value: Any) -> str:
        return self._rule(f'{name} ":" " "? {self._value(value)}')

    def _in_order(self, pairs: Sequence[tuple[str, bool]]) -> str:
        """The pairs in this order, separated by commas; those not required may be left out."""
        needed = [place for place, (_, is_needed) in enumerate(pairs) if is_needed]
        if needed:
            first = needed[0]
            before = [f'({pair} "," ws)?' for pair, _ in pairs[:first]]
            after = [
                f'"," ws {pair}' if is_needed else f'("," ws {pair})?'
                for pair, is_needed in pairs[first + 1 :]
            ]
            return " ".join([*before, pairs[first][0], *after])
        # None is required: any may be the first, followed by any of those after it.
        starts: list[str] = []
        rest = ""
        for pair, _ in reversed(pairs):
            starts.insert(0, f"{pair} {rest}")
            rest = self._rule(f'("," ws {pair})? {rest}')
        return f"({' | '.join(starts)})?"

    def _array(self, schema: Mapping[str, Any]) -> str:
        head, others = schema.get("prefixItems", []), schema.get("items", True)
        if isinstance(others, list):  # as it was written until 2019
            head, others = others, schema.get("additionalItems", True)
        fewest, most = schema.get("minItems", 0), schema.get("maxItems")
        if others is False:
            most = len(head) if most is None else min(most, len(head))
        if most is not None and most < fewest:
            raise ValueError(f"an array cannot have at least {fewest} and at most {most} items")
        cells = [self._value(item) for item in head[:most]]
        fewest, most = max(0, fewest - len(cells)), None if most is None else most - len(cells)
        if most == 0:
            return self._rule(f'"[" ws {_listed(cells)} ws "]"') if cells else '"[]"'
        item = self._value(others)
        if cells:
            more = f'("," ws {item}){self._times(fewest, most)}'
            return self._rule(f'"[" ws {_listed(cells)} {more} ws "]"')
        # The first item has no comma before it: it counts apart from the repetition.
        more = f'{item} ("," ws {item}){self._times(max(0, fewest - 1), most and most - 1)}'
        return self._rule(f'"[" ws {more if fewest else f"({more})?"} ws "]"')

    def _times(self, fewest: int, most: int | None) -> str:
        if fewest > MOST_TIMES:
            raise ValueError(f"{fewest} repetitions are too many for a grammar")
        if most is not None and most > MOST_TIMES:
            self.unenforced.add(f"a maximum of {most}")
            most = None
        return f"{{{fewest},{'' if most is None else most}}}"

    # --- strings

    def _string(self, schema: Mapping[str, Any]) -> str:
        lengths = {"minLength", "maxLength"} & schema.keys()
        if "pattern" in schema:
            from llmparams_cli.constraints.regex import to_gbnf as of_pattern

            self.unenforced |= lengths
            return self._rule(rf'"\"" {of_pattern(schema["pattern"])} "\""')
        form = schema.get("format")
        if form in FORMATS:
            self.unenforced |= lengths
            return self._rule(rf'"\"" {FORMATS[form]} "\""')
        if form is not None:
            self.unenforced.add(f"format {form}")
        if not lengths:
            return "string"
        times = self._times(schema.get("minLength", 0), schema.get("maxLength"))
        return self._rule(rf'"\"" char{times} "\""')

    # --- numbers

    def _integer(self, schema: Mapping[str, Any]) -> str:
        low, high = _limits(schema)
        if low is None and high is None:
            return "integer"
        options = integers(*_span(low, high, _nearest))
        if not options:
            raise ValueError("there is no integer between its limits")
        return self._rule(" | ".join(options))

    def _number(self, schema: Mapping[str, Any]) -> str:
        low, high = _limits(schema)
        if low is None and high is None:
            return "number"
        options = integers(*_span(low, high, _nearest))
        # A fraction that does not end in 0 lies strictly between two integers.
        fraction = '"." [0-9]{0,14} [1-9]'
        bottom, top = _span(low, high, lambda limit: math.ceil(limit[0]))
        options += [f"({part}) {fraction}" for part in naturals(max(0, bottom), top - 1)]
        options += [f'"-" ({part}) {fraction}' for part in naturals(max(0, -top), -bottom - 1)]
        if not options:  # such as from 0.2 to 0.8
            self.unenforced |= {*LOWER[:2], *UPPER[:2]} & schema.keys()
            return "number"
        return self._rule(" | ".join(options))


def _without(schema: Mapping[str, Any], word: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != word}


def _merged(first: Any, second: Any) -> Any:
    """One schema for values that satisfy both."""
    if first is True or second is True:
        return second if first is True else first
    if not isinstance(first, dict) or not isinstance(second, dict):
        return False
    merged = dict(first)
    for word, value in second.items():
        merged[word] = _both(word, merged[word], value) if word in merged else value
    return merged


def _both(word: str, one: Any, other: Any) -> Any:
    if one == other or word in ANNOTATIONS:
        return one
    if word in LOWER or word in UPPER:
        return max(one, other) if word in LOWER else min(one, other)
    if word == "properties":
        shared = {name: _merged(one[name], other[name]) for name in one if name in other}
        return {**one, **other, **shared}
    if word == "required":
        return [*one, *(name for name in other if name not in one)]
    if word in ("anyOf", "oneOf"):
        return [_merged(a, b) for a in one for b in other]
    if word == "allOf":
        return [*one, *other]
    if word in ("items", "additionalProperties"):
        return _merged(one, other)
    if word in ("enum", "type"):
        common = _common(*(v if isinstance(v, list) else [v] for v in (one, other)))
        if common:
            return common
    raise ValueError(f"{word} {_json(one)} and {_json(other)} exclude each other")


def _common(one: list[Any], other: list[Any]) -> list[Any]:
    """The items in both lists; of `integer` and `number`, `integer` is common."""
    narrower = [v for v in (*one, *other) if v == "integer" and "number" in (*one, *other)]
    return list(dict.fromkeys([*(v for v in one if v in other), *narrower]))


def _implied_type(schema: Mapping[str, Any]) -> str:
    return next(
        (kind for kind, words in IMPLIED_TYPES.items() if any(word in schema for word in words)),
        "value",
    )


Limit = tuple[float, bool]
"""A lower bound, and whether it is exclusive."""


def _limits(schema: Mapping[str, Any]) -> tuple[Limit | None, Limit | None]:
    """The lower limit, and the upper one negated, so that it is a lower bound too."""
    low = _limit(schema, *LOWER[:2], sign=1)
    return low, _limit(schema, *UPPER[:2], sign=-1)


def _limit(schema: Mapping[str, Any], closed: str, open: str, *, sign: int) -> Limit | None:
    found = []
    for word in (closed, open):
        number = schema.get(word)
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            # Until 2016, the exclusive words were true or false beside the others.
            found.append((sign * number, word == open or schema.get(open) is True))
    return max(found, default=None)


def _nearest(limit: Limit) -> int:
    number, is_left_out = limit
    return math.floor(number) + 1 if is_left_out else math.ceil(number)


def _span(
    low: Limit | None, high: Limit | None, rounded: Callable[[Limit], int]
) -> tuple[int, int]:
    """Both limits as integers; a missing one leaves room for at least 16 digits."""
    bottom = None if low is None else rounded(low)
    top = LARGEST if bottom is None else max(LARGEST, 10 * bottom)
    if high is not None:
        top = -rounded(high)
    return min(-LARGEST, 10 * top) if bottom is None else bottom, top


def _listed(cells: Sequence[str]) -> str:
    return ' "," ws '.join(cells)


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # A lone surrogate can be escaped in JSON, but not encoded as UTF-8.
    return text if text.encode(errors="replace").decode() == text else json.dumps(value)
