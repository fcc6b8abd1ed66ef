"""The same grammar in a form that llama.cpp follows faster.

It follows every alternative by itself, even those that begin alike: `e ::= t | t "+" e` doubles its
work with every level of nesting, and a list of a thousand words costs a thousand stacks. Here what
alternatives have in common stands once, before a rule with what comes behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from llmparams_cli.constraints.gbnf.rules import (
    ROOT,
    Characters,
    Element,
    Grammar,
    Rule,
    Sequence,
    Token,
)


def factored(grammar: Grammar) -> Grammar:
    """The grammar, with a text for llama.cpp of its own if it had to be changed."""
    rules = [replace(rule) for rule in grammar.rules]
    todo = [*range(len(rules))]
    is_changed = False
    while todo:
        rule = rules[todo.pop()]
        alike: dict[Element | None, list[Sequence]] = {}
        for sequence in rule.alternatives:
            alike.setdefault(sequence[0] if sequence else None, []).append(sequence)
        if len(alike) == len(rule.alternatives):
            continue
        is_changed = True
        rule.alternatives = []
        for sequences in alike.values():
            common = _common(sequences)
            rests = [sequence[len(common) :] for sequence in sequences]
            if any(rests):
                todo.append(len(rules))
                rules.append(Rule(rule.name, rule.offset, rests))
                common = [*common, len(rules) - 1]
            rule.alternatives.append(common)
    if not is_changed:
        return grammar
    return replace(grammar, rules=rules, followed=written(rules, grammar.root))


def _common(sequences: list[Sequence]) -> Sequence:
    """With what all of them begin."""
    common = sequences[0]
    for sequence in sequences[1:]:
        same = 0
        while same < min(len(common), len(sequence)) and common[same] == sequence[same]:
            same += 1
        common = common[:same]
    return common


def written(rules: list[Rule], root: int) -> str:
    """The rules as GBNF, one a line."""
    lines = []
    for number, rule in enumerate(rules):
        alternatives = " | ".join(_sequence(sequence, root) for sequence in rule.alternatives)
        lines.append(f"{_name(number, root)} ::= {alternatives}\n")
    return "".join(lines)


def _name(number: int, root: int) -> str:
    return ROOT if number == root else f"r{number}"


def _sequence(sequence: Sequence, root: int) -> str:
    # An empty one is written too: at the end of a line the next line would be read as a part of it.
    return " ".join(_elements(sequence, root)) or '""'


def _elements(sequence: Sequence, root: int) -> Iterator[str]:
    literal = ""
    for element in sequence:
        single = element.single if isinstance(element, Characters) else None
        if single is not None:
            literal += _escaped(single)
            continue
        if literal:
            yield f'"{literal}"'
            literal = ""
        if isinstance(element, int):
            yield _name(element, root)
        elif isinstance(element, Token):
            yield f"{'!' if element.is_negated else ''}{element.text}"
        else:
            yield _class(element)
    if literal:
        yield f'"{literal}"'


def _class(element: Characters) -> str:
    if not element.ranges:
        return "."
    ranges = [
        _escaped(low) + (f"-{_escaped(high)}" if high != low else "")
        for low, high in element.ranges
    ]
    return f"[{'^' if element.is_negated else ''}{''.join(ranges)}]"


def _escaped(code: int) -> str:
    """A character, in a literal or a class."""
    if code < 128 and chr(code).isalnum():
        return chr(code)
    if code < 0x100:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
