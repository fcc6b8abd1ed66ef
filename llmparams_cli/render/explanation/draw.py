"""One draw as a waterfall: its stages, candidates and penalties."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Settings
from llmparams_cli.render.bars import bar
from llmparams_cli.render.explanation.view import (
    REMOVED,
    quoted,
    ruling_text,
    share_text,
    token_name,
)
from llmparams_cli.render.styles import BOLD, DIM, GREEN
from llmparams_cli.render.summary import fold
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import ending
from llmparams_cli.text.width import cells, cut, pad
from llmparams_cli.trace import Penalised, Stage, TokenView

BEFORE = 61  # characters of the text before the draw
SHORTEST_TOKEN = 8  # columns
LOGIT = 8  # columns
SHORTEST_BAR, LONGEST_BAR = 4, 30  # columns; with less room, logits are left out
SPARE = ("presence", "frequency", "after", "logit", "count")  # columns that may be left out
FORBADE = "! the grammar forbade"
LEGEND = ("* was drawn", "· was removed", "cut: the probability that a stage removed")


def show_token(env: Environment, explanation: Explanation, token: TokenView, *, color: str) -> None:
    """One draw as a waterfall: a row for each stage, a column for each candidate."""
    _show_token(View(env, color), explanation, token)
    env.stdout.flush()


def browse(env: Environment, explanation: Explanation, number: int, *, color: str) -> None:
    """Browse the draws with the arrow keys, on a terminal."""
    from prompt_toolkit import Application
    from prompt_toolkit.formatted_text import ANSI
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.layout import FormattedTextControl, Layout, Window

    last = len(explanation.tokens)
    at = [number]  # a list, so that the key handlers can change it
    keys = KeyBindings()

    def picture() -> ANSI:
        lines: list[str] = []
        view = View(env, color, lines.append)
        view.line("← → one draw, ↑ ↓ ten, Home End, q leaves", DIM)  # above: the end may not fit
        _show_token(view, explanation, explanation.tokens[at[0] - 1])
        return ANSI("".join(lines))

    def move(to: Callable[[int], int]) -> Callable[[Any], None]:
        def handler(_event: Any) -> None:
            at[0] = min(last, max(1, to(at[0])))

        return handler

    moves: dict[str, Callable[[int], int]] = {
        "left": lambda n: n - 1,
        "right": lambda n: n + 1,
        "up": lambda n: n - 10,
        "down": lambda n: n + 10,
        "home": lambda _: 1,
        "end": lambda _: last,
    }
    for key, to in moves.items():
        keys.add(key)(move(to))
    for key in ("q", "escape", "c-c", "c-d", "enter"):
        keys.add(key)(lambda event: event.app.exit())
    window = Window(FormattedTextControl(picture), wrap_lines=False)
    Application(layout=Layout(window), key_bindings=keys, full_screen=False).run()


def _show_token(view: View, explanation: Explanation, token: TokenView) -> None:
    before = ending(one_line(explanation.before(token)), BEFORE)
    thought = ", a thought" if explanation.is_thought(token) else ""
    place = f"draw {token.number} of {len(explanation.tokens)}{thought}"
    view.line(f"{place}: {quoted(token.text)}", BOLD)
    view.line(f"after {quoted(before)}" if before else "the first", DIM)
    view.line()
    _waterfall(view, token)
    view.line()
    _distribution(view, token)
    probability, rank = token.end
    view.line()
    view.line(f"an end token had {share_text(probability)}, rank {rank}")
    if token.grammar:
        view.line(ruling_text(token.grammar, token.model.kept))
    if token.penalised:
        _ledger(view, explanation.settings, token)


def _waterfall(view: View, token: TokenView) -> None:
    """A row for each stage, a column for each candidate that fits."""
    names = _names(token)
    head = f"{'stage':<12} {'left':>6} {'cut':>6} {'bits':>5} {'rank':>5} "
    widths = [max(6, cells(name)) for name in names]
    room, fitting = view.width - len(head), 0
    for width in widths:
        room -= width + 1
        if room < 0:
            break
        fitting += 1
    shown = list(range(fitting))  # none on a narrow terminal: they stand below, each in a line
    drawn = _drawn_place(token)
    if shown and drawn not in shown:
        shown[-1] = drawn
    titles = (pad(names[i], widths[i], right=True) for i in shown)
    view.line(f"{head} {' '.join(titles)}", BOLD)
    for stage in token.stages:
        rank = "-" if stage.rank is None else str(stage.rank)
        row = f"{stage.name:<12} {stage.kept:>6} {share_text(stage.cut):>6} "
        row += f"{stage.entropy:>5.2f} {rank:>5} "
        values = (f"{share_text(stage.probability(i)):>{widths[i]}}" for i in shown)
        view.line(f"{row} {' '.join(values)}")
    forbade = token.grammar and token.grammar.removes
    legend = (*LEGEND, FORBADE) if forbade else LEGEND
    for parts in fold(legend, len("; "), view.width):
        view.line("; ".join(parts), DIM)


def _distribution(view: View, token: TokenView) -> None:
    """Every candidate in the model's distribution and in the one that was drawn from."""
    sides = ((token.model, DIM), (token.last, GREEN))
    names = _names(token)
    others = f"{token.model.kept - len(names)} others"
    name_width = max(map(cells, (*names, others, "candidate")))
    logits, length = _bar_room(view.width - name_width)
    scale = max(filter(None, (p for stage, _ in sides for p in stage.probabilities())))

    def numbers(logit: str, share: str) -> str:
        return f"  {logit:>{LOGIT}} {share:>6} " if logits else f"  {share:>6} "

    def candidate(place: int) -> Iterator[tuple[str, str]]:
        for stage, style in sides:
            share = stage.probability(place)
            picture = bar((share or 0.0) / scale, length, view.env.stdout)
            yield numbers(_logit(stage.logits[place]), share_text(share)), ""
            yield picture, style

    titles = (numbers("logit", title) + " " * length for title in ("model", "drawn"))
    view.line(pad("candidate", name_width) + "".join(titles), BOLD)
    for place, name in enumerate(names):
        style = BOLD if place == _drawn_place(token) else ""
        view.spans([(pad(name, name_width), style), *candidate(place)])
    if token.model.kept > len(names):
        rest = (numbers("", share_text(_others(stage))) + " " * length for stage, _ in sides)
        view.line(pad(others, name_width) + "".join(rest), DIM)


