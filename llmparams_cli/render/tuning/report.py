"""What a run is going to do, and what came of it."""

from __future__ import annotations

from llmparams_cli.analysis.held_out import HeldOut
from llmparams_cli.analysis.tuning import Course, Plan, Tuned
from llmparams_cli.env import Environment
from llmparams_cli.render.bars import bar
from llmparams_cli.render.styles import BOLD, DIM, YELLOW
from llmparams_cli.render.terminal import Row, table
from llmparams_cli.render.tuning.words import (
    MEASURED,
    by_layer,
    ended,
    kept_told,
    learned_by_heart,
    many,
    measures,
    plan_rows,
    ratio_text,
)
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import encodable, one_line, printable, spelled
from llmparams_cli.text.units import percent, size_text

LABEL = 13  # columns
NARROW, WIDEST = 50, 60  # a terminal without room for two columns of text; one of them at most
BAR, VALUE, LAYER = 8, 6, 8  # columns of a bar and a number; what a row begins with
MOST_LAYERS = 60


def show_plan(env: Environment, plan: Plan, color: str) -> None:
    """Print what a run is going to do, before it does."""
    view = View(env, color)
    for label, text in plan_rows(plan):
        view.line(f"{label:<{LABEL}}{one_line(text)}")
    env.stdout.flush()


def show(env: Environment, tuned: Tuned, color: str) -> None:
    """Print why a run ended, what it gained, what the model says now, and where it changed."""
    view = View(env, color)
    view.line(one_line(f"{tuned.target}: {tuned.type}, {size_text(tuned.bytes)}"), BOLD)
    view.line(ended(tuned.plan, tuned.course))
    view.line(kept_told(tuned.course))
    for line in filter(None, (one_line(tuned.course.word), learned_by_heart(tuned.course))):
        view.line(line, YELLOW)
    _losses(view, tuned.course, tuned.held_out)
    for prompt, before, after in zip(tuned.prompts, tuned.before, tuned.after, strict=False):
        _answers(view, prompt, before, after)
    _changes(view, tuned)
    env.stdout.flush()


def _losses(view: View, course: Course, found: HeldOut | None) -> None:
    if rows := measures(course, found):
        view.line()
        view.table(MEASURED, rows)
    if found:
        view.line(ratio_text(found), DIM)


def _answers(view: View, prompt: str, before: str, after: str) -> None:
    """A prompt over both answers to it, side by side where there is room."""
    view.line()
    view.line(one_line(prompt), BOLD)
    before, after = (printable(spelled(text)).strip("\n") for text in (before, after))
    if before == after:
        rows, widths = [Row(("before and after",), "dim"), Row((before,))], [view.width]
    elif view.width < NARROW:
        rows = [Row(("before",), "dim"), Row((before,)), Row(("after",), "dim"), Row((after,))]
        widths = [view.width]
    else:
        rows = [Row(("before", "after"), "dim"), Row((before, after))]
        widths = [min(WIDEST, (view.width - 2) // 2)] * 2
    text = table(view.env, rows, widths, colored=view.colored)
    view.write("".join(f"{line.rstrip()}\n" for line in _lines(view, text)))


def _lines(view: View, text: str) -> list[str]:
    return encodable(text, view.env.stdout).rstrip("\n").split("\n")


def _changes(view: View, tuned: Tuned) -> None:
    """How far the weights moved, by layer and kind, with bars on one scale."""
    if tuned.changed:
        view.line()
        view.line("how far the weights moved, as a share of their norm:", BOLD)
    kinds, layers = by_layer(tuned.changed, grouped=True)
    outside = [each for each in tuned.changed if each.layer is None]
    cells = [value for row in layers.values() for value in row.values()]
    most = max([*cells, *(each.relative for each in outside)], default=0.0) or 1.0
    if layers:
        room = (view.width - LAYER) // len(kinds) - VALUE - 3
        wide = max(0, min(BAR, room))
        rows = [
            (str(layer), *(_cell(view, row.get(kind), most, wide) for kind in kinds))
            for layer, row in sorted(layers.items())
        ]
        view.table(("layer", *kinds), rows[:MOST_LAYERS])
        if len(rows) > MOST_LAYERS:
            view.line(f"and {len(rows) - MOST_LAYERS} more layers (--json)", DIM)
    if outside:
        rows = [(one_line(each.name), _cell(view, each.relative, most, BAR)) for each in outside]
        view.table(("outside of the layers", ""), rows)
    if tuned.untouched:
        view.line(f"{many(tuned.untouched, 'tensor')} untouched: the same to the bit", DIM)


def _cell(view: View, value: float | None, most: float, width: int) -> str:
    if value is None:
        return ""
    drawn = bar(value / most, width, view.env.stdout) + " " if width else ""
    return f"{drawn}{percent(value):>{VALUE}}"
