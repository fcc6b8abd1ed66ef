"""The types that a parameter can have.

A kind turns text (flags, variables) and YAML or JSON values (files) into one checked
Python value, shows it again as text, and describes itself as JSON Schema. Errors are
`ValueError`s that name the value and what is allowed; the caller adds the parameter
and the place.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, replace
from typing import Any

LARGEST = sys.float_info.max
INT32_MAX = 2**31 - 1  # llama.cpp keeps counts in 32 bits; not worth mentioning to users
NONE = "none"  # on the command line: no grammar, no schema
VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"  # the name of one in Jinja
YAML_WORDS = {True: "on", False: "off"}  # YAML 1.1 reads a bare `on` or `off` as a boolean


class Kind:
    """How one parameter's value is read, checked, shown and described."""

    noun = "text"
    metavar = "TEXT"
    many = False  # may its flag be repeated?

    def parse(self, text: str) -> Any:
        """Read the value from a flag or an environment variable."""
        return self.check(text)

    def read(self, text: str) -> Any:
        """Read the value from a file's text."""
        return self.parse(text)

    def check(self, value: Any) -> Any:
        """Check a value from YAML or JSON, and return it in its canonical form."""
        raise NotImplementedError

    def whole(self, value: Any) -> Any:
        """What all texts of a repeated flag mean together, each of which was parsed."""
        return value

    def to_json(self, value: Any) -> Any:
        """The value as JSON and YAML can hold it; `check` reads it back."""
        return value

    def show(self, value: Any) -> str:
        """The value as text for people."""
        return str(value)

    def arguments(self, value: Any) -> list[str]:
        """The flag's arguments for this value: one for each time that it is repeated."""
        return [self.show(value)]

    def allowed(self) -> str:
        """The accepted values, in words."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """Describe the accepted values as JSON Schema (draft 2020-12)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Number(Kind):
    """A float or an integer in an interval, or one of a few named words.

    `low_open` and `high_open` exclude the bound itself. `special` values are allowed
    although they lie outside the interval (-1 for 'no limit'). Positive numbers under `zero_below`
    are 0: what is divided by them is beyond llama.cpp's floats.
    """

    integer: bool = False
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    special: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    zero_below: float = 0.0

    @property
    def noun(self) -> str:  # type: ignore[override]
        return "whole number" if self.integer else "number"

    @property
    def metavar(self) -> str:  # type: ignore[override]
        return "|".join([*self.words, "N" if self.integer else "X"])

    def parse(self, text: str) -> Any:
        if text in self.words:
            return text
        try:
            number = int(text) if self.integer else float(text)
        except ValueError as error:
            raise ValueError(f"{text!r} is not {self._expected()}") from error
        return self.check(number)

    def check(self, value: Any) -> Any:
        if isinstance(value, str) and value in self.words:
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)):  # a bool is an int
            raise ValueError(f"{value!r} is not {self._expected()}")
        # Written so that it also catches NaN, and integers that no float can hold.
        if not abs(value) <= LARGEST:
            raise ValueError(f"{value} is not a finite number")
        if self.integer and value != int(value):
            raise ValueError(f"{value} is not {self._expected()}")
        if value not in self.special and not self._inside(value):
            raise ValueError(f"{self.show(value)} is out of range: {self.interval()}")
        if 0 < value < self.zero_below:
            value = 0
        return int(value) if self.integer else float(value)

    def show(self, value: Any) -> str:
        return value if isinstance(value, str) else _shortest(value)

    def interval(self) -> str:
        """The allowed values in words: 'from 0 to 1', 'above 0', '-1, or 1 or more'."""
        others = [*map(self.show, self.special), *self.words]
        low = high = ""
        if self.low is not None:
            low = ("above " if self.low_open else "from ") + self.show(self.low)
        if self.high is not None:
            high = ("below " if self.high_open else "to ") + self.show(self.high)
        if low and not high and not self.low_open:
            low = f"{self.show(self.low)} or more"
        interval = " ".join(filter(None, [low, high])) or "any number"
        return ", ".join([*others, f"or {interval}"]) if others else interval

    def allowed(self) -> str:
        limits = replace(self, high=None) if self.high == INT32_MAX else self
        return limits.interval()

    def schema(self) -> dict[str, Any]:
        body: dict[str, Any] = {"type": "integer" if self.integer else "number"}
        if self.low is not None:
            body["exclusiveMinimum" if self.low_open else "minimum"] = self.low
        if self.high is not None:
            body["exclusiveMaximum" if self.high_open else "maximum"] = self.high
        others = [*self.special, *self.words]
        return {"anyOf": [body, {"enum": others}]} if others else body

    def _inside(self, value: float) -> bool:
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return False
        return not (
            self.high is not None and (value > self.high or (self.high_open and value == self.high))
        )

    def _expected(self) -> str:
        return " or ".join([f"a {self.noun}", *map(repr, self.words)])


