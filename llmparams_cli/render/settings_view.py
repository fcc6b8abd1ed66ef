"""`--show-params`: every value, where it came from, and what it overrode."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.params.kinds import Words
from llmparams_cli.params.settings import Assignment, Origin, Setting, Settings
from llmparams_cli.params.spec import Group
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.document import Placed
from llmparams_cli.text.safe import encodable, one_line, shell_word

Groups = Sequence[tuple[str, Sequence[Setting]]]

_NAME = max(map(len, PARAMS)) + 2  # columns, with the indentation
_GAP = 2  # between columns
_ROOM_FOR_ORIGINS = 45  # columns beside the name; with less, origins have no column
_LONGEST_VALUE = 200  # characters; a grammar can be a file


def show(
    env: Environment,
    settings: Settings,
    *,
    model: tuple[str, Origin],
    system: Placed | None = None,
    prompt: Placed | None = None,
    command: Sequence[str] = (),
    color: str = "auto",
    as_json: bool = False,
    rest: str = "",
) -> None:
    """Print the resolved settings to stdout: a table on a terminal, else aligned lines, or JSON.

    `model` is its path or name with its origin; `command` has the words of an equivalent command.
    `rest` is what the user asks for those at their defaults with, which are left out then.
    """
    texts = {"system": system, "prompt": prompt}
    if as_json:
        from llmparams_cli.render.json_output import parameters_object, write_json

        document: dict[str, Any] = {
            "model": _with_origin(model),
            **{
                name: _with_origin((text.text, text.origin) if text else None)
                for name, text in texts.items()
            },
            "parameters": parameters_object(settings),
        }
        if command:
            document["command"] = shlex.join(command)
        write_json(env, document, indent=2 if env.stdout_is_tty else None)
        return
    head = _head("model", model)
    for name, text in texts.items():
        head += _head(name, (text.text, text.origin)) if text else ""
    in_color = env.wants_color(color, env.stdout)
    as_table = env.stdout_is_tty or in_color
    groups = list(_groups(settings, all_of_them=not rest))
    body = _table(env, groups, in_color) if as_table else _lines(groups)
    hidden = len(list(settings)) - sum(len(members) for _, members in groups)
    body += f"\n{hidden} more are at their defaults: {rest} shows them\n" if hidden else ""
    words = " ".join(map(shell_word, command))
    tail = f"\nthe same without the preset:\n{words}\n" if command else ""
    env.stdout.write(encodable(head + body + tail, env.stdout))
    env.stdout.flush()


def _with_origin(given: tuple[str, Origin] | None) -> dict[str, str] | None:
    if given is None:
        return None
    value, origin = given
    return {"value": value, "origin": str(origin)}


def _head(name: str, given: tuple[str, Origin]) -> str:
    value, origin = given
    return f"{name}: {_shorten(one_line(value))}  ({one_line(str(origin))})\n"


def _lines(groups: Groups) -> str:
    """One line per parameter, for grep and diff."""
    lines = []
    width = _width(groups)
    for heading, members in groups:
        lines += ["", heading]
        for setting in members:
            value, origin = _value(setting, setting.value), one_line(str(setting.origin))
            below = "; ".join(
                f"{_phase(old)}{_value(setting, old.value)} from {one_line(str(old.origin))}"
                for old in setting.overrode
            )
            overrode = f"  (overrode {below})" if below else ""
            lines.append(f"  {setting.name:<{width}}{value:<12}  {origin}{overrode}")
    return "\n".join([*lines, ""]) if lines else ""


def _table(env: Environment, groups: Groups, in_color: bool) -> str:
    """Name, value, origin; overridden values below, defaults dim."""
    from llmparams_cli.render.terminal import Row, columns, table

    name = _width(groups)
    room = columns(env, env.stdout) - name - _GAP
    narrow = room < _ROOM_FOR_ORIGINS
    rows = []
    for heading, members in groups:
        rows += [Row(("",)), Row((heading,), "bold")]
        for setting in members:
            style = "dim" if setting.is_default else ""
            rows.append(Row(_cells(f"  {setting.name}", setting, setting, narrow), style))
            for old in setting.overrode:
                rows.append(Row(_cells("    overrode", setting, old, narrow), "dim"))
    value = room * 3 // 10
    widths = (name, max(room, 8)) if narrow else (name, value, room - value - _GAP)
    return table(env, rows, widths, colored=in_color)


def _groups(settings: Settings, *, all_of_them: bool) -> Iterator[tuple[str, list[Setting]]]:
    """The groups of the taxonomy with their settings, or with those that are set."""
    for group in Group:
        members = [each for each in settings.both if each.param.group is group]
        if shown := [each for each in members if all_of_them or not each.is_default]:
            yield group.value, shown


def _cells(
    name: str, setting: Setting, source: Setting | Assignment, narrow: bool
) -> tuple[str, ...]:
    value, origin = _value(setting, source.value), one_line(str(source.origin))
    if isinstance(source, Assignment):
        value = _phase(source) + value
    return (name, f"{value} ({origin})") if narrow else (name, value, origin)


def _phase(old: Assignment) -> str:
    """Before a value that was overridden: what it counted for, if that was thinking alone."""
    return "thinking " if old.when_thinking else ""


def _width(groups: Groups) -> int:
    """Columns for the names: as many as without any value for thinking alone, if they do."""
    names = (setting.name for _, members in groups for setting in members)
    return max(_NAME, *(len(name) + 2 for name in names), 0)


def _value(setting: Setting, value: object) -> str:
    """The value as its flag takes it, on one line; `-` for none."""
    shown = one_line(setting.param.kind.show(value))
    if isinstance(setting.param.kind, Words):
        shown = shown.replace(",", ", ")  # gives a narrow column a place to break the line
    return _shorten(shown) if shown not in ("", "[]") else "-"


def _shorten(text: str) -> str:
    if len(text) <= _LONGEST_VALUE:
        return text
    return f"{text[:_LONGEST_VALUE]}[... {len(text):,} characters in all]"
