"""Arrays as rules: the items by their place, then all others."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from llmparams_cli.constraints.schema.lark import Rule, Sequenced, Times
from llmparams_cli.constraints.schema.place import NEVER, Node, both
from llmparams_cli.constraints.schema.sets import Arrays, row

if TYPE_CHECKING:
    from llmparams_cli.constraints.schema.writer import Writer

MOST_STATES = 5_000


class ArrayWriter:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._known: dict[Arrays, Rule] = {}

    def write(self, arrays: Arrays) -> Rule:
        if arrays not in self._known:
            self._known[arrays] = self._written(arrays)
        return self._known[arrays]

    def _written(self, arrays: Arrays) -> Rule:
        if arrays.unique and (arrays.most is None or arrays.most > 1):
            self._writer.notes.wider(arrays.unique, "uniqueItems", "is left out")
        first = self._writer.tokens.brackets[0]
        rule = self._writer.grammar.rule()
        body = self._counted(arrays) if arrays.contained else self._plain(arrays)
        self._writer.grammar.define(rule, [(first, body)])
        return rule

    def _plain(self, arrays: Arrays) -> Rule:
        grammar, tokens = self._writer.grammar, self._writer.tokens
        length = max((len(group.head) for group in arrays.groups), default=0)
        if arrays.most is not None:
            length = min(length, arrays.most)
        # The first item has no comma before it: it stands apart from the repetition.
        length = max(length, 1) if arrays.most != 0 else 0
        later = self._rest(arrays, length)
        for number in reversed(range(length)):
            lead: Sequenced = (tokens.comma,) if number else ()
            item = self._writer.node(row(arrays, number))
            options: list[Sequenced] = [(*lead, item, later)]
            if number >= arrays.fewest:
                options.append((tokens.brackets[1],))
            later = grammar.either(options)
        return later

    def _rest(self, arrays: Arrays, length: int) -> Rule:
        tokens = self._writer.tokens
        most = None if arrays.most is None else arrays.most - length
        fewest = max(0, arrays.fewest - length)
        if most == 0:
            return self._writer.grammar.either([(tokens.brackets[1],)])
        item = self._writer.node(row(arrays, length))
        times = Times((tokens.comma, item), fewest, most)
        return self._writer.grammar.either([(times, tokens.brackets[1])])

    # --- where items that satisfy a schema are counted

    def _counted(self, arrays: Arrays) -> Rule:
        """Rules by the number of items before, and of those that each `contains` counts."""
        limits = [max(c.fewest, c.most or 0) for c in arrays.contained]
        length = max(
            [arrays.fewest, arrays.most or 0, 1, *(len(group.head) for group in arrays.groups)]
        )
        states = length + 1
        for limit in limits:
            states *= limit + 1
        if states > MOST_STATES or len(limits) > 4:
            self._writer.notes.wider("$", "contains", "is left out: there is too much to count")
            return self._plain(arrays)
        grammar = self._writer.grammar
        rules = {
            state: grammar.rule()
            for state in product(range(length + 1), *(range(limit + 1) for limit in limits))
        }
        for state, rule in rules.items():
            grammar.define(rule, self._steps(arrays, limits, length, state, rules))
        return rules[(0,) * (1 + len(limits))]

    def _steps(
        self,
        arrays: Arrays,
        limits: list[int],
        length: int,
        state: tuple[int, ...],
        rules: dict[tuple[int, ...], Rule],
    ) -> list[Sequenced]:
        tokens = self._writer.tokens
        number, counts = state[0], state[1:]
        options: list[Sequenced] = []
        enough = all(n >= c.fewest for n, c in zip(counts, arrays.contained, strict=True))
        if number >= arrays.fewest and enough:
            options.append((tokens.brackets[1],))
        if arrays.most is not None and number >= arrays.most:
            return options
        for holds in product((True, False), repeat=len(counts)):
            node = row(arrays, number)
            after = [min(number + 1, length)]
            is_open = True
            for held, count, wanted, limit in zip(
                holds, counts, arrays.contained, limits, strict=True
            ):
                if held:
                    node = both(node, wanted.node)
                    is_open &= wanted.most is None or count < wanted.most
                    after.append(min(count + 1, limit))
                else:
                    if wanted.most is not None:  # what is not counted must not satisfy it
                        node = both(node, _denied(wanted.node))
                    after.append(count)
            if is_open:
                lead: Sequenced = (tokens.comma,) if number else ()
                options.append((*lead, self._writer.node(node), rules[tuple(after)]))
        return options


def _denied(node: Node) -> Node:
    """What does not satisfy the node, which is of one place unless everything satisfies it."""
    return (node[0].denied(),) if len(node) == 1 else (NEVER,)