def _shortest(number: float) -> str:
    """The shortest text that reads back as the same number: 2, 0.1, 1e-05."""
    return repr(number).removesuffix(".0")


class Switch(Kind):
    """On or off."""

    noun = "switch"
    metavar = "BOOL"

    def parse(self, text: str) -> bool:
        word = text.strip().lower()
        if word in ("1", "true", "yes", "on"):
            return True
        if word in ("0", "false", "no", "off"):
            return False
        raise ValueError(f"{text!r} is not true or false")

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is not true or false")
        return value

    def show(self, value: Any) -> str:
        return "true" if value else "false"

    def allowed(self) -> str:
        return "true or false"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Choice(Kind):
    """One word of a closed list."""

    words: tuple[str, ...]
    noun = "word"

    @property
    def metavar(self) -> str:  # type: ignore[override]
        return "|".join(self.words)

    def check(self, value: Any) -> str:
        word = YAML_WORDS[value] if isinstance(value, bool) else value
        if word not in self.words:
            raise ValueError(
                f"{value!r} is not one of {', '.join(self.words)}{did_you_mean(word, self.words)}"
            )
        return str(word)

    def allowed(self) -> str:
        return ", ".join(self.words)

    def schema(self) -> dict[str, Any]:
        truths = [value for value, word in YAML_WORDS.items() if word in self.words]
        return {"enum": [*self.words, *truths]}


class Text(Kind):
    """Free text; `presets.values` reads it from a file where `@FILE` is given."""

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not text")
        return value

    def allowed(self) -> str:
        return "any text"

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


class Grammar(Text):
    """A grammar in GBNF; the word `none` on the command line takes back that of a lower layer."""

    metavar = "GBNF|@FILE"

    def parse(self, text: str) -> str:
        return "" if text == NONE else self.check(_not_blank(text))

    def arguments(self, value: Any) -> list[str]:
        return [value or NONE]


class Regex(Text):
    """A regular expression; `none` on the command line takes back that of a lower layer."""

    noun = "regular expression"
    metavar = "REGEX"

    def parse(self, text: str) -> str:
        if not text:  # a blank may be all that is wanted
            _not_blank(text)
        return "" if text == NONE else self.check(text)

    def arguments(self, value: Any) -> list[str]:
        return [value or NONE]

    def allowed(self) -> str:
        return "a regular expression of ECMAScript"


class Model(Text):
    """A model by its name or path; the word `none` on the command line takes back that of a lower
    layer.
    """

    noun = "model"
    metavar = "MODEL"

    def parse(self, text: str) -> str:
        return "" if text == NONE else self.check(_not_blank(text))

    def arguments(self, value: Any) -> list[str]:
        return [value or NONE]

    def allowed(self) -> str:
        return "a name or a path"


class Template(Text):
    """A chat template in Jinja, or the name of one; empty is the model's own."""

    noun = "chat template"
    metavar = "FILE|NAME"

    def parse(self, text: str) -> str:
        return self.check(text.strip() if "{" not in text else text)

    def read(self, text: str) -> str:
        template = _in_json(text)
        if "{" not in template:
            raise ValueError("there is no chat template in it: it has no { of Jinja")
        return self.check(template)

    def arguments(self, value: Any) -> list[str]:
        return [value]

    def allowed(self) -> str:
        return "a file, a name, or Jinja"


def _in_json(text: str) -> str:
    """The chat template in one of the Hub's files in JSON; other texts as they are."""
    import json

    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return text
    found = found.get("chat_template") if isinstance(found, dict) else None
    if isinstance(found, list):  # of several, each with its name
        named = [each for each in found if isinstance(each, dict) and each.get("name") == "default"]
        found = named[0].get("template") if named else None
    if not isinstance(found, str):
        raise ValueError("there is no chat_template in this JSON")
    return found


