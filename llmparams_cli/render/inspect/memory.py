"""The memory that a model takes, and whether there is as much."""

from __future__ import annotations

from collections.abc import Sequence

from llmparams_cli.analysis.memory import Fit, Need
from llmparams_cli.env import Environment
from llmparams_cli.render.inspect.words import count
from llmparams_cli.render.styles import BOLD, DIM, GREEN, RED, YELLOW
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.units import size_text

NO_ROOM, NONE = "!", "-"
CONTEXT = 9  # columns of a number of tokens
COLUMN = 8  # of a size: 999.9 MB
OWN = "CPU"  # the computer's own memory, as llama.cpp calls that device


def show(env: Environment, fit: Fit, *, color: str) -> None:
    """A row for each context, with the cache in each of its types, and what fits where."""
    view = View(env, color)
    _heading(view, f"weights {size_text(fit.own.weights)}   usable: {_free(fit.own)}")
    _table(view, fit.usual)
    if fit.refused:
        view.line(f"a cache in {' or '.join(fit.refused)} does not go with this model", DIM)
    _verdict(view, fit)


def show_own(env: Environment, fit: Fit, *, color: str) -> None:
    """A run as it is set: what it takes, and whether that fits."""
    view, own = View(env, color), fit.own
    view.line(f"weights  {size_text(own.weights):>10}", "")
    view.line(
        f"cache    {size_text(own.cache):>10}  {count(own.context)} tokens in {own.cache_type}"
    )
    view.line(f"compute  {size_text(own.compute):>10}")
    for name, size in own.on.items():
        free = f" of {size_text(own.free[name])} that can be used" if name in own.free else ""
        view.line(f"{_device(name):<8} {size_text(size):>10}{free}")
    _verdict(view, fit)


def show_problem(env: Environment, problem: str, *, color: str) -> None:
    """Why it is not known how much memory the model takes."""
    view = View(env, color)
    _heading(view, "unknown")
    view.line(f"  {one_line(problem)}", YELLOW)


def _heading(view: View, rest: str) -> None:
    view.line()
    view.spans([("memory", BOLD), (f"  {rest}", "")])


def _verdict(view: View, fit: Fit) -> None:
    """Whether a run as it is set fits, in a line or two."""
    need = fit.own
    style, answer = _answer(need)
    what = f"context {count(need.context)}, cache in {need.cache_type}: {size_text(need.total)}, "
    view.spans([(what, ""), (answer, style)])
    some = {name: fitting for name, fitting in fit.fitting.items() if fitting < fit.layers}
    if some or len(fit.fitting) > 1:
        parts = (f"{_device(name)} {fitting}" for name, fitting in fit.fitting.items())
        view.line(f"of {fit.layers} layers (with the output) fit: {', '.join(parts)}")
    if need.gpu_layers:
        view.line(f"{need.gpu_layers} of {fit.layers} layers go to GPUs")


def _answer(need: Need) -> tuple[str, str]:
    if need.fits:
        return GREEN, "fits"
    names = " and ".join(map(_device, need.lacking))
    if need.runs:
        return YELLOW, f"too much for {names}: slow, as the file is read over and over"
    return RED, f"does not fit into {names}"


def _table(view: View, needs: Sequence[Need]) -> None:
    types = list(dict.fromkeys(need.cache_type for need in needs))
    fitting = (view.width - CONTEXT - COLUMN - 1) // (2 * COLUMN + 3)
    types = types[: max(1, fitting)]  # a narrow terminal shows fewer
    groups = [("compute", types[:1]), ("cache", types), ("total", types)]
    above, heads = " " * CONTEXT, f"{'context':>{CONTEXT}}"
    for group, columns in groups:
        gap = " " * (group == "total")  # for the marks
        above += f"{group:>{COLUMN + 1}}" + " " * (COLUMN + 1) * (len(columns) - 1)
        heads += "".join(f"{type:>{COLUMN + 1}}{gap}" for type in columns)
    view.line(above, DIM)
    view.line(heads, DIM)
    for context in dict.fromkeys(need.context for need in needs):
        row = {need.cache_type: need for need in needs if need.context == context}
        compute = next(iter(row.values())).compute
        spans = [(f"{count(context):>{CONTEXT}} {size_text(compute):>{COLUMN}}", "")]
        for type in types:
            cache = size_text(row[type].cache) if type in row else NONE
            spans.append((f"{cache:>{COLUMN + 1}}", ""))
        spans += [_total(row.get(type)) for type in types]
        view.spans(spans)
    if not all(need.fits for need in needs):
        view.line(f"{NO_ROOM} does not fit into memory, or would be slow (yellow)", DIM)


def _total(need: Need | None) -> tuple[str, str]:
    """The sum in its colour, with a mark where it does not fit, for those who see no colours."""
    if need is None:
        return f"{NONE:>{COLUMN + 1}} ", ""
    mark = " " if need.fits else NO_ROOM
    return f"{size_text(need.total):>{COLUMN + 1}}{mark}", _answer(need)[0]


def _free(need: Need) -> str:
    parts = [f"{_device(name)} {size_text(size)}" for name, size in need.free.items()]
    return ", ".join(parts) or "unknown"


def _device(name: str) -> str:
    return "RAM" if name == OWN else name
