"""--grid NAME=A,B: every combination of parameters' values, a variant each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.prepare import Prepared, refuse_template
from llmparams_cli.params.conflicts import changed
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source
from llmparams_cli.params.spec import Param
from llmparams_cli.presets import values

GRID = Origin(Source.FLAG, "--grid")


@dataclass(frozen=True)
class Point:
    """One combination: what is assigned, and each value as a name has it."""

    assignments: tuple[Assignment, ...]
    texts: dict[str, str]

    @property
    def name(self) -> str:
        """'temperature=0.2 top_p=0.9'; empty for the only point of no grid."""
        return " ".join(f"{label}={text}" for label, text in self.texts.items())

    def settings(self, prepared: Prepared) -> Settings:
        """The settings at this point; UsageError if they contradict each other."""
        settings = changed(prepared.settings, values.in_layer(self.assignments))
        refuse_template(settings, prepared.model)
        return settings


def points(
    env: Environment, grids: Sequence[str], refuse: Callable[[Param], None]
) -> Iterator[Point]:
    """Every combination of the values of all grids, one without values if there is no grid.
    `refuse` raises for a parameter that cannot vary here.
    """
    for chosen in product(*[_axis(env, text, refuse) for text in grids]):
        assignments = tuple(assignment for assignment, _ in chosen)
        yield Point(assignments, {each.label: text for each, text in chosen})


def _axis(
    env: Environment, text: str, refuse: Callable[[Param], None]
) -> list[tuple[Assignment, str]]:
    """Read NAME=V1,V2,…: each value, and the text that names it."""
    name, listed = values.pair(text)
    target = values.target(name, GRID.place)
    param = target.param
    refuse(param)
    if not listed:
        raise UsageError(f"--grid {text!r} has no values", f"--grid {name}=A,B,C")
    place = f"{GRID.place} {name}"
    axis = []
    for written in listed.split(","):
        value = values.given(param, [written], env.directory, place)
        # What is in a file, or where it is, is too long for a name.
        as_written = param.reads_file or param.name in values.PATHS
        shown = written.strip() if as_written else param.kind.show(value)
        axis.append((Assignment(param.name, value, GRID, target.when_thinking), shown))
    return axis