class Arguments(Kind):
    """Values for the variables of a chat template, by name; its flag is given once for each."""

    noun = "mapping from names to values"
    metavar = "NAME=VALUE"
    many = True

    def parse(self, text: str) -> dict[str, Any]:
        import json

        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r} is not NAME=VALUE, such as enable_thinking=false")
        try:
            return self.check({name: json.loads(value)})
        except json.JSONDecodeError:
            return self.check({name: value})  # a text needs no quotes

    def check(self, value: Any) -> dict[str, Any]:
        import json

        if not isinstance(value, dict):
            raise ValueError(f"{value!r} is not a mapping from names to values")
        for name in value:
            if not isinstance(name, str) or not re.fullmatch(VARIABLE, name):
                raise ValueError(f"{name!r} is not the name of a variable")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"not JSON: {error}") from error
        return dict(value)

    def show(self, value: Any) -> str:
        return ",".join(self.arguments(value))

    def arguments(self, value: Any) -> list[str]:
        import json

        return [f"{name}={json.dumps(each, ensure_ascii=False)}" for name, each in value.items()]

    def allowed(self) -> str:
        return "any JSON value or text each"

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "propertyNames": {"pattern": f"^{VARIABLE}$"}}


class Texts(Kind):
    """A list of texts, none of them empty; its flag is given once for each."""

    noun = "list of texts"
    many = True

    def parse(self, text: str) -> list[str]:
        return self.check([text])

    def check(self, value: Any) -> list[str]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise ValueError(f"{value!r} is not a text or a list of texts")
        if "" in items:
            raise ValueError("an empty text is not allowed here")
        return list(items)

    def show(self, value: Any) -> str:
        import json

        return json.dumps(value, ensure_ascii=False)

    def arguments(self, value: Any) -> list[str]:
        return list(value)

    def allowed(self) -> str:
        return "texts, none empty"

    def schema(self) -> dict[str, Any]:
        item = {"type": "string", "minLength": 1}
        return {"anyOf": [item, {"type": "array", "items": item}]}


class Choices(Texts):
    """Texts of which none is named twice. Where flags and variables take one text each, a list may
    be given as JSON; the word `none` alone takes back those of a lower layer.
    """

    def check(self, value: Any) -> list[str]:
        items = super().check(_listed(value))
        for place, item in enumerate(items):
            if item in items[:place]:
                raise ValueError(f"{item!r} is named twice")
        return items

    def parse(self, text: str) -> list[str]:
        return self.check(text)

    def whole(self, value: Any) -> list[str]:
        return [] if value == [NONE] else self.check(value)

    def arguments(self, value: Any) -> list[str]:
        return list(value) or [NONE]

    def allowed(self) -> str:
        return "different texts, none empty"

    def schema(self) -> dict[str, Any]:
        item, several = super().schema()["anyOf"]
        return {"anyOf": [item, {**several, "uniqueItems": True}]}


def _listed(value: Any) -> Any:
    """What a text such as '["a", "b"]' stands for; other values as they are."""
    import json

    if isinstance(value, str) and value.lstrip().startswith('["'):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            pass
    return value


@dataclass(frozen=True)
class Words(Kind):
    """An ordered list of different words from a closed list."""

    words: tuple[str, ...]
    noun = "ordered list of words"
    metavar = "A,B,..."

    def parse(self, text: str) -> list[str]:
        # llama.cpp separates sampler names with semicolons.
        parts = (part.strip() for part in text.replace(";", ",").split(","))
        return self.check([part for part in parts if part])

    def check(self, value: Any) -> list[str]:
        if isinstance(value, str):
            return self.parse(value)
        if not isinstance(value, list):
            raise ValueError(f"{value!r} is not a list of {', '.join(self.words)}")
        for index, item in enumerate(value):
            if item not in self.words:
                raise ValueError(
                    f"{item!r} is not one of {', '.join(self.words)}"
                    f"{did_you_mean(item, self.words)}"
                )
            if item in value[:index]:
                raise ValueError(f"{item!r} is named twice")
        return list(value)

    def show(self, value: Any) -> str:
        return ",".join(value)

    def allowed(self) -> str:
        return ", ".join(self.words)

    def schema(self) -> dict[str, Any]:
        word = "|".join(self.words)
        return {
            "anyOf": [
                {"type": "array", "items": {"enum": list(self.words)}, "uniqueItems": True},
                {"type": "string", "pattern": rf"^\s*({word})(\s*[,;]\s*({word}))*\s*$"},
            ]
        }


