"""What a run is going to do, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator

from llmparams_cli.analysis.divergence import Beside
from llmparams_cli.analysis.tuning import Course, Plan, Tuned
from llmparams_cli.env import Environment
from llmparams_cli.render.bars import bar
from llmparams_cli.render.styles import BOLD, DIM, YELLOW
from llmparams_cli.render.terminal import Row, table
from llmparams_cli.render.tuning.words import (
    by_layer,
    ended,
    learned_by_heart,
    loss_text,
    rate_text,
    share_text,
    time_text,
)
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import encodable, one_line, printable, spelled
from llmparams_cli.text.units import count_text, percent, size_text

LABEL = 13  # columns
NARROW, WIDEST = 50, 60  # a terminal without room for two columns of text; one of them at most
BAR, VALUE, LAYER = 8, 6, 8  # columns of a bar and a number; what a row begins with
MOST_LAYERS = 60
CERTAIN = 2  # standard errors


def show_plan(env: Environment, plan: Plan, color: str) -> None:
    """Print what a run is going to do, before it does."""
    view = View(env, color)
    for label, text in _plan(plan):
        view.line(f"{label:<{LABEL}}{one_line(text)}")
    env.stdout.flush()


def show(env: Environment, tuned: Tuned, color: str) -> None:
    """Print why a run ended, what it gained, what the model says now, and where it changed."""
    view = View(env, color)
    view.line(one_line(f"{tuned.target}: {tuned.type}, {size_text(tuned.bytes)}"), BOLD)
    view.line(ended(tuned.plan, tuned.course))
    view.line(_kept(tuned.course))
    for line in filter(None, (one_line(tuned.course.word), learned_by_heart(tuned.course))):
        view.line(line, YELLOW)
    _losses(view, tuned.course, tuned.beside)
    for prompt, before, after in zip(tuned.prompts, tuned.before, tuned.after, strict=False):
        _answers(view, prompt, before, after)
    _changes(view, tuned)
    env.stdout.flush()


def _kept(course: Course) -> str:
    best = course.best
    if best is None:
        return "the weights of the last step are kept: nothing was held out"
    told = f"the weights of step {best.step:,} are kept, the best on what is held out"
    worse = best is course.checks[0] and len(course.checks) > 1
    return f"{told}: no later ones were better" if worse else told


def _plan(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "model", plan.model
    yield "engine", plan.how
    of = f"{count_text(plan.trained)} of {count_text(plan.parameters)}"
    yield "trains", f"{share_text(plan)} of the parameters ({of}): {plan.trains}"
    for place, label in enumerate(("learns from", "held out")):
        rows, tokens = plan.rows[place], plan.tokens[place]
        yield (
            label,
            f"{_many(plan.documents[place], 'document')}, {_many(rows, 'row')}, "
            + _many(tokens, "token"),
        )
    steps = f"{_many(plan.steps, 'step')} × {_many(plan.batch, 'row')} × {plan.size:,} tokens"
    yield "work", f"{steps} = {plan.epochs:.3g} epoch{'s' * (plan.epochs != 1)}"
    warm = f", {_many(plan.warmup, 'step')} of warm-up" if plan.warmup else ""
    yield "optimiser", f"{plan.optimiser}, rate {rate_text(plan.rate)}, {plan.schedule}{warm}"
    if plan.memory is not None:
        yield "memory", f"about {size_text(plan.memory)}"
    if plan.seconds is not None:
        yield "time", f"about {time_text(plan.seconds)}"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _losses(view: View, course: Course, beside: Beside | None) -> None:
    """What is held out: the loss at the first check and at the best, and both perplexities."""
    rows: list[tuple[str, ...]] = []
    if course.best:
        first, best = course.checks[0], course.best
        rows.append(("loss", loss_text(first.loss), loss_text(best.loss)))
    if beside:
        scores = beside.base.score, beside.other.score
        texts = (f"{each.perplexity:.3f} ± {each.error:.3f}" for each in scores)
        rows.append(("perplexity", *texts))
    if rows:
        view.line()
        view.table(("held out", "before", "after"), rows)
    if beside:
        ratio = beside.divergence.ratio
        same = abs(ratio.value - 1) <= CERTAIN * ratio.error
        told = " (no difference beyond the error)" if same else ""
        view.line(f"perplexity × {ratio.value:.4f} ± {ratio.error:.4f}{told}", DIM)


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
        view.line(f"{_many(tuned.untouched, 'tensor')} untouched: the same to the bit", DIM)


def _cell(view: View, value: float | None, most: float, width: int) -> str:
    if value is None:
        return ""
    drawn = bar(value / most, width, view.env.stdout) + " " if width else ""
    return f"{drawn}{percent(value):>{VALUE}}"
