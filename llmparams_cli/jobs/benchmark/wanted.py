"""Every combination of models, parameters' values and pieces of work that is to be timed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.evaluation.models import prepared
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.models.resolve import GgufModel
from llmparams_cli.params.conflicts import changed
from llmparams_cli.params.kinds import Choice, Number
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source
from llmparams_cli.params.spec import Scope
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import values
from llmparams_cli.protocol import Work

MOST, MOST_DIGITS = 10**7, 9  # tokens, far beyond every context


@dataclass(frozen=True)
class Amounts:
    """How many tokens are read and written, how many are there already, in how many sequences."""

    read: Sequence[int]
    written: Sequence[int]
    depths: Sequence[int]
    widths: Sequence[int]

    def work(self) -> list[Work]:
        """Reading first, then writing, of each depth and width."""
        both = [(count, 0) for count in self.read if count]
        both += [(0, count) for count in self.written if count]
        if not both:
            raise UsageError("nothing is read and nothing is written", "-p 512 -n 128 is usual")
        places = product(self.widths, self.depths, both)
        return [Work(*each, depth, width) for width, depth, each in places]


@dataclass(frozen=True)
class Test:
    """A piece of work for a model, under a name that no other one has, with these settings;
    `values` are those that vary.
    """

    name: str
    model: GgufModel
    settings: Settings
    values: Mapping[str, str]
    work: Work


def numbers(flag: str, text: str, least: int) -> list[int]:
    """Several numbers with commas. Raises UsageError."""
    found = []
    for word in map(str.strip, text.split(",")):
        is_digits = word.isascii() and word.isdigit() and len(word) <= MOST_DIGITS
        if not is_digits or not least <= int(word) <= MOST:
            raise UsageError(
                f"{flag} {text}: {word!r} is no number from {least} to {MOST:,}",
                f"{flag} 128,512 takes two",
            )
        found.append(int(word))
    return [*dict.fromkeys(found)]


def tests(
    env: Environment, models: Sequence[str], flags: Mapping[str, Any], amounts: Amounts
) -> list[Test]:
    """All tests. Those that need the same weights in memory follow each other."""
    work = amounts.work()
    single, several = _split(flags)
    axes = _axes(env, several)
    typed = [*dict.fromkeys(models)]
    ready = prepared(env, typed, single)
    names = _names([_gguf(each) for each in ready], typed)
    return [
        Test(name, _gguf(each), settings, texts, piece)
        for name, each in zip(names, ready, strict=True)
        for settings, texts in _combinations(each, axes)
        for piece in work
    ]


def in_memory(test: Test) -> tuple[str, ...]:
    """What decides which weights are loaded, and how."""
    return (test.model.reference, *map(str, test.settings.of_scope(Scope.LOAD)))


def _names(models: Sequence[GgufModel], typed: Sequence[str]) -> list[str]:
    """What users call the models; or what was typed, where several have one name."""
    names = [each.known_as or each.name for each in models]
    return names if len({*names}) == len(names) else [*typed]


def _split(flags: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The flags with one value, and those with several."""
    several = {
        name: text.split(",")
        for name, text in flags.items()
        if isinstance(text, str) and "," in text and isinstance(PARAMS[name].kind, (Number, Choice))
    }
    return {name: value for name, value in flags.items() if name not in several}, several


def _axes(env: Environment, several: Mapping[str, Sequence[str]]) -> list[list[Assignment]]:
    """The values of each parameter that has several, checked; what a model is loaded with first."""
    axes = []
    for name in sorted(several, key=lambda name: PARAMS[name].scope is not Scope.LOAD):
        param = PARAMS[name]
        origin = Origin(Source.FLAG, param.flag)
        found = [values.given(param, [text], env.directory, param.flag) for text in several[name]]
        axes.append([Assignment(name, value, origin) for value in dict.fromkeys(found)])
    return axes


def _combinations(
    prepared: Prepared, axes: Sequence[Sequence[Assignment]]
) -> Iterator[tuple[Settings, dict[str, str]]]:
    for chosen in product(*axes):
        settings = prepared.settings
        if chosen:
            settings = changed(settings, values.in_layer(chosen))
        yield settings, {each.name: PARAMS[each.name].kind.show(each.value) for each in chosen}


def _gguf(prepared: Prepared) -> GgufModel:
    model = prepared.model
    if not isinstance(model, GgufModel):
        raise UsageError(f"{model.name} is a script: its speed says nothing", "name a model")
    return model
