"""Values with their origins: layers go in from low to high, the last one wins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from llmparams_cli.params.spec import Param
from llmparams_cli.params.table import PARAMS


class Source(str, Enum):
    """The layers, from the lowest to the highest."""

    DEFAULT = "default"
    MODEL = "model"
    CONFIG = "config"
    PROJECT = "project"
    PRESET = "preset"
    ENVIRONMENT = "environment"
    FLAG = "flag"
    CHAT = "chat"


@dataclass(frozen=True)
class Origin:
    """Where a value was written.

    `name` is the preset's; outside files that of a flag, a variable, a key of the model's
    metadata or a command of the chat. `file` is the path as messages show it.
    """

    source: Source
    name: str = ""
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """For people: file:line, or the name."""
        return f"{self.file}:{self.line}" if self.file else self.name

    def __str__(self) -> str:
        return f"{self.source.value} {self.place}".rstrip()


DEFAULT = Origin(Source.DEFAULT)


@dataclass(frozen=True)
class Assignment:
    """One checked value for one parameter, as one layer gives it."""

    name: str
    value: Any
    origin: Origin


@dataclass(frozen=True)
class Setting:
    """The value that won, and those it overrode (the latest first)."""

    param: Param
    value: Any
    origin: Origin
    overrode: tuple[Assignment, ...] = ()

    @property
    def is_default(self) -> bool:
        return self.origin.source is Source.DEFAULT


class Settings:
    """All parameters, resolved. `settings["top_k"]` is the value."""

    def __init__(self, settings: dict[str, Setting]) -> None:
        self._settings = settings

    def __getitem__(self, name: str) -> Any:
        return self._settings[name].value

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._settings.values())

    def setting(self, name: str) -> Setting:
        return self._settings[name]

    def but(self, new: Assignment) -> Settings:
        """The same, with one more value on top."""
        return Settings({**self._settings, new.name: _over(self._settings[new.name], new)})


def resolve(assignments: Iterable[Assignment]) -> Settings:
    """Stack assignments, lowest layer first, upon the table's defaults.

    Flags that repeat (`--stop`, `--logit-bias`) are expected joined by their layer:
    here every assignment replaces the value below it.
    """
    settings = {p.name: Setting(p, p.default, DEFAULT) for p in PARAMS.values()}
    for new in assignments:
        settings[new.name] = _over(settings[new.name], new)
    return Settings(settings)


def _over(old: Setting, new: Assignment) -> Setting:
    below = Assignment(new.name, old.value, old.origin)
    return Setting(old.param, new.value, new.origin, (below, *old.overrode))
