"""The model with the settings of a point in the space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from llmparams_cli.analysis.optimization import Trial
from llmparams_cli.backends.open import followed
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.evaluation.cases import Variant, groups, refuse_missing_adapters
from llmparams_cli.jobs.optimization.space import OVER, PRESET, SYSTEM, Axis, Point, key, samples
from llmparams_cli.jobs.prepare import Prepared, prepare, refuse_template
from llmparams_cli.params.conflicts import changed, remarks
from llmparams_cli.params.settings import Assignment, Setting
from llmparams_cli.presets import values

Base = tuple[str | float | int | None, str | float | int | None]  # a preset, a system text


@dataclass(frozen=True)
class Candidates:
    """Makes variants. `bases` are prepared beforehand: each preset with each system text."""

    env: Environment
    axes: Sequence[Axis]
    default: Variant
    bases: Mapping[Base, Prepared] = field(default_factory=dict)
    _settled: dict[Any, Point | None] = field(default_factory=dict)  # asked again for every batch

    def assignments(self, point: Mapping[str, Any]) -> list[Assignment]:
        """The values of parameters at a point."""
        return values.in_layer(
            axis.assignment(dict(point)) for axis in self.axes if axis.target and axis.name in point
        )

    def variant(self, point: Point) -> Variant:
        """The variant of a point; UsageError if its values contradict each other."""
        base = self.bases[point.get(PRESET), point.get(SYSTEM)]
        settings = changed(base.settings, self.assignments(point))
        refuse_template(settings, base.model)
        name = " ".join(f"{name}={value}" for name, value in point.items())
        return Variant(name, replace(base, settings=settings))

    def adapters(self) -> list[Path]:
        """The files of all adapters that a trial may have."""
        from llmparams_cli.backends.llama.machine import lora_adapters

        variants = [self.default, *(self.variant(point) for point in self._possible())]
        found = [lora_adapters(each.prepared.settings) for each in variants]
        return sorted({path for adapters in found for path, _scale in adapters})

    def _possible(self) -> Iterator[Point]:
        """Those of the samples of the space that do not contradict themselves."""
        for point in samples(self.axes):
            with suppress(UsageError):
                self.variant(point)
                yield point

    def settled(self, point: Point) -> Point | None:
        """The point without what has no effect there, such as top_k beside mirostat: of points with
        equal effects one is tried. None if its values contradict each other.
        """
        known = key(point)
        if known not in self._settled:
            self._settled[known] = self._without_idle(point)
        return self._settled[known]

    def _without_idle(self, point: Point) -> Point | None:
        try:
            idle = {setting.name for setting, _ in self._idle(point)}
        except UsageError:
            return None
        return {name: value for name, value in point.items() if name not in idle}

    def _idle(self, point: Point) -> list[tuple[Setting, str]]:
        """What varies and has no effect at a point, with the reasons."""
        prepared = self.variant(point).prepared
        return remarks(
            prepared.settings, followed(prepared.model), lambda each: each.origin is OVER
        )

    def check(self) -> None:
        """Raise for a file that is missing or a space in which nothing can be tried, or nothing has
        an effect. Print a note for each parameter that varies in vain.
        """
        in_vain: dict[str, str] | None = None
        errors = []
        for point in samples(self.axes):
            try:
                variant, idle = self.variant(point), self._idle(point)
            except UsageError as error:
                errors.append(error)
                continue
            refuse_missing_adapters([variant])
            found = {setting.name: sentence for setting, sentence in idle}
            before = found if in_vain is None else in_vain
            in_vain = {name: sentence for name, sentence in before.items() if name in found}
        if in_vain is None:
            raise errors[0]
        if len(in_vain) == len(self.axes):
            raise UsageError("; ".join(in_vain.values()), "let something else vary")
        for sentence in in_vain.values():
            self.env.note(sentence)

    def of(self, trial: Trial) -> Variant:
        """The variant of a trial; the default's has no values."""
        return self.variant(dict(trial.values)) if trial.values else self.default


def candidates(
    env: Environment, axes: Sequence[Axis], presets: Sequence[str], flags: Mapping[str, Any]
) -> Candidates:
    """Prepare the default (without --over) and every preset with every system text."""
    default = Variant("default", prepare(env, presets, flags))
    named = {axis.name: axis.choices for axis in axes}
    bases: dict[Base, Prepared] = {}
    for preset, system in product(named.get(PRESET, (None,)), named.get(SYSTEM, (None,))):
        above = {} if system is None else {"system": system}
        if preset is None and system is None:
            bases[None, None] = default.prepared
        else:
            names = [*presets, preset] if preset else presets
            bases[preset, system] = prepare(env, names, {**flags, **above})
    every = [default, *(Variant(str(base[0] or base[1]), each) for base, each in bases.items())]
    if len(found := groups(every)) > 1:
        names = " and ".join(every[group[0]].name for group in found[:2])
        raise UsageError(
            f"{names} want different models, and one is loaded for all",
            "--model overrides both",
        )
    return Candidates(env, axes, default, bases)
