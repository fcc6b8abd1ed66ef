"""`llmparams params`: the table of parameters for people and for scripts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.params.kinds import Kind
from llmparams_cli.params.reference import facts, shown
from llmparams_cli.params.spec import Param
from llmparams_cli.params.table import GROUPS, PARAMS, by_group
from llmparams_cli.protocol import ParamEffect
from llmparams_cli.render.bars import bar
from llmparams_cli.render.styles import BOLD, DIM, styled
from llmparams_cli.render.terminal import columns
from llmparams_cli.text.safe import encodable
from llmparams_cli.text.shorten import beginning

NAME, DEFAULT, ALLOWED = 21, 10, 22  # columns of the list
ONE_LINE_EACH = 130  # from this width on, the meaning is on the same line
WIDEST = 88  # wider paragraphs are hard to read

BAR, SHORTEST_BAR = 16, 4
BESIDE_BARS = 21  # columns of the numbers and gaps beside the two bars
LONGEST_VALUE = 24
CUT = "..."  # the mark for a part that was cut


class ParamsView:
    """Prints parameters to stdout; a pipe gets one line for each in the list."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._color = env.wants_color("auto", env.stdout)
        self._width = columns(env, env.stdout) if env.stdout_is_tty else None

    def all(self) -> None:
        """Print every parameter, under the headings of the taxonomy."""
        for group, params in by_group().items():
            self._write(self._styled(group.value, BOLD))
            for line in self._wrap(GROUPS[group], "  "):
                self._write(self._styled(line, DIM))
            for param in params:
                self._list_item(param)
            self._write("")
        self._write("One in full: llmparams params NAME")

    def one(self, param: Param) -> None:
        """Print everything about one parameter."""
        self._write(self._styled(param.name, BOLD))
        for line in self._wrap(param.meaning, "  "):
            self._write(line)
        self._write("")
        rows = list(facts(param))
        label_width = max(len(fact.label) for fact in rows)
        for fact in rows:
            label = f"  {fact.label:<{label_width}}  "
            first, *others = self._wrap(fact.text, " " * len(label))
            self._write(self._styled(label, DIM) + first[len(label) :])
            for line in others:
                self._write(line)

    def effect(self, param: Param, effect: ParamEffect) -> None:
        """A small plot: what is left to chance, and how many draws change, at each value."""
        on = f"with {' and '.join(effect.beside)}, all other" if effect.beside else "all other"
        self._write("")
        self._prose(f"its effect on {effect.text}, {on} samplers off")
        against = f"{param.name} {beginning(effect.against, LONGEST_VALUE, CUT)}"
        self._prose(f"changed: the share of draws that come out otherwise than with {against}")
        room = (self._width or WIDEST) - BESIDE_BARS
        longest = min(LONGEST_VALUE, room - 2 * SHORTEST_BAR)
        values = [beginning(point.value, longest, CUT) for point in effect.points]
        widest = max(map(len, ["value", *values]))
        width = max(SHORTEST_BAR, min(BAR, (room - widest) // 2))
        head = f"  {'value':>{widest}}  {'left to chance':<{width + 10}}  changed"
        self._write(self._styled(head, BOLD))
        most = max(1.0, *(point.entropy for point in effect.points))
        for point, value in zip(effect.points, values, strict=True):
            chance = f"{self._bar(point.entropy / most, width)} {point.entropy:>4.1f} bits"
            changed = f"{self._bar(point.changed, width)} {point.changed:>4.0%}"
            self._write(f"  {value:>{widest}}  {chance}  {changed}")

    def no_effect(self, why: str) -> None:
        """Say why there is no plot."""
        self._write("")
        self._prose(f"no plot of its effect: {why}")

    def _prose(self, text: str) -> None:
        for line in self._wrap(text, "  "):
            self._write(self._styled(line, DIM))

    def _bar(self, share: float, width: int) -> str:
        return bar(share, width, self._env.stdout)

    def json(self, param: Param | None, effect: ParamEffect | None = None) -> None:
        """Every field of one parameter, or of all as a list."""
        import json

        document: Any = param_object(param) if param else [*map(param_object, PARAMS.values())]
        if effect:
            document["effect"] = [dataclasses.asdict(point) for point in effect.points]
            document["effect_against"] = effect.against
            document["effect_beside"] = list(effect.beside)
            document["effect_text"] = effect.text
        self._write(json.dumps(document, indent=2, allow_nan=False))

    def _list_item(self, param: Param) -> None:
        default = beginning(shown(param, param.default), DEFAULT, CUT)
        start = f"{default:<{DEFAULT}}  {beginning(param.kind.allowed(), ALLOWED, CUT):<{ALLOWED}}"
        name = self._styled(f"{param.name:<{NAME}}", BOLD)
        if self._width is None or self._width >= ONE_LINE_EACH:
            self._write(f"  {name}  {start}  {param.summary}")
            return
        room = self._width - NAME - 4
        self._write(f"  {name}  {beginning(start.rstrip(), room, CUT)}")
        for line in self._wrap(param.summary, "      "):
            self._write(self._styled(line, DIM))

    def _wrap(self, text: str, indent: str) -> list[str]:
        """Lines of at most the terminal's width; a pipe gets the text in one line."""
        import textwrap

        if self._width is None:
            return [indent + text]
        width = max(min(self._width, WIDEST), len(indent) + 16)
        return textwrap.wrap(
            text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )

    def _styled(self, text: str, style: str) -> str:
        return styled(text, style, self._color)

    def _write(self, line: str) -> None:
        self._env.stdout.write(encodable(line.rstrip(), self._env.stdout) + "\n")


def param_object(param: Param) -> dict[str, Any]:
    """Every field of a row, for JSON; `schema` stands for the kind."""
    return dict(_fields(param))


def _fields(param: Param) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(param):
        value = getattr(param, field.name)
        if isinstance(value, Kind):
            yield "type", value.noun
            yield "allowed", value.allowed()
            yield "schema", value.schema()
        elif field.name == "aliases":
            yield "flags", list(param.flags)
            yield "variable", param.variable
        elif field.name == "elsewhere":
            yield field.name, dataclasses.asdict(value)
        else:
            yield field.name, value
