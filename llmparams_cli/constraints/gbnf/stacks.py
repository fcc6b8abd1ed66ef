"""Follows a GBNF grammar as llama.cpp does, to see how many ways of reading a text it would keep.

llama.cpp has one stack for each way in which the text so far can be read: where it is in a rule,
and in those that led there. Two alternatives with the same beginning double them with every level
of nesting, and so the memory with every character. A search tries the texts that look worst.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random

from llmparams_cli.constraints.gbnf.rules import Characters, Element, Fault, Grammar, Rule, Token

MOST_AT_ONCE = 20_000  # stacks with which a place begins; llama.cpp compares each with each
MOST_GROWN = 5_000  # stacks behind a text, beside twice those: a tenth of a second for a character
LONGEST = 32  # characters that are tried; a single token may have as many
BREADTH = 4  # texts that are pursued while they have few stacks, and characters tried behind each
FEW = 300
SOME = 48  # of many stacks: by which the others are judged
MOST_STEPS = 200_000  # all in all: some tenths of a second
END = 0  # the empty stack

Symbol = int | str  # a character, or a token's text
Stacks = dict[int, None]  # a set that keeps its order


def too_many(grammar: Grammar, rule: Rule, where: str) -> Fault:
    """What is wrong with a grammar that can be read in too many ways at a place."""
    reason = f"llama.cpp would follow thousands of ways of reading at once, {where}"
    cure = "write what alternatives have in common once, before a bracket with the rest"
    return Fault(grammar.text, rule.offset, rule.name, reason, cure)


def refuse_growth(grammar: Grammar, widest: int) -> None:
    """Raises Fault for a text behind which the stacks are too many, if one is found; `widest` is
    with how many a place of the grammar can begin.
    """
    follow = Followed(grammar, MOST_GROWN + 2 * widest)
    pursued = [("", follow.begin())]
    for _ in range(LONGEST):
        further: dict[frozenset[int], tuple[str, Stacks]] = {}
        for text, stacks in pursued:
            for symbol in follow.symbols(stacks)[: BREADTH if len(stacks) < FEW else 2]:
                now = follow.behind(stacks, symbol)
                read = text + (chr(symbol) if isinstance(symbol, int) else symbol)
                if len(now) > follow.most:
                    root = grammar.rules[grammar.root]
                    raise too_many(grammar, root, f"behind {read!r} for one")
                further.setdefault(frozenset(now), (read, now))
        pursued = sorted(further.values(), key=lambda one: -len(one[1]))
        pursued = pursued[: BREADTH if pursued and len(pursued[0][1]) < FEW else 1]
        if follow.steps > MOST_STEPS:
            return


class Followed:
    """The grammar's stacks by number: a stack is a place in a rule and the stack below it."""

    def __init__(self, grammar: Grammar, most: int) -> None:
        self.most = most
        self.root = grammar.root
        self.elements: list[Element | None] = []  # None: the end of an alternative
        self.starts: list[list[int]] = []
        self.steps = 0
        for rule in grammar.rules:
            starts = []
            for sequence in rule.alternatives:
                starts.append(len(self.elements))
                self.elements += [*sequence, None]
            self.starts.append(starts)
        self._stacks = [(0, 0)]
        self._numbers: dict[tuple[int, int], int] = {}

    def begin(self) -> Stacks:
        return self._advanced(self._pushed(start, END) for start in self.starts[self.root])

    def behind(self, stacks: Stacks, symbol: Symbol) -> Stacks:
        """The stacks behind one more character or token."""
        admits = {}
        going = []
        for stack in stacks:
            if stack == END:
                continue
            place, below = self._stacks[stack]
            element = self.elements[place]
            if id(element) not in admits:
                admits[id(element)] = _admits(element, symbol)
            if admits[id(element)]:
                going.append(self._pushed(place + 1, below))
        return self._advanced(going)

    def symbols(self, stacks: Stacks) -> list[Symbol]:
        """What may follow, first what some of the stacks grow most by."""
        tops = Counter(self.elements[self._stacks[one][0]] for one in stacks if one != END)
        some = dict.fromkeys(Random(0).sample([*stacks], min(SOME, len(stacks))))
        typical = {symbol for top, _ in tops.most_common(SOME) for symbol in _typical(top)}
        grown = {symbol: len(self.behind(some, symbol)) for symbol in typical}
        return sorted(typical, key=lambda symbol: (-grown[symbol], str(symbol)))

    def _pushed(self, place: int, below: int) -> int:
        if self.elements[place] is None:
            return below
        number = self._numbers.setdefault((place, below), len(self._stacks))
        if number == len(self._stacks):
            self._stacks.append((place, below))
        return number

    def _advanced(self, stacks: Iterable[int]) -> Stacks:
        """What they become when references give way to rules (llama_grammar_advance_stack)."""
        todo, seen = [*stacks], set()
        found: Stacks = {}
        while todo and len(found) <= self.most:
            stack = todo.pop()
            if stack in seen:
                continue
            seen.add(stack)
            place, below = self._stacks[stack]
            element = self.elements[place]
            if stack == END or not isinstance(element, int):
                found[stack] = None
                continue
            rest = self._pushed(place + 1, below)
            todo += [self._pushed(start, rest) for start in self.starts[element]]
        self.steps += len(seen)
        return found


def _admits(element: Element | None, symbol: Symbol) -> bool:
    if isinstance(element, Characters):
        return isinstance(symbol, int) and element.admits(symbol)
    if isinstance(element, Token):
        return isinstance(symbol, str) and (element.text == symbol) != element.is_negated
    return False


def _typical(element: Element | None) -> Iterator[Symbol]:
    """Where what an element admits begins, and so what it may have in common with others."""
    if isinstance(element, Characters):
        if element.first:
            yield ord(element.first)
        for low, high in element.ranges:
            for code in (low, high + 1):
                if element.first and 0 < code < 0x110000 and element.admits(code):
                    yield code
    elif isinstance(element, Token):
        yield "<other>" if element.is_negated else element.text
