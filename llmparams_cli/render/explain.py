"""`llmparams explain`: a line for every draw, one draw stage by stage, and what follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import ROUND_CEILING, ROUND_FLOOR
from decimal import Context as Rounding
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.explanation import Explanation, Fit, Penalised, Stage, TokenView, WhatIf
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Effect
from llmparams_cli.render.bars import bar, spark
from llmparams_cli.render.cells import GAP, cells, cut, pad, wrap
from llmparams_cli.render.json_output import effects_object, parameters_object, write_json
from llmparams_cli.render.summary import effect_lines, fold, stop_text
from llmparams_cli.render.terminal import columns, room
from llmparams_cli.safe import encodable, one_line
from llmparams_cli.units import percent

BOLD, DIM, CYAN, YELLOW, GREEN = "1", "2", "36", "33", "32"
LONGEST_TOKEN, SHORTEST_TOKEN = 16, 8
LOGIT = 8  # columns
SHORTEST_BAR, LONGEST_BAR = 4, 30  # columns; shorter bars make way for the bare numbers
REMOVED = "·"
SPARE = ("presence", "frequency", "after", "logit", "count")  # columns of the ledger
LEGEND = ("* was drawn", "· was removed", "cut: the probability that a stage removed")
IN_ASCII = {"·": "-", "…": "~", "←": "<", "→": ">", "↑": "^", "↓": "v"}  # our own marks
BROKEN_INDENT = "    "
ENTROPY_WORDS = 34  # columns beside the line of entropies
ONE_BIT = 1.0  # the least that the scale of this line ends with, or noise would fill it
NARROWEST = {  # columns of the overview on a terminal: "token" and "changed by" may be wider
    "draw": 4, "token": 8, "model": 6, "drawn": 6, "rank": 5, "left": 6, "bits": 5,
    "changed by": 12,
}  # fmt: skip
EXPENDABLE = ("left", "bits", "rank", "model", "changed by", "draw", "drawn")  # in this order


class _View:
    """Lines, styled where that is wanted: to stdout, or to whoever shows them otherwise."""

    def __init__(
        self, env: Environment, color: str, write: Callable[[str], object] | None = None
    ) -> None:
        self.env = env
        self.write = write or env.stdout.write
        self.colored = env.wants_color(color, env.stdout)
        self.room = room(env, env.stdout) if write is None else math.inf
        self.width = columns(env, env.stdout) if env.stdout_is_tty else 100

    def line(self, text: str = "", style: str = "") -> None:
        """Write a line; a narrow terminal breaks it between words."""
        for part in wrap(self._encodable(text.rstrip()), self.room, BROKEN_INDENT):
            self.write(f"{self._styled(part.rstrip(), style)}\n")

    def spans(self, spans: Iterable[tuple[str, str]]) -> None:
        """Write a line of texts with a style each, laid out to fit."""
        parts = (self._styled(self._encodable(text), style) for text, style in spans)
        self.write(f"{''.join(parts).rstrip()}\n")

    def _encodable(self, text: str) -> str:
        for mark, instead in IN_ASCII.items():
            if not self.env.encodes(mark, self.env.stdout):
                text = text.replace(mark, instead)
        return encodable(text, self.env.stdout)

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.colored and style and text else text


def show(env: Environment, explanation: Explanation, *, color: str) -> None:
    """A line for every draw; then the settings, the end, and the what-ifs."""
    view = _View(env, color)
    deciders = _deciders(explanation.effects)
    columns = _overview_columns(view.room)
    view.line(_overview_line(view, columns, {name: name for name in columns}), BOLD)
    for token in explanation.tokens:
        row = _overview(token, deciders.get(token.number, []))
        view.line(_overview_line(view, columns, row), _style(token))
    view.line()
    _show_entropy(view, explanation)
    for line in effect_lines(explanation.effects):
        view.line(line, DIM if "changed nothing" in line else "")
    _show_end(view, explanation)
    for what_if in explanation.what_if:
        view.line()
        for line in _what_if_lines(what_if):
            view.line(line)
    env.stdout.flush()


def _overview_columns(width: float) -> dict[str, float]:
    """Those that fit beside each other, and how wide each is."""
    chosen: dict[str, float] = dict(NARROWEST)
    for name in EXPENDABLE:
        if _taken_up(chosen) <= width:
            break
        del chosen[name]
    chosen["token"] += max(0, min(width - _taken_up(chosen), LONGEST_TOKEN - chosen["token"]))
    if "changed by" in chosen:
        chosen["changed by"] += width - _taken_up(chosen)
    return chosen


def _taken_up(columns: Mapping[str, float]) -> float:
    return sum(columns.values()) + len(GAP) * (len(columns) - 1)


def _overview(token: TokenView, deciders: Sequence[str]) -> dict[str, str]:
    """Probabilities before and after the stages, rank before, candidates and entropy after."""
    first, last = token.model, _before_draw(token)
    return {
        "draw": str(token.number),
        "token": f'"{one_line(token.text)}"',
        "model": _percent(token.probability(first)),
        "drawn": _percent(token.probability(last)),
        "rank": str(first.rank or 0),
        "left": str(last.kept),
        "bits": f"{last.entropy:.2f}",
        "changed by": ", ".join(deciders),
    }


def _overview_line(view: _View, columns: Mapping[str, float], row: Mapping[str, str]) -> str:
    """Words to the left, numbers to the right; all cut where they do not fit."""
    shown = []
    for name, width in columns.items():
        text = cut(view.env, view.env.stdout, row[name], width)
        right = name not in ("token", "changed by")
        shown.append(text if width == math.inf else pad(text, int(width), right=right))
    return GAP.join(shown)


def _style(token: TokenView) -> str:
    if token.is_end:
        return CYAN
    return YELLOW if token.model.rank != 1 else ""


def _before_draw(token: TokenView) -> Stage:
    """The distribution that the draw was made from (mirostat's own stage truncates too)."""
    return token.stages[-1]


def _deciders(effects: Sequence[Effect]) -> dict[int, list[str]]:
    deciders: dict[int, list[str]] = {}
    for effect in effects:
        for number in effect.changed:
            deciders.setdefault(number, []).append(effect.setting.param.name)
    return deciders


def _show_entropy(view: _View, explanation: Explanation) -> None:
    """The entropy along the text, before the stages and after them."""
    for title, at in (("model", 0), ("drawn", -1)):
        bits = [token.stages[at].entropy for token in explanation.tokens]
        if bits:
            width = view.width - ENTROPY_WORDS
            line = spark(view.env, view.env.stdout, bits, width, top=ONE_BIT)
            view.line(f"entropy, {title}: {line} up to {max(bits):.1f} bits", DIM)
    view.line()


def _show_end(view: _View, explanation: Explanation) -> None:
    view.line()
    view.line(f"stopped: {stop_text(explanation.finished.stop)}")
    if explanation.tokens:
        near = max(explanation.tokens, key=lambda token: token.end[0])
        probability, rank = near.end
        view.line(
            f"  an end token was likeliest at draw {near.number}: "
            f"{_percent(probability)}, rank {rank}"
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
        yield f"  {one_line(what_if.text)}"
        if what_if.stop and not what_if.ends_at:
            yield f"  stopped: {stop_text(what_if.stop)}"


def _what_if_told(what_if: WhatIf) -> str:
    if what_if.number is None:
        same = "every draw is the same"
        if what_if.ends_at and what_if.stop:
            return f"{same}, but the text ends after {what_if.ends_at}: {stop_text(what_if.stop)}"
        return f"{same}, but the text goes on" if what_if.goes_on else same
    instead, drawn = (
        f"{_quoted(text)} ({_percent(probability)})" if text else "the end"
        for text, probability in (
            (what_if.instead, what_if.instead_probability),
            (what_if.drawn, what_if.probability),
        )
    )
    return f"draw {what_if.number} is {instead} instead of {drawn}"


def show_token(env: Environment, explanation: Explanation, token: TokenView, *, color: str) -> None:
    """One draw as a waterfall: a row for each stage, a column for each candidate."""
    _show_token(_View(env, color), explanation, token)
    env.stdout.flush()


def step(env: Environment, explanation: Explanation, number: int, *, color: str) -> None:
    """The waterfall of one draw after the other, by the arrow keys, on a terminal."""
    from prompt_toolkit import Application
    from prompt_toolkit.formatted_text import ANSI
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.layout import FormattedTextControl, Layout, Window

    last = len(explanation.tokens)
    at = [number]
    keys = KeyBindings()

    def picture() -> ANSI:
        lines: list[str] = []
        view = _View(env, color, lines.append)
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


def _show_token(view: _View, explanation: Explanation, token: TokenView) -> None:
    texts = [each.text for each in explanation.tokens[: token.number - 1]]
    before = one_line("".join(texts))
    before = before if len(before) <= 60 else f"…{before[-60:]}"
    view.line(f"draw {token.number} of {len(explanation.tokens)}: {_quoted(token.text)}", BOLD)
    view.line(f"after {_quoted(before)}" if before else "the first", DIM)
    view.line()
    _waterfall(view, token)
    view.line()
    _distribution(view, token)
    probability, rank = token.end
    view.line()
    view.line(f"an end token had {_percent(probability)}, rank {rank}")
    if token.penalised:
        _ledger(view, explanation.settings, token)


def _waterfall(view: _View, token: TokenView) -> None:
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
    shown = list(range(max(1, fitting)))
    drawn = _drawn_place(token)
    if drawn not in shown:
        shown[-1] = drawn
    titles = (pad(names[i], widths[i], right=True) for i in shown)
    view.line(f"{head} {' '.join(titles)}", BOLD)
    for stage in token.stages:
        rank = "-" if stage.rank is None else str(stage.rank)
        row = f"{stage.name:<12} {stage.kept:>6} {_percent(stage.cut):>6} "
        row += f"{stage.entropy:>5.2f} {rank:>5} "
        values = (f"{_percent(stage.probability(i)):>{widths[i]}}" for i in shown)
        view.line(f"{row} {' '.join(values)}")
    for parts in fold(LEGEND, len("; "), view.width):
        view.line("; ".join(parts), DIM)


def _distribution(view: _View, token: TokenView) -> None:
    """Every candidate in the model's distribution and in the one that was drawn from."""
    sides = ((token.model, DIM), (_before_draw(token), GREEN))
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
            picture = bar(view.env, view.env.stdout, (share or 0.0) / scale, length)
            yield numbers(_logit(stage.logits[place]), _percent(share)), ""
            yield picture, style

    titles = (numbers("logit", title) + " " * length for title in ("model", "drawn"))
    view.line(pad("candidate", name_width) + "".join(titles), BOLD)
    for place, name in enumerate(names):
        style = BOLD if place == _drawn_place(token) else ""
        view.spans([(pad(name, name_width), style), *candidate(place)])
    if token.model.kept > len(names):
        rest = (numbers("", _percent(_others(stage))) + " " * length for stage, _ in sides)
        view.line(pad(others, name_width) + "".join(rest), DIM)


def _bar_room(width: int) -> tuple[bool, int]:
    """Is there room for logits beside the bars, in two columns of this width together; and how
    long a bar may be.
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
    """The probability of the candidates that are not shown; None where none is left."""
    known = [p for p in stage.probabilities() if p is not None]
    return max(0.0, 1 - sum(known)) if stage.kept > len(known) else None


def _names(token: TokenView) -> list[str]:
    """Of the candidates; a star marks the one that was drawn."""
    return [_name(text) + "*" * (id == token.id) for id, text in token.candidates]


def _drawn_place(token: TokenView) -> int:
    return [id for id, _ in token.candidates].index(token.id)


def _ledger(view: _View, settings: Settings, token: TokenView) -> None:
    """What the penalties took; repetition with either growth, where it takes anything."""
    other = "once" if settings["repeat_penalty_growth"] == "exponential" else "exponential"
    repeats = settings["repeat_penalty"] != 1
    rows = [_ledger_row(entry, f"if {other}" if repeats else "") for entry in token.penalised]
    widths = {t: max(len(t), *(len(row[t]) for row in rows)) for t in rows[0]}
    # Where the line is short, first go the columns of penalties that take nothing.
    for title in sorted(SPARE, key=lambda title: any(row[title] != "0" for row in rows)):
        if sum(widths.values()) + len(widths) + SHORTEST_TOKEN > view.width:
            del widths[title]
    room = view.width - sum(widths.values()) - len(widths)
    names = [_name(entry.text) for entry in token.penalised]
    width = max(len("token"), min(room, max(map(cells, names))))

    def line(name: str, row: Mapping[str, str]) -> str:
        name = pad(cut(view.env, view.env.stdout, name, width), width)
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


def show_fit(env: Environment, fit: Fit, *, as_json: bool, color: str) -> None:
    """What a given text demands of the settings."""
    if as_json:
        document = {**asdict(fit), "tokens": [asdict(token) for token in fit.tokens]}
        write_json(env, _finite(document), indent=2 if env.stdout_is_tty else None)
        return
    view = _View(env, color)
    view.line(
        f"{'token':<{LONGEST_TOKEN}} {'model':>6} {'rank':>5} {'before':>6} {'share':>6}", BOLD
    )
    for token in fit.tokens:
        removed = f"  removed by {token.removed_by}" if token.removed_by else ""
        view.line(
            f"{pad(_name(token.text), LONGEST_TOKEN)} {_percent(math.exp(token.logprob)):>6} "
            f"{token.rank:>5} {_percent(token.before):>6} {_percent(token.share):>6}{removed}",
            YELLOW if removed else "",
        )
    impossible = sum(bool(token.removed_by) for token in fit.tokens)
    view.line()
    view.line(f"perplexity {fit.perplexity:.4g}")
    view.line(
        f"admitted by top_k {fit.top_k} or more, top_p {_wide_enough(fit.top_p)} or more, "
        f"min_p {_low_enough(fit.min_p)} or less, each alone"
    )
    view.line(f"impossible with these settings: {impossible} of {len(fit.tokens)} tokens")
    env.stdout.flush()


def _wide_enough(top_p: float) -> str:
    """A value above this one; the sum of probabilities is exact to a millionth."""
    return _rounded(min(1.0, top_p + 1e-6), ROUND_CEILING) if top_p > 0 else "0"


def _low_enough(min_p: float) -> str:
    """A value below this one; logits have seven digits."""
    return _rounded(min_p * (1 - 1e-5), ROUND_FLOOR) if min_p < 1 else "1"


def _rounded(value: float, rounding: str) -> str:
    digits = Rounding(prec=4, rounding=rounding).create_decimal_from_float(value)
    return f"{float(digits):.4g}"


def show_json(env: Environment, explanation: Explanation) -> None:
    """All of it: every candidate at every stage of every draw."""
    finished, started = explanation.finished, explanation.started
    document = {
        "prompt": started.prompt,
        "text": finished.text,
        "seed": started.seed,
        "stop": {"reason": finished.stop.reason.value, "detail": finished.stop.detail},
        "parameters": parameters_object(explanation.settings),
        "tokens": [_token_object(token) for token in explanation.tokens],
        "effects": effects_object(explanation.effects),
        "stop_sequences": [asdict(stop) for stop in explanation.stops],
        "what_if": [asdict(what_if) for what_if in explanation.what_if],
    }
    write_json(env, _finite(document), indent=2 if env.stdout_is_tty else None)


def _token_object(token: TokenView) -> dict[str, Any]:
    return {
        "number": token.number,
        "id": token.id,
        "text": token.text,
        "is_end": token.is_end,
        "end": {"probability": token.end[0], "rank": token.end[1]},
        "candidates": [{"id": id, "text": text} for id, text in token.candidates],
        "stages": [
            {
                "name": stage.name,
                "kept": stage.kept,
                "cut": stage.cut,
                "entropy": stage.entropy,
                "rank": stage.rank,
                "logits": list(stage.logits),
                "probabilities": stage.probabilities(),
            }
            for stage in token.stages
        ],
        "window": token.window,
        "penalties": [asdict(entry) for entry in token.penalised],
    }


def _finite(value: Any) -> Any:
    """What JSON cannot write becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _name(text: str) -> str:
    shown = f'"{one_line(text)}"'
    return shown if len(shown) <= LONGEST_TOKEN else f'{shown[: LONGEST_TOKEN - 2]}…"'


def _quoted(text: str) -> str:
    return f'"{one_line(text)}"'


def _percent(probability: float | None) -> str:
    """What was removed is a dot."""
    return REMOVED if probability is None else percent(probability)
