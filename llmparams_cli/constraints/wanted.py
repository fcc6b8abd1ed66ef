"""The constraint on the output that the settings ask for, as a grammar."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llmparams_cli.constraints.limits import limits
from llmparams_cli.constraints.matching import escaped
from llmparams_cli.errors import UsageError
from llmparams_cli.params.settings import Settings

if TYPE_CHECKING:
    from llmparams_cli.constraints.difference import Difference

EXAMPLE = 'a grammar is text such as root ::= "yes" | "no"; @FILE reads one'
SMALLER = "smaller numbers in braces help, or fewer and shorter alternatives"
ESCAPED = "a character that is meant literally has a backslash before it, as in \\( or \\."
MATCHED = "^ belongs to the beginning and $ to the end"
SPELLED_OUT = "write out the texts that are meant, as in (aa|bb) for (a|b)\\1"
SIMPLER = "docs/constraints.md says what of JSON Schema is followed"


class Notation(Enum):
    """In which a grammar is written, and so what follows it."""

    GBNF = "GBNF"
    LLGUIDANCE = "llguidance"


@dataclass(frozen=True)
class Constraint:
    """A grammar, where it was set, and the hint to give if it cannot be parsed."""

    notation: Notation
    grammar: str
    origin: str
    hint: str


def from_settings(settings: Settings, note: Callable[[str], None]) -> Constraint | None:
    """The constraint of `grammar`, `json_schema`, `regex` or `choices`, if one is set. `note` is
    called with what the grammar does otherwise than the schema. Raises UsageError for what cannot
    be followed.
    """
    if settings["grammar"]:
        origin = str(settings.setting("grammar").origin)
        gbnf = _checked(settings["grammar"], origin, note)
        return Constraint(Notation.GBNF, gbnf, origin, EXAMPLE)
    if settings["json_schema"] is not None:
        origin = str(settings.setting("json_schema").origin)
        grammar = _from_json_schema(settings["json_schema"], origin, note)
        return Constraint(Notation.LLGUIDANCE, grammar, origin, SIMPLER)
    if settings["regex"]:
        origin = str(settings.setting("regex").origin)
        return _of_regex(_whole(settings["regex"], origin), origin)
    if settings["choices"]:
        texts = "|".join(map(escaped, settings["choices"]))
        return _of_regex(texts, str(settings.setting("choices").origin))
    return None


def admits_too_much(settings: Settings) -> bool:
    """Can an answer that the constraint lets end be invalid under the JSON Schema?"""
    if settings["json_schema"] is None:
        return False
    _, _, differences = _followed(json.dumps(settings["json_schema"]))
    return any(difference.is_wider for difference in differences)


def _of_regex(rust: str, origin: str) -> Constraint:
    grammar, reason = _compiled(rust)
    if reason:
        raise UsageError(f"{origin}: it is too large: {reason}", SMALLER)
    return Constraint(Notation.LLGUIDANCE, grammar, origin, SMALLER)


@lru_cache(maxsize=16)
def _compiled(rust: str) -> tuple[str, str]:
    """The grammar of a regular expression, and the reason why it cannot be followed, if any."""
    from llguidance import LLMatcher

    grammar = LLMatcher.grammar_from_regex(rust)
    reason = LLMatcher.validate_grammar(grammar, limits=limits())
    return grammar, reason.partition("\n")[0]


def _whole(regex: str, origin: str) -> str:
    """In Rust's syntax; raises UsageError."""
    from llmparams_cli.constraints.patterns import pattern

    try:
        return pattern.whole(regex)
    except pattern.MatchesNothing as error:
        raise UsageError(f"{origin}: no text matches this regular expression", MATCHED) from error
    except pattern.Malformed as error:
        raise UsageError(f"{origin}: not a regular expression: {error}", ESCAPED) from error
    except pattern.NoCounterpart as error:
        raise UsageError(
            f"{origin}: this regular expression cannot be followed: {error}", SPELLED_OUT
        ) from error


def _checked(gbnf: str, origin: str, note: Callable[[str], None]) -> str:
    """A grammar that llama.cpp can follow."""
    from llmparams_cli.constraints.gbnf.checks import checked
    from llmparams_cli.constraints.gbnf.rules import Fault

    try:
        for each in checked(gbnf).notes:
            note(f"{origin}: {each}")
    except Fault as fault:
        raise UsageError(f"{origin}: {fault}", fault.cure) from fault
    return gbnf


def _from_json_schema(schema: Any, origin: str, note: Callable[[str], None]) -> str:
    from llmparams_cli.constraints.difference import NotFollowed, told

    try:
        grammar, notes, differences = _followed(json.dumps(schema))
    except NotFollowed as error:
        raise UsageError(
            f"{origin}: this JSON Schema cannot be followed: {error}", SIMPLER
        ) from error
    for line in (*notes, told(differences)):
        if line:
            note(f"json_schema ({origin}): {line}")
    return grammar


@lru_cache(maxsize=16)
def _followed(schema: str) -> tuple[str, list[str], list[Difference]]:
    from llmparams_cli.constraints.reading import read
    from llmparams_cli.constraints.schema import followed

    found = read.schema_of(json.loads(schema))
    grammar, differences = followed(found.schema)
    return grammar, found.notes, differences
