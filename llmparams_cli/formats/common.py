"""Shared by all formats: imported and exported presets, and reports of what does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from llmparams_cli.errors import PresetError
from llmparams_cli.params.spec import Scope
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.nodes import Mark, Node
from llmparams_cli.text.shorten import brief

# These four shape the output even at this program's defaults; other programs may have them off.
SHAPING = ("temperature", "top_k", "top_p", "min_p")
PENALTIES = ("repeat_penalty", "frequency_penalty", "presence_penalty")
REPETITION = (*PENALTIES, "dry_multiplier")
NOT_SAMPLERS = ("repeat_last_n", "dry_last_n", "penalize_prompt", "logit_bias", "grammar")

Entries = dict[str, Node]


@dataclass(frozen=True)
class Loss:
    """A part of a preset that the other program treats differently, or lacks.

    `kind`: 'lost', 'changed', 'reordered' (sampler stages) or 'filled' (a missing value for
    which the other program has a default of its own).
    """

    kind: str
    what: str
    reason: str


@dataclass
class Imported:
    """A preset of another program, with checked values under this program's names.

    `section` is its name in a file that holds several.
    """

    name: str
    description: str = ""
    model: str | None = None
    system: str | None = None
    prompt: str | None = None
    variables: dict[str, str | None] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    section: str = ""

    @property
    def is_empty(self) -> bool:
        return not any((self.parameters, self.model, self.system, self.prompt))


@dataclass(frozen=True)
class Exported:
    """A preset to be written for another program; `parameters` are only those that it sets, and
    `thinking` those that it sets for thinking alone.
    """

    name: str
    description: str = ""
    model: str | None = None
    system: str | None = None
    prompt: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    thinking: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """How a program's files are recognised.

    `keys` are the top-level names in them. `marks` are more of them, by which the program is
    known, as hardly another one has them; a file without any must have no other names than
    these. Of `needs`, if there are some, one must be there beside a mark. `file_name` is a
    pattern that decides between programs with the same keys; by default, it matches nothing.
    """

    program: str
    syntax: str
    keys: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    file_name: str = "(?!)"

    def knows(self, given: Collection[str]) -> int:
        """How many of these keys are the program's; 0 if they do not tell its files."""
        known = len((self.keys | self.marks | self.needs).intersection(given))
        if self.needs:
            is_its = not self.needs.isdisjoint(given) and not self.marks.isdisjoint(given)
        else:
            is_its = known == len(given) or not self.marks.isdisjoint(given)
        return known if is_its else 0


@dataclass(frozen=True, kw_only=True)
class Format(Signature):
    """A program's files that are read, and perhaps written, here."""

    name: str
    read: Callable[[str, str], list[Imported]]
    write: Callable[[Exported], tuple[str, list[Loss]]] | None = None


def words(text: str) -> frozenset[str]:
    """Names in a text, divided by blanks."""
    return frozenset(text.split())


def elsewhere(program: str) -> dict[str, str]:
    """Parameter name → its name in one of the programs that the parameter table covers. What shapes
    prompts is left out: its values have forms of their own (see `thinking`).
    """
    params = (param for param in PARAMS.values() if param.scope is not Scope.PROMPT)
    names = {param.name: getattr(param.elsewhere, program) for param in params}
    return {name: other for name, other in names.items() if other}


def stem(place: str) -> str:
    """A preset's name from the file it is in."""
    return slug(PurePath(place).name.partition(".")[0])


def slug(text: str) -> str:
    """The text as a name that a preset can have."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "imported"


def hub_name(model: str) -> str:
    """The user/repository[:quantisation] on the Hub that a model's name means, or ''."""
    name = re.sub(r"^(https://)?(hf\.co|huggingface\.co)/", "", model)
    is_name = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+(:[\w.-]+)?", name)
    return name if is_name and not name.endswith(".gguf") else ""


def problem(place: str, mark: Mark | None, reason: str, hint: str = "") -> PresetError:
    """A PresetError at a place in a file."""
    where = f"{place}:{mark.line}" if mark else place
    return PresetError(f"{where}: {brief(reason)}", hint)


def is_sampler(name: str) -> bool:
    """Does the parameter shape the choice of a token, and can it be switched off?"""
    param = PARAMS[name]
    return param.scope is Scope.SAMPLING and param.neutral is not None and name not in NOT_SAMPLERS


def does_nothing(name: str, value: Any) -> bool:
    """Can the value be left out without any loss?"""
    param = PARAMS[name]
    neutral = param.default if param.neutral is None else param.neutral
    # llama.cpp switches top-n-sigma off at 0 as well as at -1.
    return bool(value == neutral) or (name == "top_n_sigma" and value == 0)
