"""The tests in a preset: what must be true of its answers, over several seeds.

    tests:
      - name: names both parties        # optional
        input: Brimolda Ltd pays EUR 40 to Okarin Ltd.      # or file: clause.txt
        variables: {language: English}
        seeds: 20                       # 1 to 20; or a list of seeds; 1 if left out
        at_least: 19                    # of these seeds; all of them if left out
        expect:
          contains: [Brimolda, Okarin]  # all of these texts
          lacks: [sorry]                # none of these
          matches: '\\d+'                # a regular expression, somewhere in the answer
          json: true                    # one JSON document, of json_schema's form if that is set
          schema: {required: [name]}    # one JSON document that this JSON Schema admits
          stop: [end-of-generation, stop-sequence]
          tokens: {min: 5, max: 60}     # completion tokens
          characters: {max: 400}
          entropy: {max: 2.5}           # bits, mean over the answer's tokens
          probability: {min: 0.3}       # geometric mean over the answer's tokens
          first: {text: Yes, min: 0.6}  # probability that the answer begins with this token
          distinct: {min: 15}           # different answers among all seeds

Entropy and probabilities are those of the model's own distribution.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmparams_cli.files import resolve_path
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.params.seeds import MAX_SEED
from llmparams_cli.presets.interval import AMOUNT, AT_LEAST_ONE, PROBABILITY, Interval
from llmparams_cli.presets.nodes import Mark, Node, Report
from llmparams_cli.presets.prompt_template import text_of
from llmparams_cli.protocol import StopReason

MAX_SEEDS = 10_000


@dataclass(frozen=True)
class Case:
    """One test. `expect` maps an assertion's name to what it asks for."""

    mark: Mark
    name: str
    input: str | None = None
    file: Path | None = None
    variables: dict[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = (1,)
    at_least: int = 1
    expect: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Key:
    """How the value of a key is read, and its JSON Schema."""

    read: Callable[[Any], Any]
    schema: dict[str, Any]


def read_tests(
    node: Node | None, directory: Path, report: Report, *, trusted: bool = False
) -> tuple[Case, ...]:
    """Read the tests under the key `tests`; problems go to `report`. Only a `trusted` file may name
    commands.
    """
    if node is None or node.value is None:
        return ()
    if not isinstance(node.value, list):
        report(node.mark, "tests: not a list; begin each test with a dash")
        return ()
    cases = (
        _Reader(directory, report, number, trusted).case(n)
        for number, n in enumerate(node.value, 1)
    )
    return tuple(case for case in cases if case)


class _Wrong(ValueError):
    """A value that its key does not accept; the reader adds the place."""


class _Reader:
    """Reads one test; a key with a problem is left out."""

    def __init__(self, directory: Path, report: Report, number: int, trusted: bool) -> None:
        self._assertions = ASSERTIONS | (COMMANDS if trusted else {})
        self._directory = directory
        self._report = report
        self._name = f"test {number}"

    def case(self, node: Node) -> Case | None:
        if not isinstance(node.value, dict):
            self._report(node.mark, f"tests: {self._name} is not a mapping with `expect:`")
            return None
        read: dict[str, Any] = {"name": self._name}
        for key, item in node.value.items():
            self._read(CASE, key, item, read)
        seeds = read.setdefault("seeds", (1,))
        read.setdefault("at_least", len(seeds))
        # Only a given at_least can be too large, so its node is there.
        if read["at_least"] > len(seeds):
            self._report(
                node.value["at_least"].mark,
                f"tests: at_least is {read['at_least']}, and there are {len(seeds)} seed(s)",
            )
        self._possible(node, read.get("expect", {}), len(seeds))
        if "expect" not in node.value:
            self._report(node.mark, f"tests: {read['name']} has no `expect:`")
        if "file" in read:
            read["file"] = resolve_path(read["file"], self._directory)
        return Case(mark=node.mark, **read)

    def _possible(self, node: Node, expect: dict[str, Any], seeds: int) -> None:
        """Report what can never hold of a test as a whole."""
        mark = node.value["expect"].mark if expect and isinstance(node.value, dict) else node.mark
        distinct = expect.get("distinct")
        if distinct and not distinct.meets(Interval(high=seeds)):
            self._report(mark, f"tests: distinct: {distinct} can never hold: {seeds} seed(s)")
        for text in expect.get("lacks", ()):
            if any(text in wanted for wanted in expect.get("contains", ())):
                self._report(mark, f"tests: lacks: {text!r} is part of what it must contain")

    def _read(self, keys: dict[str, Key], key: str, item: Node, into: dict[str, Any]) -> None:
        if key not in keys:
            guess = did_you_mean(key, keys) or f"; the keys are {', '.join(keys)}"
            self._report(item.mark, f"tests: unknown key {key!r}{guess}")
            return
        try:
            into[key] = self._expect(item) if key == "expect" else keys[key].read(item.plain())
        except _Wrong as error:
            self._report(item.mark, f"tests: {key}: {error}")

    def _expect(self, node: Node) -> dict[str, Any]:
        if not isinstance(node.value, dict) or not node.value:
            raise _Wrong(f"not a mapping; it may have {', '.join(self._assertions)}")
        expect: dict[str, Any] = {}
        for key, item in node.value.items():
            self._read(self._assertions, key, item, expect)
        return expect


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"{value!r} is not text; put text in quotes")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise _Wrong("the list is empty")
    return tuple(map(_text, items))


