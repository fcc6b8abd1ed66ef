"""A line for every draw; then the settings, the end, and the what-ifs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.env import Environment
from llmparams_cli.render.bars import sparks
from llmparams_cli.render.explanation.view import (
    LONGEST_TOKEN,
    quoted,
    ruled_text,
    share_text,
)
from llmparams_cli.render.styles import BOLD, CYAN, DIM, YELLOW
from llmparams_cli.render.summary import effect_lines, stop_text
from llmparams_cli.render.thoughts import bar, said
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.width import GAP, cut, pad
from llmparams_cli.trace import Effect, TokenView, WhatIf

ENTROPY_WORDS = 34  # columns beside the line of entropies
ONE_BIT = 1.0  # the sparkline's scale goes at least this far, lest noise fill it
NARROWEST = {  # columns of the overview on a terminal: "token" and "changed by" may be wider
    "draw": 4, "token": 8, "model": 6, "drawn": 6, "rank": 5, "left": 6, "bits": 5,
    "forbidden": 9, "changed by": 12,
}  # fmt: skip
# Columns that a narrow terminal does without, in this order.
EXPENDABLE = ("left", "bits", "rank", "model", "changed by", "forbidden", "draw", "drawn")


def show(env: Environment, explanation: Explanation, *, color: str) -> None:
    """A line for every draw; then the settings, the end, and the what-ifs."""
    view = View(env, color)
    ruled, deciders = explanation.ruled, _deciders(explanation.effects)
    columns = _overview_columns(view.room, without=() if ruled else ("forbidden",))
    view.line(_overview_line(view, columns, {name: name for name in columns}), BOLD)
    for token in explanation.tokens:
        row = _overview(token, deciders.get(token.number, []))
        if explanation.is_thought(token):
            row["token"] = bar(env.stdout) + row["token"]
        view.line(_overview_line(view, columns, row), _style(token))
    view.line()
    _show_entropy(view, explanation)
    for line in effect_lines(explanation.effects):
        view.line(line, DIM if "changed nothing" in line else "")
    if ruled:
        view.line(ruled_text(ruled))
    _show_end(view, explanation)
    for what_if in explanation.what_if:
        view.line()
        for line in _what_if_lines(what_if):
            view.line(line)
    env.stdout.flush()


def _overview_columns(width: float, without: Sequence[str]) -> dict[str, float]:
    """The columns that fit side by side, and the width of each."""
    chosen: dict[str, float] = {n: w for n, w in NARROWEST.items() if n not in without}
    for name in EXPENDABLE:
        if _taken_up(chosen) <= width:
            break
        chosen.pop(name, None)
    chosen["token"] += max(0, min(width - _taken_up(chosen), LONGEST_TOKEN - chosen["token"]))
    if "changed by" in chosen:
        chosen["changed by"] += width - _taken_up(chosen)
    return chosen


def _taken_up(columns: Mapping[str, float]) -> float:
    return sum(columns.values()) + len(GAP) * (len(columns) - 1)


def _overview(token: TokenView, deciders: Sequence[str]) -> dict[str, str]:
    """Probabilities before and after the stages, rank before, candidates and entropy after; the
    probability of what the grammar forbade.
    """
    first, last, ruling = token.model, token.last, token.grammar
    forbidden = share_text(ruling.probability if ruling else None)
    return {
        "draw": str(token.number),
        "token": f'"{one_line(token.text)}"',
        "model": share_text(token.probability(first)),
        "drawn": share_text(token.probability(last)),
        "rank": str(first.rank or 0),
        "left": str(last.kept),
        "bits": f"{last.entropy:.2f}",
        "forbidden": "forced" if ruling and ruling.forced else forbidden,
        "changed by": ", ".join(deciders),
    }


def _overview_line(view: View, columns: Mapping[str, float], row: Mapping[str, str]) -> str:
    """A row: words aligned to the left, numbers to the right, all cut to their width."""
    shown = []
    for name, width in columns.items():
        text = cut(row[name], width, view.env.stdout)
        right = name not in ("token", "changed by")
        shown.append(text if width == math.inf else pad(text, int(width), right=right))
    return GAP.join(shown)


def _style(token: TokenView) -> str:
    if token.is_end:
        return CYAN
    return YELLOW if token.model.rank != 1 else ""


def _deciders(effects: Sequence[Effect]) -> dict[int, list[str]]:
    deciders: dict[int, list[str]] = {}
    for effect in effects:
        for number in effect.changed:
            deciders.setdefault(number, []).append(effect.setting.name)
    return deciders


def _show_entropy(view: View, explanation: Explanation) -> None:
    """The entropy along the text, before the stages and after them, on one scale."""
    rows = {
        title: [token.stages[at].entropy for token in explanation.tokens]
        for title, at in (("model", 0), ("drawn", -1))
    }
    width = view.width - ENTROPY_WORDS
    drawn = sparks(list(rows.values()), width, view.env.stdout, least=ONE_BIT)
    for (title, bits), line in zip(rows.items(), drawn, strict=True):
        if bits:
            view.line(f"entropy, {title}: {line} up to {max(bits):.1f} bits", DIM)
    view.line()


def _show_end(view: View, explanation: Explanation) -> None:
    view.line()
    view.line(f"stopped: {stop_text(explanation.finished.stop)}")
    if explanation.tokens:
        near = max(explanation.tokens, key=lambda token: token.end[0])
        probability, rank = near.end
        view.line(
            f"  an end token was likeliest at draw {near.number}: "
            f"{share_text(probability)}, rank {rank}"
        )
    for stop in explanation.stops:
        text = one_line(stop.text)
        if stop.matched:
            at = stop.at - len(stop.text)
            view.line(f'  stop sequence "{text}" matched at character {at}, by draw {stop.number}')
        elif stop.seen == stop.text:
            view.line(f'  stop sequence "{text}" came too, by draw {stop.number}')
        elif stop.seen:
            view.line(
                f'  stop sequence "{text}": the nearest was "{one_line(stop.seen)}", up to '
                f"character {stop.at}, by draw {stop.number}"
            )
        else:
            view.line(f'  stop sequence "{text}": not even its first character came')


def _what_if_lines(what_if: WhatIf) -> Iterator[str]:
    yield f"with {', '.join(map(one_line, what_if.changes))}: {_what_if_told(what_if)}"
    if what_if.text is not None:
        yield f"  {one_line(said(what_if.text, what_if.reasoning))}"
        if what_if.stop and not what_if.ends_at:
            yield f"  stopped: {stop_text(what_if.stop)}"


def _what_if_told(what_if: WhatIf) -> str:
    if what_if.number is None:
        same = "every draw is the same"
        if what_if.ends_at and what_if.stop:
            return f"{same}, but the text ends after {what_if.ends_at}: {stop_text(what_if.stop)}"
        return f"{same}, but the text goes on" if what_if.goes_on else same
    instead, drawn = (
        f"{quoted(text)} ({share_text(probability)})" if text else "the end"
        for text, probability in (
            (what_if.instead, what_if.instead_probability),
            (what_if.drawn, what_if.probability),
        )
    )
    return f"draw {what_if.number} is {instead} instead of {drawn}"
