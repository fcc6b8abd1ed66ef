"""`llmparams compare`: the texts, where they diverge, and the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmparams_cli.analysis.comparison import EXPLAINED, Variant, side_by_side
from llmparams_cli.env import Environment
from llmparams_cli.render.bars import bar
from llmparams_cli.render.comparison import columns
from llmparams_cli.render.comparison.blocks import Column, blocks, width
from llmparams_cli.render.comparison.tree import tree
from llmparams_cli.render.styles import BOLD, DIM, styled
from llmparams_cli.render.summary import only_thought
from llmparams_cli.render.terminal import room
from llmparams_cli.render.thoughts import ONLY
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import encodable, one_line, printable
from llmparams_cli.text.units import short_number
from llmparams_cli.text.width import cells, cut, cut_middle

LONGEST_TEXT = 320  # columns of a sample if there are several
# The metrics that are also shown as bars.
PICTURED = ("drawn_entropy", "distinct-2", "agreement", "tokens")
BAR = 12  # columns
LONGEST_NAME = 80  # columns
NOWHERE = "nowhere: these answers are the same"


def show(env: Environment, variants: Sequence[Variant], *, color: str) -> None:
    """Print every variant's texts, where the first ones diverge, and the table of numbers."""
    colored = env.wants_color(color, env.stdout)
    prompts = _prompts(variants)
    for number, prompt in enumerate(prompts, 1):
        indent = ""
        if len(prompts) > 1:
            asked = _in_short(env, f'prompt {number} of {len(prompts)}: "{one_line(prompt)}"')
            _write(env, styled(asked, BOLD, colored) + "\n")
            indent = "  "
        if columns.fit(env, env.stdout, len(variants)):
            names = [_label(env, variant.name) for variant in variants]
            texts = [list(_answers(env, variant, prompt)) for variant in variants]
            for line in columns.side_by_side(env, names, texts, colored=colored):
                _write(env, line + "\n")
            _write(env, "\n")
            continue
        for variant in variants:
            _write(env, indent + styled(_label(env, variant.name), BOLD, colored) + "\n")
            for text in _answers(env, variant, prompt):
                _write(env, f"{indent}{text}\n")
            if variant is variants[-1] or not indent:
                _write(env, "\n")
    tables = [_parting(env, variants), *_table(env, variants), *_picture(env, variants)]
    for number, block in enumerate(tables):
        head, *lines = block
        start = "\n" if number else ""
        _write(env, "\n".join([start + styled(head, BOLD, colored), *lines, ""]))
    _explain(env, variants, color=color)
    env.stdout.flush()


def _explain(env: Environment, variants: Sequence[Variant], *, color: str) -> None:
    """What the numbers of the table mean."""
    means = [variant.means() for variant in variants]
    view = View(env, color)
    view.line()
    for name, meaning in EXPLAINED.items():
        if any(mean[name] is not None for mean in means):
            view.line(f"{name:<{max(map(len, EXPLAINED))}}  {meaning}", DIM)


def _prompts(variants: Sequence[Variant]) -> list[str]:
    return list(dict.fromkeys(sample.prompt for sample in variants[0].samples))


def _answers(env: Environment, variant: Variant, prompt: str) -> Iterator[str]:
    """A single answer in full; of several, one line each."""
    for sample in variant.samples:
        finished = sample.finished
        text = finished.text.strip() or (ONLY if only_thought(finished) else "")
        if len(variant.samples) == 1:
            yield printable(text)
        elif sample.prompt == prompt:
            yield "  " + _in_short(env, f"seed {sample.seed}: {one_line(text)}")


def _in_short(env: Environment, line: str) -> str:
    return cut(line, LONGEST_TEXT, env.stdout)


def _parting(env: Environment, variants: Sequence[Variant]) -> list[str]:
    """The tree of the variants' first answers: what they share, and where they diverge."""
    first, *more = side_by_side(variants)
    asked = "prompt 1, " if len(_prompts(variants)) > 1 else ""
    title = f"where they part, {asked}seed {first[0].seed}"
    hint = " (--json tells all)"
    if more and cells(title + hint) <= room(env, env.stdout):
        title += hint
    answers = [sample.finished.tokens for sample in first]
    lines = tree(env, answers, _labels(env, variants))
    same = NOWHERE if cells(NOWHERE) <= room(env, env.stdout) else NOWHERE.partition(":")[0]
    return [title, *(lines or [same])]


def _table(env: Environment, variants: Sequence[Variant]) -> Iterator[list[str]]:
    """A row for each variant; columns without any number are left out."""
    means = [variant.means() for variant in variants]
    numbers = [
        Column((_label(env, name), *(_number(mean[name]) for mean in means)))
        for name in means[0]
        if any(mean[name] is not None for mean in means)
    ]
    names = Column(("", *_labels(env, variants)), right=False)
    columns = [*numbers, _stops(variants)]
    if width([names, *columns]) > room(env, env.stdout):
        columns = [*numbers, *_stops_apart(variants)]
    yield from blocks(env, names, columns, room(env, env.stdout))


def _labels(env: Environment, variants: Sequence[Variant]) -> list[str]:
    """The variants' names; if they would fill half the terminal, their values alone."""
    names = [_label(env, variant.name) for variant in variants]
    values = [_label(env, " ".join(variant.values.values())) for variant in variants]
    if max(map(cells, names)) <= room(env, env.stdout) / 2 or len(set(values)) < len(values):
        return names
    return values


def _label(env: Environment, name: str) -> str:
    """A variant's name, shortened: a grammar can be a value too."""
    return cut_middle(one_line(name), LONGEST_NAME, env.stdout)


def _stops(variants: Sequence[Variant]) -> Column:
    told = (
        ", ".join(f"{count} {reason}" for reason, count in variant.stops().items())
        for variant in variants
    )
    return Column(("stops", *told), right=False)


def _stops_apart(variants: Sequence[Variant]) -> Iterator[Column]:
    """A column for each stop reason."""
    for reason in dict.fromkeys(reason for variant in variants for reason in variant.stops()):
        yield Column((reason, *(str(variant.stops().get(reason, 0)) for variant in variants)))


def _picture(env: Environment, variants: Sequence[Variant]) -> Iterator[list[str]]:
    """If one parameter takes at least three values, some metrics against it, as bars."""
    axes = {key for variant in variants for key in variant.values}
    if len(axes) != 1 or len(variants) < 3:
        return
    [axis] = axes
    means = [variant.means() for variant in variants]
    values = Column((axis, *(_label(env, variant.values[axis]) for variant in variants)))
    bars = [
        _bars(env, name, [mean[name] or 0.0 for mean in means])
        for name in PICTURED
        if all(mean[name] is not None for mean in means)
    ]
    yield from blocks(env, values, bars, room(env, env.stdout))


def _bars(env: Environment, name: str, numbers: Sequence[float]) -> Column:
    most = max(numbers) or 1.0
    drawn = (f"{bar(each / most, BAR, env.stdout)} {_number(each):>5}" for each in numbers)
    return Column((name, *drawn), right=False)


def _number(value: float | None) -> str:
    return "-" if value is None else short_number(value)


def _write(env: Environment, text: str) -> None:
    env.stdout.write(encodable(text, env.stdout))