def _bar_room(width: int) -> tuple[bool, int]:
    """Whether there is room for logits beside the bars, in two columns of this width together,
    and how long a bar may be.
    """
    beside = len("  ") + len("100.0%") + len(" ")
    for logits, least in ((True, SHORTEST_BAR), (False, 0)):
        length = width // 2 - beside - logits * (LOGIT + 1)
        if length >= least:
            return logits, min(length, LONGEST_BAR)
    return False, 0


def _logit(value: float) -> str:
    if value == -math.inf:
        return REMOVED
    text = f"{value:.3f}"
    return text if len(text) <= LOGIT else f"{value:.1e}"


def _others(stage: Stage) -> float | None:
    """The probability of the candidates that are not shown; None if none of them is left."""
    known = [p for p in stage.probabilities() if p is not None]
    return max(0.0, 1 - sum(known)) if stage.kept > len(known) else None


def _names(token: TokenView) -> list[str]:
    """The candidates' names; a star marks the one that was drawn, an exclamation mark those that
    the grammar forbade.
    """
    removes = token.grammar.removes if token.grammar else frozenset()
    return [
        token_name(text) + "*" * (id == token.id) + "!" * (id in removes)
        for id, text in token.candidates
    ]


def _drawn_place(token: TokenView) -> int:
    return [id for id, _ in token.candidates].index(token.id)


def _ledger(view: View, settings: Settings, token: TokenView) -> None:
    """What each penalty subtracted; for repetition, also with the other kind of growth."""
    other = "once" if settings["repeat_penalty_growth"] == "exponential" else "exponential"
    repeats = settings["repeat_penalty"] != 1
    rows = [_ledger_row(entry, f"if {other}" if repeats else "") for entry in token.penalised]
    widths = {t: max(len(t), *(len(row[t]) for row in rows)) for t in rows[0]}
    # If there is too little room, columns of penalties that subtract nothing go first.
    for title in sorted(SPARE, key=lambda title: any(row[title] != "0" for row in rows)):
        if sum(widths.values()) + len(widths) + SHORTEST_TOKEN > view.width:
            del widths[title]
    room = view.width - sum(widths.values()) - len(widths)
    names = [token_name(entry.text) for entry in token.penalised]
    width = max(len("token"), min(room, max(map(cells, names))))

    def line(name: str, row: Mapping[str, str]) -> str:
        name = pad(cut(name, width, view.env.stdout), width)
        return " ".join([name, *(f"{row[title]:>{widths[title]}}" for title in widths)])

    view.line()
    view.line(f"penalties, over the last {token.window} tokens at most", BOLD)
    view.line(line("token", {title: title for title in widths}), BOLD)
    for name, row in zip(names, rows, strict=True):
        view.line(line(name, row))
    if repeats:
        view.line(f"if {other}: what repetition takes with repeat_penalty_growth {other}", DIM)


def _ledger_row(entry: Penalised, if_other: str) -> dict[str, str]:
    row = {
        "count": str(entry.count),
        "logit": f"{entry.before:.3f}",
        "repetition": _taken(entry.repetition),
        "frequency": _taken(entry.frequency),
        "presence": _taken(entry.presence),
        "after": f"{entry.after:.3f}",
    }
    return {**row, if_other: _taken(entry.other_growth)} if if_other else row


def _taken(amount: float) -> str:
    return f"{-amount:+.3f}" if amount else "0"
