"""Objects as rules: the named members in the order of the schema, then all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from llmparams_cli.constraints.matching import escaped, is_match
from llmparams_cli.constraints.schema import numbers, strings
from llmparams_cli.constraints.schema.lark import Rule, Sequenced, Terminal, Times
from llmparams_cli.constraints.schema.place import NEVER, Node, both
from llmparams_cli.constraints.schema.sets import (
    Objects,
    Pattern,
    Strings,
    Values,
    item,
    member,
    names_of,
)

if TYPE_CHECKING:
    from llmparams_cli.constraints.schema.writer import Writer

MOST_PATTERNS = 4  # whose overlaps are worked out
MOST_STATES = 20_000


@dataclass(frozen=True)
class Pair:
    symbols: Sequenced
    is_required: bool


class ObjectWriter:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._known: dict[Objects, Rule] = {}

    def write(self, objects: Objects) -> Rule:
        if objects not in self._known:
            self._known[objects] = self._written(objects)
        return self._known[objects]

    def _written(self, objects: Objects) -> Rule:
        grammar = self._writer.grammar
        named = self._named(objects)
        others = self._others(objects)
        if len(named) > 1 or (named and others):
            self._writer.tell_order()
        rule = grammar.rule()
        needed = sum(pair.is_required for pair in named)
        counts = _Counts(objects.fewest, objects.most)
        is_roomy = objects.most is None or (objects.most >= len(named) and not others)
        if objects.fewest <= needed and is_roomy:
            counts = _Counts(0, None)  # they hold anyway
        if others and counts.fewest - needed > 1:
            text = "counts a name twice that comes twice"
            self._writer.notes.wider(objects.path or "$", "minProperties", text)
        if counts.limit() * (len(named) + 1) > MOST_STATES:
            keyword = "maxProperties" if objects.most is not None else "minProperties"
            self._writer.notes.wider(objects.path or "$", keyword, "is left out: it is too large")
            counts = _Counts(0, None)
        grammar.define(rule, [(self._writer.tokens.braces[0], self._chain(named, others, counts))])
        return rule

    # --- which members there are

    def _named(self, objects: Objects) -> list[Pair]:
        pairs = []
        for name in names_of(objects):
            node = self._writer.expander.member(objects, name)
            is_required = name in objects.required
            if not self._may_be_named(objects, name):
                node = (NEVER,)
            if not is_required and self._writer.expander.is_empty(node):
                continue
            key = self._writer.grammar.terminal(numbers.spelled(name))
            pairs.append(
                Pair((key, self._writer.tokens.colon, self._writer.node(node)), is_required)
            )
        return pairs

    def _may_be_named(self, objects: Objects, name: str) -> bool:
        return all(self._writer.checker.admitted(names, (item(name),)) for names in objects.names)

    def _others(self, objects: Objects) -> list[Sequenced]:
        """The members that are not named: a name and a value each."""
        taken = [escaped(name) for name in names_of(objects)]
        patterns = list(dict.fromkeys(p for group in objects.groups for p in group.patterns))
        found: list[Sequenced] = []
        for inside, outside in self._regions(objects, patterns):
            node = self._value_of(objects, inside)
            if self._writer.expander.is_empty(node):
                continue
            barred = [*taken, *outside]
            for key in self._keys(objects, inside, barred):
                found.append((key, self._writer.tokens.colon, self._writer.node(node)))
        return found

    def _regions(
        self, objects: Objects, patterns: Sequence[Pattern]
    ) -> list[tuple[list[str], list[str]]]:
        """Each choice of patterns that a name may match, and the patterns that it then must not."""
        expressions = list(dict.fromkeys(pattern.rust for pattern in patterns))
        most = len(expressions)
        if most > MOST_PATTERNS:
            most = 1
            self._writer.notes.narrower(
                objects.path or "$", "patternProperties", "are followed one at a time"
            )
        return [
            (list(inside), [p for p in expressions if p not in inside])
            for count in range(most + 1)
            for inside in combinations(expressions, count)
        ]

    def _value_of(self, objects: Objects, inside: Sequence[str]) -> Node:
        return member(objects, None, lambda pattern: pattern.rust in inside)

    def _keys(
        self, objects: Objects, inside: Sequence[str], barred: Sequence[str]
    ) -> list[Terminal]:
        """Terminals for the names that match these and not those, and follow propertyNames."""
        grammar = self._writer.grammar
        if not objects.names:
            text = strings.constrained(inside, barred) if inside or barred else strings.NAME
            return [] if text is None else [grammar.terminal(text)]
        node: Node = ()
        for names in objects.names:
            node = both(node, names)
        found = []
        for some in self._writer.expander.node(node).get("string", ()):
            if isinstance(some, Strings):
                text = strings.constrained(
                    (*some.patterns, *inside), (*some.barred, *barred), some.fewest, some.most
                )
                found += [] if text is None else [grammar.terminal(text)]
            elif isinstance(some, Values):
                kept = [
                    numbers.spelled(item.value)
                    for item in self._writer.checker.admitted(node, some.items)
                    if all(is_match(p, item.value) for p in inside)
                    and not any(is_match(p, item.value) for p in barred)
                ]
                found += [grammar.terminal(" | ".join(kept))] if kept else []
        return found

    # --- how they follow each other

    def _chain(self, named: Sequence[Pair], others: Sequence[Sequenced], counts: _Counts) -> Rule:
        """Rules for the members from each place on, by how many there were before."""
        grammar, comma = self._writer.grammar, self._writer.tokens.comma
        other = (grammar.either(others),) if others else None
        later: dict[int, Rule | None] = {
            count: self._end(other, count, counts) for count in counts.all()
        }
        for pair in reversed(named):
            now: dict[int, Rule | None] = {}
            for count in counts.all():
                options: list[Sequenced] = []
                after = counts.after(count)
                if after is not None and (rest := later[after]) is not None:
                    lead: Sequenced = (comma,) if count else ()
                    options.append((*lead, *pair.symbols, rest))
                if not pair.is_required and (rest := later[count]) is not None:
                    options.append((rest,))
                now[count] = grammar.either(options) if options else None
            later = now
        return later[0] or grammar.either([])

    def _end(self, other: Sequenced | None, count: int, counts: _Counts) -> Rule | None:
        comma, close = self._writer.tokens.comma, self._writer.tokens.braces[1]
        options: list[Sequenced] = []
        missing = max(0, counts.fewest - count)
        room = None if counts.most is None else counts.most - count
        if not missing:
            options.append((close,))
        if other is not None and room != 0:
            if count:
                times = Times((comma, *other), max(1, missing), room)
                options.append((times, close))
            else:
                rest = None if room is None else room - 1
                options.append((*other, Times((comma, *other), max(0, missing - 1), rest), close))
        return self._writer.grammar.either(options) if options else None


@dataclass(frozen=True)
class _Counts:
    """Members are counted as far as it matters: 1 stands for all numbers above where none does."""

    fewest: int
    most: int | None

    def limit(self) -> int:
        return max(1, self.fewest, self.most or 0)

    def all(self) -> range:
        return range(self.limit() + 1)

    def after(self, count: int) -> int | None:
        if self.most is not None and count >= self.most:
            return None
        return min(count + 1, self.limit())
