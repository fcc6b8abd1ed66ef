"""The main view: what a model is, what it is made of, how it reads text. It fits one screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.models.anatomy import Layers, Part
from llmparams_cli.models.subject import Subject
from llmparams_cli.models.tokenizer import SpecialToken, Tokenizer
from llmparams_cli.render.bars import bar
from llmparams_cli.render.inspect.words import count, number, ranges, yes_no
from llmparams_cli.render.styles import BOLD, CYAN, DIM, YELLOW
from llmparams_cli.render.view import View
from llmparams_cli.templates.choice import is_jinja
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import beginning
from llmparams_cli.text.units import percent, size_text
from llmparams_cli.text.width import cells, cut, pad

INDENT, GAP = "  ", "   "
LONGEST_BAR, SHORTEST_BAR = 16, 6
LONGEST_TOKEN = 24  # columns
MOST_KINDS = 20  # kinds of layers, types, special tokens: a hostile file may have thousands
ORIGINS = ("license", "author", "url", "base_model", "quantized_by")


def show(env: Environment, subject: Subject, *, color: str) -> None:
    """Everything that the header says."""
    view = View(env, color)
    _title(view, subject)
    _architecture(view, subject)
    _parameters(view, subject)
    _types(view, subject)
    if subject.tokenizer.model:
        _tokenizer(view, subject.tokenizer)
        _template(view, subject)
        _sampling(view, subject)
    env.stdout.flush()  # something to read while the memory is worked out


def _title(view: View, subject: Subject) -> None:
    header = subject.header
    files = f" in {len(header.paths)} files" if len(header.paths) > 1 else ""
    what = [
        _line(header.architecture, 40) or "no architecture",
        header.quantization,
        size_text(header.size) + files,
    ]
    view.spans([(_line(header.name), BOLD), (f"  {', '.join(filter(None, what))}", "")])
    if subject.refusal:
        view.line(
            f"{INDENT}no text can be generated with it: {_line(subject.refusal, 200)}", YELLOW
        )
    facts = subject.provenance
    _items(view, (_origin(name, facts[name]) for name in ORIGINS if name in facts), GAP, DIM)


def _origin(name: str, value: str | list[str]) -> str:
    text = "; ".join(value) if isinstance(value, list) else value
    return f"{name.replace('_', ' ')} {_line(text, 60)}"


def _line(text: str, most: int = 76) -> str:
    """A text of the file, on one line and not too long."""
    return beginning(one_line(text[: 4 * most]), most)


def _items(view: View, items: Iterable[str], gap: str = GAP, style: str = "") -> None:
    """Items side by side, in as many lines as they take."""
    line = ""
    for item in items:
        if line and cells(INDENT + line + gap + item) > view.width:
            view.line(INDENT + line, style)
            line = ""
        line += (gap if line else "") + item
    if line:
        view.line(INDENT + line, style)


def _heading(view: View, title: str, *items: str, gap: str = GAP) -> None:
    """A title with items behind it, as many as fit; the others below."""
    fitting, left = "", list(items)
    while left and cells(title + fitting + gap + left[0]) <= view.width:
        fitting += (gap if fitting else "  ") + left.pop(0)
    view.line()
    view.spans([(title, BOLD), (fitting, "")])
    _items(view, left, gap)


def _architecture(view: View, subject: Subject) -> None:
    facts = subject.architecture
    if not facts:
        return
    _heading(view, "architecture")
    _items(view, (f"{name} {value}" for name, value in _facts(facts)))


def _facts(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The numbers of the architecture in words; those that explain each other stand together."""
    left = dict(facts)
    for name in ("layers", "hidden_size", "heads", "heads_kv", "head_size", "feed_forward"):
        if name in left:
            yield name.replace("heads_kv", "kv_heads").replace("_", " "), _value(left.pop(name))
    if left.get("value_size") == facts.get("head_size"):
        left.pop("value_size", None)
    if "experts" in left:
        used = f", {_value(left.pop('experts_used'))} used" if "experts_used" in left else ""
        yield "experts", _value(left.pop("experts")) + used
    for name, value in left.items():
        yield _line(re.sub("[._]", " ", name), 40), _value(value)


def _value(value: Any) -> str:
    """A number for people; of numbers by layer, the different ones."""
    if isinstance(value, list):
        different = list(dict.fromkeys(map(_value, value)))
        return beginning(" or ".join(different), 40)
    return _line(number(value), 40)


def _parameters(view: View, subject: Subject) -> None:
    body = subject.anatomy
    biases = count(body.biases) if body.biases else "none"
    _heading(view, "weights", f"{count(body.weights)}    biases  {biases}")
    if not body.parts:
        return
    rows = list(_rows(body.parts, body.parameters))
    widths = [max(len(row[place]) for row in (HEADS, *rows)) for place in range(len(HEADS))]
    room = view.width - sum(widths) - len(GAP) * len(widths) - len(INDENT)
    rows = [(*row[:-1], beginning(row[-1], max(len("Q4_K"), widths[-1] + room))) for row in rows]
    length = min(LONGEST_BAR, room) if room >= SHORTEST_BAR else 0
    view.line(_row(HEADS, widths, " " * length), DIM)
    for part, row in zip(body.parts, rows, strict=True):
        share = part.parameters / body.parameters if body.parameters else 0.0
        left, right = _row(row, widths, "\0").split("\0")
        view.spans([(left, ""), (bar(share, length, view.env.stdout), CYAN), (right, "")])
    for group in body.layers[:MOST_KINDS]:
        view.line(INDENT + _layers_line(group, len(body.layers)))
    if len(body.layers) > MOST_KINDS:
        view.line(f"{INDENT}… {count(len(body.layers) - MOST_KINDS)} more: --json has all", DIM)


