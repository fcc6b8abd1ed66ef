"""Values with their origins: layers are stacked from low to high, and the highest wins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from llmparams_cli.params.spec import Param, Scope
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

    `name` is the preset's name; for a value that is in no file, the flag, the variable, the
    key in the model's metadata or the chat's command. `file` is the path as messages show it.
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


THINKING = "thinking."  # before the name of a parameter: its value while the model thinks
DEFAULT = Origin(Source.DEFAULT)


@dataclass(frozen=True)
class Assignment:
    """One checked value for one parameter, as one layer gives it; perhaps only for the time in
    which the model thinks.
    """

    name: str
    value: Any
    origin: Origin
    when_thinking: bool = False


@dataclass(frozen=True)
class Setting:
    """The value that won, and those it overrode (the highest layer first)."""

    param: Param
    value: Any
    origin: Origin
    overrode: tuple[Assignment, ...] = ()
    when_thinking: bool = False

    @property
    def name(self) -> str:
        """As users write it: temperature, or thinking.temperature."""
        return THINKING + self.param.name if self.when_thinking else self.param.name

    @property
    def is_default(self) -> bool:
        return self.origin.source is Source.DEFAULT


class Settings:
    """The resolved values of all parameters: `settings["top_k"]` is a value. Immutable.

    `thinking` are those while the model thinks: the same, but for values that count only then. A
    value for both overrides such a one of a lower layer.
    """

    def __init__(
        self, settings: dict[str, Setting], thinking: dict[str, Setting] | None = None
    ) -> None:
        self._settings = settings
        self._thinking = settings if thinking is None else thinking

    def __getitem__(self, name: str) -> Any:
        return self._settings[name].value

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._settings.values())

    @property
    def thinking(self) -> Settings:
        return Settings(self._thinking)

    @property
    def only_thinking(self) -> list[Setting]:
        """The settings whose values are others while the model thinks: those of then."""
        return [
            replace(setting, when_thinking=True)
            for name, setting in self._thinking.items()
            if setting.value != self._settings[name].value
        ]

    def setting(self, name: str) -> Setting:
        return self._settings[name]

    def of_scope(self, scope: Scope) -> list[Any]:
        """The values of this scope: whoever keeps a model or a context compares them."""
        return [each.value for each in self if each.param.scope is scope]

    def but(self, new: Assignment) -> Settings:
        """A copy with one more value on top."""
        thinking = _with(self._thinking, new)
        if new.when_thinking:
            return Settings(self._settings, thinking)
        return Settings(_with(self._settings, new), thinking)

    def at(self, setting: Setting, value: Any, origin: Origin) -> Settings:
        """A copy with another value in the place of this setting's: in the answer, while the model
        thinks, or, where both share it, in both.
        """
        new = Assignment(setting.param.name, value, origin, setting.when_thinking)
        if setting.when_thinking or self._thinking[new.name].value == setting.value:
            return self.but(new)
        return Settings(_with(self._settings, new), self._thinking)


def resolve(assignments: Iterable[Assignment]) -> Settings:
    """Stack assignments, lowest layer first, on the table's defaults.

    Each assignment replaces the value below it: the values of a flag that repeats (`--stop`,
    `--logit-bias`) must have been joined into one assignment before.
    """
    settings = {p.name: Setting(p, p.default, DEFAULT) for p in PARAMS.values()}
    thinking = dict(settings)
    for new in assignments:
        thinking[new.name] = _over(thinking[new.name], new)
        if not new.when_thinking:
            settings[new.name] = _over(settings[new.name], new)
    return Settings(settings, thinking)


def _with(settings: dict[str, Setting], new: Assignment) -> dict[str, Setting]:
    return {**settings, new.name: _over(settings[new.name], new)}


def _over(old: Setting, new: Assignment) -> Setting:
    below = Assignment(new.name, old.value, old.origin)
    return Setting(old.param, new.value, new.origin, (below, *old.overrode))
