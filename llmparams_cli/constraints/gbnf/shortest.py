"""The shortest text that a GBNF grammar admits."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from llmparams_cli.constraints.gbnf.rules import Characters, Grammar, Sequence, Token

LONGEST = 100_000  # characters; longer than any answer


def shortest(grammar: Grammar, fill: str = "") -> str:
    """A shortest text, or the first 100,000 characters of it; tokens count as no text. Where
    several characters will do they are those of `fill` in turn.
    """
    found = cheapest(grammar, lambda one: isinstance(one, Characters))
    text: list[str] = []
    place = 0
    todo: list[int | Characters | Token] = [grammar.root]
    while todo and len(text) < LONGEST:
        element = todo.pop()
        if isinstance(element, Characters):
            character = fill[place % len(fill)] if fill else ""
            fits = bool(character) and element.admits(ord(character))
            place = place + 1 if fits else 0
            text.append(character if fits else element.first or "")
        elif isinstance(element, int):
            best = found[element]
            if best is not None and best[0]:
                todo += reversed(best[1])
    return "".join(text)


def cheapest(
    grammar: Grammar, price: Callable[[Characters | Token], int]
) -> list[tuple[int, Sequence] | None]:
    """The cheapest alternative of each rule and what it costs (Knuth's form of Dijkstra's)."""
    found: list[tuple[int, Sequence] | None] = [None] * len(grammar.rules)
    users: list[list[int]] = [[] for _ in grammar.rules]  # the alternatives that wait for a rule
    costs: list[int] = []  # of an alternative, so far, and of how many rules it lacks the cost
    lacks: list[int] = []
    owner: list[tuple[int, Sequence]] = []
    queue: list[tuple[int, int]] = []
    for number, rule in enumerate(grammar.rules):
        for sequence in rule.alternatives:
            cost = lacking = 0
            for element in sequence:
                if isinstance(element, int):
                    users[element].append(len(owner))
                    lacking += 1
                else:
                    cost += price(element)
            if not lacking:
                queue.append((cost, len(owner)))
            owner.append((number, sequence))
            costs.append(cost)
            lacks.append(lacking)
    heapq.heapify(queue)
    while queue:
        cost, alternative = heapq.heappop(queue)
        number, sequence = owner[alternative]
        if found[number] is not None:
            continue
        found[number] = cost, sequence
        for user in users[number]:
            costs[user] += cost
            lacks[user] -= 1
            if not lacks[user]:
                heapq.heappush(queue, (costs[user], user))
    return found