HEADS = ("", "weights", "biases", "share", "type")


def _rows(parts: Sequence[Part], total: int) -> Iterator[tuple[str, ...]]:
    for part in parts:
        yield (
            part.kind,
            count(part.weights) if part.weights else "-",
            count(part.biases) if part.biases else "-",
            percent(part.parameters / total if total else 0.0),
            beginning(" ".join(part.types), 24),
        )


def _row(texts: Sequence[str], widths: Sequence[int], picture: str) -> str:
    kind, weights, biases, share, types = texts
    numbers = GAP.join(
        pad(text, width, right=True)
        for text, width in zip((weights, biases, share), widths[1:4], strict=True)
    )
    return f"{INDENT}{pad(kind, widths[0])}{GAP}{numbers} {picture}{GAP}{types}"


def _layers_line(group: Layers, groups: int) -> str:
    tower = f" of {_line(group.tower, 16)}" if group.tower else ""
    many = len(group.numbers)
    which = "" if groups == 1 else f" ({ranges(group.numbers)})"
    each = f"{count(group.weights)} weights"
    if group.biases:
        each += f" and {count(group.biases)} biases"
    alike = f"{many} layers{tower} alike, each" if many > 1 else f"1 layer{tower},"
    return f"{alike} {each}{which}"


def _types(view: View, subject: Subject) -> None:
    body = subject.anatomy
    if not body.parameters:
        return
    _heading(view, "stored", f"{size_text(body.bytes)}, {body.bits_per_parameter:.2f} bits each")
    shares = subject.header.tensor_types()
    elements: dict[str, int] = {}
    for tensor in subject.header.tensors:
        elements[tensor.type.name] = elements.get(tensor.type.name, 0) + tensor.elements
    for name in sorted(shares, key=lambda name: -shares[name].bytes)[:MOST_KINDS]:
        share = shares[name]
        bits = share.bytes * 8 / elements[name] if elements[name] else 0.0
        line = (
            f"{INDENT}{name:<8}{count(elements[name]):>14}{size_text(share.bytes):>10}"
            f"{percent(share.bytes / body.bytes):>7}{bits:>6.2f} bits"
        )
        tensors = f" in {count(share.tensors)} tensor{'s' if share.tensors > 1 else ''}"
        view.line(line + tensors * (len(line + tensors) <= view.width))


def _tokenizer(view: View, tokens: Tokenizer) -> None:
    pre = f" ({_line(tokens.pre, 24)})" if tokens.pre and tokens.pre != "default" else ""
    others = ", ".join(f"{count(many)} {name}" for name, many in tokens.types.items())
    items = [
        f"{_line(tokens.family, 24)}{pre}",
        f"{count(tokens.size)} tokens" + (f" ({others})" if others else ""),
        f"{count(tokens.merges)} merges" if tokens.merges else "",
    ]
    _heading(view, "tokenizer", *filter(None, items), gap=", ")
    _items(view, _special(view, tokens))


def _special(view: View, tokens: Tokenizer) -> Iterator[str]:
    """The special tokens; those with the same id stand together."""
    by_id: dict[int, list[SpecialToken]] = {}
    for token in tokens.special:
        by_id.setdefault(token.id, []).append(token)
    for id, same in by_id.items():
        text = same[0].text
        shown = "(not in the vocabulary)" if text is None else _line(text, 4 * LONGEST_TOKEN)
        roles = "/".join(token.role for token in same)
        yield f"{roles} {id} {cut(shown, LONGEST_TOKEN, view.env.stdout)}"
    added = [name for name, is_added in tokens.adds.items() if is_added]
    if tokens.adds:
        yield f"added to a text: {' and '.join(added) or 'none'}"


def _template(view: View, subject: Subject) -> None:
    can = subject.abilities
    if not can:
        _heading(view, "chat template", "none: prompts are continued as they are")
        return
    has = {"system": can.system, "tools": can.tools, "thinking": can.thinking}
    places = [f"{name} {yes_no(value)}" for name, value in has.items()]
    choices = (*("off", "on") * can.thinking_switch, *can.thinking_levels)
    if choices:
        places[-1] += f": {', '.join(choices)}"
    text = subject.template
    what = f"{count(len(text))} characters" if is_jinja(text) else f"{_line(text, 40)}, by name"
    _heading(view, "chat template", *places, f"({what})")
    if len(names := subject.header.chat_templates) > 1:
        _items(view, [f"named {', '.join(_line(name, 24) for name in [*names][:MOST_KINDS])}"])


def _sampling(view: View, subject: Subject) -> None:
    wanted = list(subject.header.sampling.items())[:MOST_KINDS]
    prefix = "general.sampling."
    items = (f"{_line(key.removeprefix(prefix), 24)} {_value(value)}" for key, value in wanted)
    view.spans([("recommended sampling", BOLD), ("" if wanted else "  none", "")])
    _items(view, items)
