"""`llmparams presets`: the list, one preset as a file, differences, problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Setting, differences
from llmparams_cli.presets.catalog import Listed
from llmparams_cli.presets.checking import FileProblem
from llmparams_cli.presets.files import shown
from llmparams_cli.presets.write import Preset, plain, to_yaml
from llmparams_cli.protocol import PresetDiff
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.terminal import Row, columns, table
from llmparams_cli.text.safe import encodable, one_line
from llmparams_cli.text.shorten import ELLIPSIS, beginning
from llmparams_cli.text.units import counted

GAP = 2
LONGEST_VALUE = 40


def show_list(env: Environment, items: Sequence[Listed], *, as_json: bool) -> None:
    """Print every preset with its place and values; a pipe gets one line for each."""
    if as_json:
        write_json(env, [_object(item, env) for item in items], indent=2)
    elif env.stdout_is_tty:
        _write(env, _table(env, items))
    else:
        width = max((len(one_line(item.name)) for item in items), default=0)
        for item in items:
            values = _values(item.changes)
            line = f"{_place(item, env)}: {_about(item)}"
            line = one_line(f"{line} ({values})" if values else line)
            _write(env, f"{one_line(item.name):<{width}}  {line}\n")


def write_preset(env: Environment, preset: Preset, format: str) -> None:
    """Print the whole preset as YAML or JSON."""
    if format == "yaml":
        _write(env, to_yaml(preset))
        return
    document = {
        "description": preset.description,
        "model": preset.model,
        "system": preset.system,
        "prompt": preset.prompt,
        "variables": dict(preset.variables),
        "parameters": {name: plain(name, value) for name, value in preset.parameters.items()},
        "thinking": {name: plain(name, value) for name, value in preset.thinking.items()},
    }
    write_json(env, {key: value for key, value in document.items() if value}, indent=2)


def show_diff(env: Environment, diff: PresetDiff, *, as_json: bool) -> None:
    """Print the values that differ, then how much that changes the draws."""
    if as_json:
        write_json(env, _diff_object(diff), indent=2 if env.stdout_is_tty else None)
        return
    a, b = map(one_line, diff.names)
    rows: list[tuple[str, str, str]] = [("", a, b)]
    rows += [(name, _short(one), _short(two)) for name, (one, two) in diff.texts.items()]
    rows += [
        (name, value_text(one), value_text(two)) for name, one, two in differences(*diff.settings)
    ]
    if len(rows) == 1:
        _write(env, "the same values\n")
    else:
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
            _write(env, "  ".join(cells).rstrip() + "\n")
    if diff.divergences:
        _write(env, "\n" + "\n".join(_effect(diff)) + "\n")


def _short(text: str | None) -> str:
    if text is None:
        return "-"
    return beginning(one_line(text), LONGEST_VALUE, f" {ELLIPSIS}")


def _effect(diff: PresetDiff) -> Iterator[str]:
    steps = diff.divergences
    mean = sum(step.variation for step in steps) / len(steps)
    name = one_line(diff.names[0])
    yield f"effect on the next token, over {len(steps)} tokens of an answer by {name}:"
    yield f"  total variation distance {mean:.3f} on average (0: the same draws, 1: never the same)"
    number, most = max(enumerate(steps, 1), key=lambda item: item[1].variation)
    if most.variation > 0:
        best = " against ".join(f'"{one_line(token)}" {p:.0%}' for token, p in most.best)
        yield f"  largest at token {number}: {most.variation:.3f} (most probable: {best})"


def _diff_object(diff: PresetDiff) -> dict[str, Any]:
    a, b = diff.names
    steps = diff.divergences
    return {
        "a": a,
        "b": b,
        "texts": {name: dict(zip("ab", texts, strict=True)) for name, texts in diff.texts.items()},
        "parameters": {
            name: {side: plain(s.param.name, s.value) for side, s in (("a", one), ("b", two))}
            for name, one, two in differences(*diff.settings)
        },
        "prompt": diff.prompt,
        "mean_total_variation": sum(s.variation for s in steps) / len(steps) if steps else None,
        "tokens": [
            {
                "text": step.token,
                "total_variation": round(step.variation, 6),
                "best": [{"text": text, "probability": round(p, 6)} for text, p in step.best],
            }
            for step in steps
        ],
    }


def show_problems(env: Environment, problems: Sequence[FileProblem], checked: int) -> None:
    """Print one line per problem, in the form of compilers; on a terminal also the tally."""
    for problem in problems:
        hint = f" ({problem.hint})" if problem.hint else ""
        kind = "remark: " if problem.is_remark else ""
        _write(env, one_line(f"{problem.where}: {kind}{problem.reason}{hint}") + "\n")
    if env.stdout_is_tty or not problems:
        remarks = sum(problem.is_remark for problem in problems)
        found = counted(len(problems) - remarks, "problem")
        found += f" and {counted(remarks, 'remark')}" if remarks else ""
        env.note(f"{found} in {counted(checked, 'file')}")


def problems_json(env: Environment, problems: Sequence[FileProblem]) -> None:
    """The problems as an array of objects."""
    write_json(
        env,
        [
            {
                "file": str(problem.path),
                "line": problem.mark.line if problem.mark else None,
                "column": problem.mark.column if problem.mark else None,
                "reason": problem.reason,
                "hint": problem.hint or None,
                "remark": problem.is_remark,
            }
            for problem in problems
        ],
        indent=2 if env.stdout_is_tty else None,
    )


def value_text(setting: Setting) -> str:
    """A value as people write it; for a long one, such as a grammar, its length."""
    text = one_line(setting.param.kind.show(setting.value))
    return text if len(text) <= LONGEST_VALUE else f"({len(text)} characters)"


def _values(settings: Sequence[Setting]) -> str:
    return ", ".join(f"{each.name} {value_text(each)}" for each in settings)


def _about(item: Listed) -> str:
    return f"cannot be read: {item.problem}" if item.problem else item.description


def _place(item: Listed, env: Environment) -> str:
    """The preset's place, and those of the presets that it hides."""
    hidden = [found.place for found in item.found.shadowed]
    place = item.found.place
    if item.found.entry:
        place += f" ({shown(item.found.path, env.directory)})"
    return f"{place}, hides {' and '.join(hidden)}" if hidden else place


def _table(env: Environment, items: Sequence[Listed]) -> str:
    name = max((len(one_line(item.name)) for item in items), default=0)
    about = max(columns(env, env.stdout) - name - GAP, 20)
    return table(
        env,
        list(_rows(items, env)),
        (name, about),
        colored=env.wants_color("auto", env.stdout),
    )


def _rows(items: Sequence[Listed], env: Environment) -> Iterator[Row]:
    for item in items:
        yield Row((one_line(item.name), one_line(_about(item))), "red" if item.problem else "")
        values = _values(item.changes)
        place = one_line(_place(item, env))
        yield Row(("", f"{place}: {values}" if values else place), "dim")


def _object(item: Listed, env: Environment) -> dict[str, Any]:
    return {
        "name": item.name,
        "place": item.found.place,
        "path": str(item.found.path),
        "entry": item.found.entry or None,
        "hides": [str(found.path) for found in item.found.shadowed],
        "description": item.description,
        "extends": [name.text for doc in item.documents[-1:] for name in doc.extends],
        "tests": item.tests,
        "parameters": {each.name: plain(each.param.name, each.value) for each in item.changes},
        "problem": item.problem or None,
    }


def _write(env: Environment, text: str) -> None:
    env.stdout.write(encodable(text, env.stdout))
    env.stdout.flush()
