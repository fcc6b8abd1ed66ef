"""The model with the settings of a point in the space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from llmparams_cli.analysis.optimization import Trial
from llmparams_cli.backends.open import followed
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.evaluation.cases import Variant, groups
from llmparams_cli.jobs.optimization.space import PRESET, SYSTEM, Axis, Point
from llmparams_cli.jobs.prepare import Prepared, prepare, refuse_template
from llmparams_cli.params.conflicts import changed, remarks
from llmparams_cli.params.settings import Assignment
from llmparams_cli.presets import values

Base = tuple[str | float | int | None, str | float | int | None]  # a preset, a system text


@dataclass(frozen=True)
class Candidates:
    """Makes variants. `bases` are prepared beforehand: each preset with each system text."""

    env: Environment
    axes: Sequence[Axis]
    default: Variant
    bases: Mapping[Base, Prepared] = field(default_factory=dict)

    def assignments(self, point: Mapping[str, Any]) -> list[Assignment]:
        """The values of parameters at a point."""
        return values.in_layer(
            axis.assignment(dict(point), self.env.directory) for axis in self.axes if axis.target
        )

    def variant(self, point: Point) -> Variant:
        """The variant of a point; UsageError if its values contradict each other."""
        base = self.bases[point.get(PRESET), point.get(SYSTEM)]
        settings = changed(base.settings, self.assignments(point))
        refuse_template(settings, base.model)
        name = " ".join(f"{name}={value}" for name, value in point.items())
        return Variant(name, replace(base, settings=settings))

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
            f"{names} want different models or contexts, and one is loaded for all",
            "--model, --context and the like override both",
        )
    made = Candidates(env, axes, default, bases)
    _note_idle(made)
    return made


def _note_idle(made: Candidates) -> None:
    """A note for each parameter that varies and has no effect, as far as one point can tell."""
    point: Point = {
        axis.name: axis.choices[-1] if axis.choices else axis.high for axis in made.axes
    }
    prepared = made.variant(point).prepared
    varied = {axis.name for axis in made.axes}
    for setting, sentence in remarks(prepared.settings, followed(prepared.model)):
        if setting.name in varied:
            made.env.note(sentence)
