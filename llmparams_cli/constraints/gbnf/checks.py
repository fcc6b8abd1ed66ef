"""Whether llama.cpp can follow a GBNF grammar: it would fill the memory, end the program or search
for minutes with those that are refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import lru_cache
from itertools import pairwise

from llmparams_cli.constraints.gbnf import graphs, reader, stacks
from llmparams_cli.constraints.gbnf.factored import factored
from llmparams_cli.constraints.gbnf.rules import Fault, Grammar, Sequence
from llmparams_cli.constraints.gbnf.shortest import cheapest

# llama.cpp looks for left recursion by recursion: 60,000 rules deep work, 80,000 overflow 8 MB.
DEEPEST = 10_000
MOST_STEPS = 50_000_000  # of that search
REPEAT = "write repetitions with * or +, around what is never empty"
COMMON = "write what they have in common once, before a bracket with the rest"


@lru_cache(maxsize=4)  # every sequence of a batch asks again
def checked(text: str) -> Grammar:
    """The grammar's rules; raises Fault for what is no grammar or cannot be followed."""
    grammar = factored(reader.read(text))
    known = _beginnings(grammar, [not all(rule.alternatives) for rule in grammar.rules])
    part = _refuse_left_recursion(grammar, known, lambda _: True)
    _refuse_slow_search(grammar, known, part)
    found = cheapest(grammar, lambda _: 1)
    is_empty = [one is not None and not one[0] for one in found]
    reached = graphs.reached(_references(grammar), grammar.root)
    true = _beginnings(grammar, is_empty, reached)
    part = _refuse_left_recursion(grammar, true, lambda follows: follows)
    _refuse_endless(grammar, reached, found)
    widest = _widest(grammar, part, is_empty, reached)
    stacks.refuse_growth(grammar, widest)
    return grammar


# Left recursion.

Beginnings = list[tuple[int, bool]]  # rules with which one can begin; does something follow?


def _refuse_left_recursion(
    grammar: Grammar, begins: list[Beginnings], is_harmful: Callable[[bool], bool]
) -> list[int]:
    """llama.cpp takes only rules that have an empty alternative for empty, and refuses what leads
    back to itself through those. What leads back through others grows a stack without end, unless
    nothing follows the reference. Returns the parts of the graph.
    """
    graph = [[number for number, _ in others] for others in begins]
    part = graphs.parts(graph)
    for start, others in enumerate(begins):
        for number, follows in others:
            if part[start] == part[number] and is_harmful(follows):
                raise _left_recursion(grammar, graphs.path(graph, number, start))
    return part


def _left_recursion(grammar: Grammar, circle: list[int]) -> Fault:
    names = [grammar.rules[number].name for number in circle]
    names = [name for before, name in pairwise([names[-1], *names]) if name != before]
    rule = grammar.rules[circle[-1]]
    if not names:
        way = "it can begin with itself, or repeats what may be empty"
    elif len(names) > 5:
        way = f"it can begin with '{names[0]}', and so on, and by {len(names)} rules with itself"
    else:
        way = f"it can begin with {', that with '.join(map(repr, names))}"
    return Fault(grammar.text, rule.offset, rule.name, f"left recursion: {way}", REPEAT)


def _beginnings(
    grammar: Grammar, is_empty: list[bool], reached: Container[int] | None = None
) -> list[Beginnings]:
    found: list[Beginnings] = []
    for number, rule in enumerate(grammar.rules):
        found.append([])
        for sequence in rule.alternatives if reached is None or number in reached else ():
            for place, element in enumerate(sequence, 1):
                if not isinstance(element, int):
                    break
                found[-1].append((element, place < len(sequence)))
                if not is_empty[element]:
                    break
    return found


# What is finite and too much.


def _refuse_slow_search(grammar: Grammar, begins: list[Beginnings], part: list[int]) -> None:
    """llama.cpp looks for left recursion by recursion, and comes by a rule again for every rule
    that begins with it.
    """
    depth, steps = [0] * len(part), [0] * len(part)
    for number in sorted(range(len(part)), key=part.__getitem__):
        rule = grammar.rules[number]
        depth[number] = 1 + max((depth[other] for other, _ in begins[number]), default=0)
        own = sum(map(len, rule.alternatives)) + len(rule.alternatives)
        steps[number] = own + sum(steps[other] for other, _ in begins[number])
        if depth[number] > DEEPEST:
            reason = f"more than {DEEPEST:,} rules begin with one another"
            raise Fault(grammar.text, rule.offset, rule.name, reason, "put their texts into one")
        if steps[number] > MOST_STEPS:
            reason = "llama.cpp would search it for minutes: its alternatives begin with the same"
            raise Fault(grammar.text, rule.offset, rule.name, reason, COMMON)


def _references(grammar: Grammar) -> graphs.Graph:
    return [
        [element for sequence in rule.alternatives for element in sequence if type(element) is int]
        for rule in grammar.rules
    ]


def _refuse_endless(
    grammar: Grammar, reached: Iterable[int], found: list[tuple[int, Sequence] | None]
) -> None:
    endless = next((number for number in reached if found[number] is None), None)
    if endless is None:
        return
    # Every alternative has a reference to such a rule; the first leads into a circle in the end.
    graph = _references(grammar)
    way: list[int] = []
    while endless not in way:
        way.append(endless)
        endless = next(other for other in graph[endless] if found[other] is None)
    rule = grammar.rules[endless]
    reason = "no text of it ever ends: every alternative leads back to it"
    cure = f"give '{rule.name}' an alternative that does not"
    raise Fault(grammar.text, rule.offset, rule.name, reason, cure)


def _widest(grammar: Grammar, part: list[int], is_empty: list[bool], reached: Iterable[int]) -> int:
    """With how many stacks a place of the rules begins at most, which llama.cpp compares with one
    another. Raises Fault for too many.
    """
    ways = [0] * (max(part) + 1)  # of a part of the graph: what it leads to outside
    for number in sorted(reached, key=part.__getitem__):
        rule = grammar.rules[number]
        inside = part[number]
        for sequence in rule.alternatives:
            for element in sequence:
                if not isinstance(element, int):
                    ways[inside] += 1
                    break
                ways[inside] += ways[part[element]] if part[element] != inside else 0
                if not is_empty[element]:
                    break
        if ways[inside] > stacks.MOST_AT_ONCE:
            raise stacks.too_many(grammar, rule, "at its beginning")
    widest = max(ways)
    for number in reached:
        rule = grammar.rules[number]
        for sequence in rule.alternatives:
            count = 0
            for element in reversed(sequence):
                follow = count if isinstance(element, int) and is_empty[element] else 0
                count = follow + (ways[part[element]] if isinstance(element, int) else 1)
                widest = max(widest, count)
        if widest > stacks.MOST_AT_ONCE:
            raise stacks.too_many(grammar, rule, "where many parts may be left out")
    return widest