class Floats(Kind):
    """A list of non-negative numbers, written with commas."""

    noun = "list of numbers"
    metavar = "X,X,..."

    def parse(self, text: str) -> list[float]:
        try:
            return self.check([float(part) for part in text.split(",") if part.strip()])
        except ValueError as error:
            raise ValueError(f"{text!r} is not a list of numbers of 0 or more") from error

    def check(self, value: Any) -> list[float]:
        items = value if isinstance(value, list) else [value]
        for item in items:
            Number(low=0).check(item)
        return [float(item) for item in items]

    def show(self, value: Any) -> str:
        return ",".join(map(_shortest, value))

    def allowed(self) -> str:
        return "0 or more each"

    def schema(self) -> dict[str, Any]:
        item = {"type": "number", "minimum": 0}
        return {"anyOf": [item, {"type": "array", "items": item}]}


class Biases(Kind):
    """Logit biases: token id or text → number in [-100, 100], or false to forbid the token.

    Written TOKEN=BIAS on the command line. A text stands for every token it consists of.
    false is kept as minus infinity, which JSON cannot hold.
    """

    noun = "mapping from tokens to numbers"
    metavar = "TOKEN=BIAS"
    many = True

    def parse(self, text: str) -> dict[str, float]:
        token, equals, bias = text.rpartition("=")  # the token itself may contain =
        if not equals or not token:
            raise ValueError(f"{text!r} is not TOKEN=BIAS, such as 42=-1.5 or ' the'=false")
        if bias == "false":
            return {token: -math.inf}
        try:
            number = float(bias)
        except ValueError as error:
            raise ValueError(f"{bias!r} in {text!r} is not a number or false") from error
        return self.check({token: number})

    def check(self, value: Any) -> dict[str, float]:
        if not isinstance(value, dict):
            raise ValueError(f"{value!r} is not a mapping from token to bias")
        if "" in value:
            raise ValueError("an empty text is not a token")
        return {str(token): self._bias(token, bias) for token, bias in value.items()}

    def _bias(self, token: Any, bias: Any) -> float:
        if bias is False or bias == -math.inf:
            return -math.inf
        try:
            return float(Number(low=-100, high=100).check(bias))
        except ValueError as error:
            raise ValueError(f"token {token!r}: {error}") from error

    def to_json(self, value: Any) -> Any:
        return {token: False if bias == -math.inf else bias for token, bias in value.items()}

    def show(self, value: Any) -> str:
        return ",".join(self.arguments(value))

    def arguments(self, value: Any) -> list[str]:
        pairs = ((t, "false" if b == -math.inf else _shortest(b)) for t, b in value.items())
        return [f"{token}={bias}" for token, bias in pairs]

    def allowed(self) -> str:
        return "-100 to 100, or false"

    def schema(self) -> dict[str, Any]:
        bias = {"anyOf": [{"type": "number", "minimum": -100, "maximum": 100}, {"const": False}]}
        return {
            "type": "object",
            "propertyNames": {"minLength": 1},
            "additionalProperties": bias,
        }


class JsonSchema(Kind):
    """A JSON Schema: a mapping in a file; inline JSON or `@FILE` on the command line, where the
    word `none` takes back that of a lower layer.
    """

    noun = "JSON Schema"
    metavar = "JSON|@FILE"

    def parse(self, text: str) -> Any:
        import json

        if text == NONE:
            return None
        try:
            value = json.loads(_not_blank(text), object_pairs_hook=_once)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
            ) from error
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        return self.check(value)

    def check(self, value: Any) -> Any:
        import json

        if value is not None and not isinstance(value, (dict, bool)):
            raise ValueError(f"{value!r} is not a JSON Schema (an object)")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"not JSON: {error}") from error  # a date, .inf or a circle in YAML
        return value

    def show(self, value: Any) -> str:
        import json

        return "" if value is None else json.dumps(value, ensure_ascii=False)

    def arguments(self, value: Any) -> list[str]:
        return [NONE if value is None else self.show(value)]

    def allowed(self) -> str:
        return "object, or JSON text"

    def schema(self) -> dict[str, Any]:
        return {"type": ["object", "boolean", "null"]}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Of two values for one name, one would be lost without a word."""
    from llmparams_cli.text.json_text import name_twice

    if (name := name_twice(pairs)) is not None:
        raise ValueError(f"{name!r} is given twice in one object: leave one out")
    return dict(pairs)


def _not_blank(text: str) -> str:
    """The text; an empty one is more likely a file that went missing than a wish."""
    if not text.strip():
        raise ValueError(f"it is empty; `{NONE}` switches it off")
    return text


def did_you_mean(word: object, words: Any) -> str:
    """'; did you mean X?' when `word` is close to one of `words`, else nothing."""
    from difflib import get_close_matches

    close = get_close_matches(str(word), list(words), n=1)
    return f"; did you mean {close[0]}?" if close else ""
