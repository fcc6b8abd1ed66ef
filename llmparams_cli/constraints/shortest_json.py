"""A shortest text that is valid under a JSON Schema.

It is a lower estimate: keywords that are not looked at here can only make it longer. Branches that
cannot be valid are left out; what refers to itself is followed only as far as it ends.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import accumulate, takewhile
from typing import Any
from urllib.parse import unquote

from llmparams_cli.constraints.patterns import shortest_pattern
from llmparams_cli.constraints.schema.place import named

LONGEST = 100_000  # characters; longer than any answer
MOST_STEPS = 2_000  # parts of a schema that are looked at
ENDLESS = 10**400
MOST_ASKED = 100  # alternatives whose costs are compared
FORMATS = {  # those of one length, or nearly so
    "date": "2000-01-01",
    "time": "00:00:00Z",
    "date-time": "2000-01-01T00:00:00Z",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "ipv4": "0.0.0.0",
}
SHORTEST = {"null": "null", "string": '""', "number": "0", "object": "{}", "array": "[]"}
Cost = Callable[[str], int]


class Unsure(Exception):
    """A schema that is not understood here."""


def shortest(schema: Any, cost: Cost, fill: str, separators: tuple[str, str]) -> str | None:
    """The text of the least cost (that of a part is asked for alone); None if there is none, or
    none is found. Free characters are those of `fill`; `separators` follow items and names.
    """
    try:
        return _Writer(schema, cost, fill, *separators).least(schema)
    except (Unsure, RecursionError, ValueError, TypeError, AttributeError, LookupError):
        return None


class _Writer:
    """None stands for what no text is valid under."""

    def __init__(self, root: Any, cost: Cost, fill: str, comma: str, colon: str) -> None:
        self._root, self._cost, self._fill = root, cost, fill
        self._comma, self._colon = comma, colon
        self._open: list[int] = []  # the parts that are being written, by their ids
        self._known: dict[int, str | None] = {}
        self._cut = 0  # the outermost part that was met again within itself, as a place in `_open`
        self._steps = 0

    def least(self, schema: Any) -> str | None:
        if isinstance(schema, bool):
            return "0" if schema else None
        if id(schema) in self._known:
            return self._known[id(schema)]
        if id(schema) in self._open:  # within itself: longer than without
            self._cut = min(self._cut, self._open.index(id(schema)))
            return None
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise Unsure
        outer, self._cut, depth = self._cut, len(self._open), len(self._open)
        self._open.append(id(schema))
        found = self._longest(self._parts(schema))
        self._open.pop()
        if self._cut >= depth:  # it is the same wherever it stands
            self._known[id(schema)] = found
        self._cut = min(outer, self._cut)
        return found

    def _parts(self, schema: Mapping[str, Any]) -> Iterator[str | None]:
        """What each part of it demands; a text that obeys all is at least as long as each."""
        if "$ref" in schema:
            yield self.least(self._referred(schema["$ref"]))
        for each in schema.get("allOf", ()):
            yield self.least(each)
        for name in ("anyOf", "oneOf"):
            if name in schema:
                yield self._cheapest(map(self.least, schema[name]))
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            yield self._cheapest(self._written(_whole(value)) for value in values)
            return
        types = schema.get("type")
        if types is None:
            yield "0"
            return
        names = types if isinstance(types, list) else [types]
        yield self._cheapest(self._typed(name, schema) for name in names)

    def _typed(self, name: str, schema: Mapping[str, Any]) -> str | None:
        writers: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
            "string": self._string,
            "integer": self._integer,
            "object": self._object,
            "array": self._array,
        }
        if name == "boolean":
            return self._cheapest(("true", "false"))
        return writers[name](schema) if name in writers else SHORTEST[name]

    def _string(self, schema: Mapping[str, Any]) -> str:
        length = min(int(schema.get("minLength", 0)), LONGEST)
        texts = [(self._fill * length)[:length]]
        if "pattern" in schema:
            texts.append(shortest_pattern.shortest(schema["pattern"], self._fill))
        if schema.get("format") in FORMATS:
            texts.append(FORMATS[schema["format"]])
        return self._longest(map(self._written, texts)) or ""

    def _integer(self, schema: Mapping[str, Any]) -> str:
        low, high = _limits(schema)
        least = 0 if low <= 0 <= high else low if low > 0 else high
        return str(least)

    def _object(self, schema: Mapping[str, Any]) -> str | None:
        names = list(dict.fromkeys(schema.get("required", ())))
        members = []
        for name in names:
            value = self.least(self._schema_of(name, schema))
            if value is None:
                return None
            members.append(f"{self._written(name)}{self._colon}{value}")
        more = int(schema.get("minProperties", 0)) - len(members)
        members += [f'""{self._colon}0'] * min(more, LONGEST)
        return f"{{{self._joined(members)}}}"

    def _schema_of(self, name: str, schema: Mapping[str, Any]) -> Any:
        if name in schema.get("properties", ()):
            return schema["properties"][name]
        return True if schema.get("patternProperties") else schema.get("additionalProperties", True)

    def _array(self, schema: Mapping[str, Any]) -> str | None:
        first, rest = schema.get("prefixItems", []), schema.get("items", True)
        if isinstance(rest, list):
            first, rest = rest, schema.get("additionalItems", True)
        count = min(int(schema.get("minItems", 0)), LONGEST)
        items = [self.least(each) for each in first[:count]]
        if count > len(items):
            items += [self.least(rest)] * (count - len(items))
        if not items and "contains" in schema and schema.get("minContains", 1):
            items = [self.least(schema["contains"])]
        written = [each for each in items if each is not None]
        return f"[{self._joined(written)}]" if len(written) == len(items) else None

    def _joined(self, parts: Sequence[str]) -> str:
        """As many of them as are looked at: arrays within each other multiply."""
        ends = accumulate(map(len, parts))
        count = sum(1 for _ in takewhile(lambda end: end < LONGEST, ends)) + 1
        return self._comma.join(parts[:count])

    def _written(self, value: Any) -> str:
        separators = (self._comma, self._colon)
        return json.dumps(value, ensure_ascii=False, separators=separators)

    def _cheapest(self, texts: Iterator[str | None] | tuple[str, ...]) -> str | None:
        found = [text for text in texts if text is not None]
        found = nsmallest(MOST_ASKED, found, key=len)  # asking what a text costs takes a moment
        return min(found, key=lambda text: (self._cost(text), len(text)), default=None)

    def _longest(self, texts: Iterator[str | None]) -> str | None:
        """The one that costs most; None if one of them cannot be."""
        found = list(texts)
        if None in found:
            return None
        return max((text for text in found if text), key=lambda text: (self._cost(text), len(text)))

    def _referred(self, reference: str) -> Any:
        place, sign, pointer = reference.partition("#")
        if place or not sign:
            raise Unsure  # another document, or a name of this one
        if pointer and not pointer.startswith("/"):
            if (found := named(self._root, reference)) is None:
                raise Unsure
            return found
        found = self._root
        for part in pointer.split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            found = found[int(name)] if isinstance(found, list) else found.get(name)
            if found is None:
                raise Unsure
        return found


def _whole(value: Any) -> Any:
    """The value, without a fraction that is 0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _limits(schema: Mapping[str, Any]) -> tuple[int, int]:
    """The least and the largest integer that its limits leave."""
    low, high = -ENDLESS, ENDLESS
    for name, value in schema.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if name == "minimum":
            low = max(low, math.ceil(value))
        elif name == "exclusiveMinimum":
            low = max(low, math.floor(value) + 1)
        elif name == "maximum":
            high = min(high, math.floor(value))
        elif name == "exclusiveMaximum":
            high = min(high, math.ceil(value) - 1)
    return low, high
