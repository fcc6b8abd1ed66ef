"""Values with their origins: layers are stacked from low to high, and the highest wins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
    ROW = "row"
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


def label(name: str, when_thinking: bool) -> str:
    """The parameter as users write it: temperature, or thinking.temperature."""
    return THINKING + name if when_thinking else name


@dataclass(frozen=True)
class Assignment:
    """One checked value for one parameter, as one layer gives it; perhaps only for the time in
    which the model thinks.
    """

    name: str
    value: Any
    origin: Origin
    when_thinking: bool = False

    @property
    def label(self) -> str:
        """As users write it: temperature, or thinking.temperature."""
        return label(self.name, self.when_thinking)


@dataclass(frozen=True)
class Setting:
    """The value that won, and those it overrode (the highest layer first). One for both times may
    have overridden one that was for thinking alone.
    """

    param: Param
    value: Any
    origin: Origin
    overrode: tuple[Assignment, ...] = ()
    when_thinking: bool = False

    @property
    def name(self) -> str:
        """As users write it: temperature, or thinking.temperature."""
        return label(self.param.name, self.when_thinking)

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
        """The settings that count only while the model thinks."""
        return [setting for setting in self._thinking.values() if setting.when_thinking]

    @property
    def both(self) -> Iterator[Setting]:
        """Every setting, and after it the one that takes its place while the model thinks."""
        for name, setting in self._settings.items():
            yield setting
            if self._thinking[name].when_thinking:
                yield self._thinking[name]

    def setting(self, name: str) -> Setting:
        return self._settings[name]

    def named(self, name: str) -> Setting:
        """The setting of this name; thinking.temperature is what counts then, whoever set it."""
        if name.startswith(THINKING):
            return self._thinking[name.removeprefix(THINKING)]
        return self._settings[name]

    def of_scope(self, scope: Scope) -> list[Any]:
        """The values of this scope: whoever keeps a model or a context compares them."""
        return [each.value for each in self if each.param.scope is scope]

    def but(self, new: Assignment) -> Settings:
        """A copy with one more value on top."""
        settings, thinking = dict(self._settings), dict(self._thinking)
        _put(new, settings, thinking)
        return Settings(settings, thinking)

    def at(self, setting: Setting, value: Any, origin: Origin) -> Settings:
        """A copy with another value in the place of this setting's: in the answer, while the model
        thinks, or, where both share it, in both.
        """
        new = Assignment(setting.param.name, value, origin, setting.when_thinking)
        if setting.when_thinking or not self._thinking[new.name].when_thinking:
            return self.but(new)
        return Settings({**self._settings, new.name: _over(setting, new)}, self._thinking)


def resolve(assignments: Iterable[Assignment]) -> Settings:
    """Stack assignments, lowest layer first, on the table's defaults.

    Each assignment replaces the value below it: the values of a flag that repeats (`--stop`,
    `--logit-bias`) must have been joined into one assignment before.
    """
    settings = {p.name: Setting(p, p.default, DEFAULT) for p in PARAMS.values()}
    thinking = dict(settings)
    for new in assignments:
        _put(new, settings, thinking)
    return Settings(settings, thinking)


def differences(one: Settings, other: Settings) -> list[tuple[str, Setting, Setting]]:
    """The settings whose values differ, by the names that users write. One for thinking alone is
    compared with what the other has then.
    """
    pairs = zip(one, other, strict=True)
    found = [(a.name, a, b) for a, b in pairs if a.value != b.value]
    for a, b in zip(one.thinking, other.thinking, strict=True):
        if (a.when_thinking or b.when_thinking) and a.value != b.value:
            found.append((label(a.param.name, True), a, b))
    return found


def _put(new: Assignment, settings: dict[str, Setting], thinking: dict[str, Setting]) -> None:
    """Put one more value on top, in what counts in the answer and in what counts in thoughts. The
    two share a setting unless one for thinking alone is the highest.
    """
    name = new.name
    if new.when_thinking:
        thinking[name] = _over(thinking[name], new)
        return
    own = thinking[name]
    lost = (_below(own),) if own.when_thinking else ()
    settings[name] = thinking[name] = _over(settings[name], new, *lost)


def _over(old: Setting, new: Assignment, *lost: Assignment) -> Setting:
    overrode = (*lost, _below(old), *old.overrode)
    return Setting(old.param, new.value, new.origin, overrode, new.when_thinking)


def _below(old: Setting) -> Assignment:
    return Assignment(old.param.name, old.value, old.origin, old.when_thinking)
