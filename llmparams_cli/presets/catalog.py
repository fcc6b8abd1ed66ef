"""The list of all presets, and what a preset says together with its parents."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.errors import PresetError
from llmparams_cli.params.conflicts import refuse_contradictions
from llmparams_cli.params.settings import Setting, Settings, Source, resolve
from llmparams_cli.presets.cascade import Gathered
from llmparams_cli.presets.document import Document, text_of
from llmparams_cli.presets.find import Found, available, find
from llmparams_cli.presets.parents import Reader, layer
from llmparams_cli.presets.write import Preset


@dataclass(frozen=True)
class Listed:
    """One preset in the list; `problem` says why it cannot be read."""

    name: str
    found: Found
    documents: list[Document] = field(default_factory=list)
    problem: str = ""

    @property
    def description(self) -> str:
        return self.documents[-1].description if self.documents else ""

    @property
    def tests(self) -> int:
        """The number of tests in its file."""
        return len(self.documents[-1].tests) if self.documents else 0

    @property
    def changes(self) -> list[Setting]:
        return changes(stacked(self.documents))


def listed(env: Environment) -> list[Listed]:
    """All presets, sorted by name; of several with one name, the nearest."""
    items = []
    reader = Reader(env)
    for name, (nearest, *shadowed) in sorted(available(env).items()):
        found = replace(nearest, shadowed=tuple(shadowed))
        try:
            items.append(Listed(name, found, reader.layer(found, Source.PRESET)))
        except PresetError as error:
            items.append(Listed(name, found, problem=error.message))
    return items


def gathered(documents: list[Document]) -> Gathered:
    """Several documents (the lowest first) as one."""
    together = Gathered()
    for document in documents:
        together.add(document)
    return together


def alone(name: str, env: Environment) -> Gathered:
    """What a preset and its parents say, ignoring configuration, variables and flags."""
    return gathered(layer(find(name, env), Source.PRESET, env))


def stacked(documents: list[Document]) -> Settings:
    """The table's defaults with these documents on top."""
    return resolve(gathered(documents).assignments)


def changes(settings: Settings) -> list[Setting]:
    """The values that differ from the table's defaults, and those for thinking alone."""
    return [e for e in settings.both if e.when_thinking or e.value != e.param.default]


def flattened(name: str, env: Environment) -> Preset:
    """The preset without `extends`: what it and its parents say, in one.

    Raises UsageError for values that contradict each other: no program could run with them.
    """
    found = find(name, env)
    documents = layer(found, Source.PRESET, env)
    together = gathered(documents)
    settings = resolve(together.assignments)
    refuse_contradictions(settings)
    return Preset(
        description=documents[-1].description,
        model=text_of(together.model),
        system=text_of(together.system),
        prompt=text_of(together.prompt),
        variables={name: text_of(default) for name, default in together.variables.items()},
        parameters=chosen(settings),
        thinking=chosen_for_thinking(settings),
    )


def chosen(settings: Settings) -> dict[str, Any]:
    """The values that some layer sets, in the table's order."""
    return {each.param.name: each.value for each in settings if not each.is_default}


def chosen_for_thinking(settings: Settings) -> dict[str, Any]:
    """The values that some layer sets for thinking alone."""
    return {each.param.name: each.value for each in settings.only_thinking}
