"""The constraint on the output that the settings ask for, as a grammar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from llmparams_cli.errors import UsageError
from llmparams_cli.params.settings import Settings

EXAMPLE = 'a grammar is text such as root ::= "yes" | "no"; @FILE reads one'
CONVERTED = "the JSON Schema was turned into a grammar that does not work"


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
    """The constraint of `grammar` or `json_schema`, if one is set. `note` is called with the
    keywords that are not enforced. Raises UsageError for a schema that cannot be translated.
    """
    if settings["grammar"]:
        origin = str(settings.setting("grammar").origin)
        return Constraint(Notation.GBNF, _checked(settings["grammar"], origin), origin, EXAMPLE)
    if settings["json_schema"] is not None:
        origin = str(settings.setting("json_schema").origin)
        gbnf = _from_json_schema(settings["json_schema"], origin, note)
        return Constraint(Notation.GBNF, _checked(gbnf, origin), origin, CONVERTED)
    return None


def _checked(gbnf: str, origin: str) -> str:
    """A grammar that llama.cpp can follow; without the byte order mark of other editors."""
    from llmparams_cli.constraints.gbnf_checks import checked
    from llmparams_cli.constraints.gbnf_rules import Fault

    gbnf = gbnf.removeprefix("\ufeff")
    try:
        checked(gbnf)
    except Fault as fault:
        raise UsageError(f"{origin}: {fault}", fault.cure) from fault
    return gbnf


def _from_json_schema(schema: Any, origin: str, note: Callable[[str], None]) -> str:
    from llmparams_cli.constraints import json_schema

    try:
        gbnf, unenforced = json_schema.to_gbnf(schema)
    except RecursionError as error:
        raise UsageError(f"{origin}: this JSON Schema is nested too deeply") from error
    except (ValueError, TypeError, AttributeError) as error:  # whatever a non-schema leads to
        raise UsageError(f"{origin}: this JSON Schema cannot be followed: {error}") from error
    if unenforced:
        note(f"json_schema ({origin}) does not enforce {', '.join(unenforced)}: check the output")
    return gbnf