def _variables(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or any(isinstance(v, (dict, list)) for v in value.values()):
        raise _Wrong("not a mapping such as {language: English}")
    return {name: text_of(text) for name, text in value.items()}


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SEEDS:
        raise _Wrong(f"{value!r} is not a whole number from 1 to {MAX_SEEDS}")
    return value


def _seeds(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        return tuple(range(1, _count(value) + 1))
    if not value or not all(isinstance(s, int) and 0 <= s <= MAX_SEED for s in value):
        raise _Wrong(f"a list of seeds has whole numbers from 0 to {MAX_SEED}")
    return tuple(value)


def _pattern(value: Any) -> re.Pattern[str]:
    try:
        return re.compile(_text(value), re.MULTILINE)
    except RecursionError as error:
        raise _Wrong("nested too deeply") from error
    except (re.error, OverflowError) as error:
        raise _Wrong(f"not a regular expression: {error}") from error


def _true(value: Any) -> bool:
    if value is not True:
        raise _Wrong(f"{value!r} means nothing here; write true, or leave it out")
    return True


def _schema(value: Any) -> Any:
    import jsonschema

    if not isinstance(value, (dict, bool)):
        raise _Wrong(f"{value!r} is not a JSON Schema: not a mapping")
    schema: Any = value
    try:
        jsonschema.validators.validator_for(schema).check_schema(schema)
    except jsonschema.SchemaError as error:
        raise _Wrong(f"not a JSON Schema: {error.message} ({error.json_path})") from error
    except RecursionError as error:
        raise _Wrong("nested too deeply") from error
    except TypeError as error:  # a $schema that is no text
        raise _Wrong(f"not a JSON Schema: {error}") from error
    return value


def _stops(value: Any) -> tuple[str, ...]:
    words = [reason.value for reason in StopReason]
    for text in _texts(value):
        if text not in words:
            raise _Wrong(f"{text!r} is not a stop reason{did_you_mean(text, words)}")
    return _texts(value)


def _interval(value: Any, possible: Interval, *more: str) -> Interval:
    if not isinstance(value, dict) or not value or set(value) - {"min", "max", *more}:
        keys = " ".join(f"{key}: …," for key in (*more, "min", "max")).rstrip(",")
        raise _Wrong(f"not an interval; write {{{keys}}}")
    bounds = [value.get("min"), value.get("max")]
    if not all(bound is None or _is_number(bound) for bound in bounds):
        raise _Wrong("min and max are numbers")
    if bounds == [None, None]:
        raise _Wrong("min or max is missing")
    interval = Interval(bounds[0], bounds[1], value.get("text", ""))
    if not interval.meets(possible) or not interval.meets(interval):
        raise _Wrong(f"{interval} can never hold: it is {possible}")
    return interval


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _measure(possible: Interval) -> Key:
    """A key that takes an interval of a figure, which itself has the bounds `possible`."""
    return Key(lambda value: _interval(value, possible), _object(_bounds(possible)))


def _first(value: Any) -> Interval:
    interval = _interval(value, PROBABILITY, "text")
    if not interval.text:
        raise _Wrong("text is missing: the text of the first token")
    return Interval(interval.low, interval.high, _text(interval.text))


TEXT = {"type": "string"}
TEXTS = {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}
COUNT = {"type": "integer", "minimum": 1, "maximum": MAX_SEEDS}
SEED = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}
STOP = {"enum": [reason.value for reason in StopReason]}


def _bounds(possible: Interval) -> dict[str, Any]:
    """The JSON Schema of min and max: bounds that something can meet."""
    highest = {} if possible.high is None else {"maximum": possible.high}
    return {
        "min": {"type": "number", **highest},
        "max": {"type": "number", "minimum": possible.low},
    }


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    shape = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**shape, "minProperties": 1, **more}


ASSERTIONS = {
    "contains": Key(_texts, TEXTS),
    "lacks": Key(_texts, TEXTS),
    "matches": Key(_pattern, {"type": "string", "format": "regex"}),
    "json": Key(_true, {"const": True}),
    "schema": Key(_schema, {"type": ["object", "boolean"]}),
    "stop": Key(_stops, {"anyOf": [STOP, {"type": "array", "items": STOP, "minItems": 1}]}),
    "tokens": _measure(AMOUNT),
    "characters": _measure(AMOUNT),
    "entropy": _measure(AMOUNT),
    "probability": _measure(PROBABILITY),
    "first": Key(
        _first,
        _object({"text": TEXT, **_bounds(PROBABILITY)}, required=["text"], minProperties=2),
    ),
    "distinct": _measure(AT_LEAST_ONE),
}
# Only in files that the user names for it: presets come from others.
COMMANDS = {"command": Key(_text, TEXT)}
CASE = {
    "name": Key(_text, TEXT),
    "input": Key(_text, TEXT),
    "file": Key(_text, TEXT),
    "variables": Key(
        _variables,
        {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
    ),
    "seeds": Key(_seeds, {"anyOf": [COUNT, {"type": "array", "items": SEED, "minItems": 1}]}),
    "at_least": Key(_count, COUNT),
    "expect": Key(lambda value: value, _object({k: a.schema for k, a in ASSERTIONS.items()})),
}
SCHEMA = {
    "type": "array",
    "items": _object({name: key.schema for name, key in CASE.items()}, required=["expect"]),
}
