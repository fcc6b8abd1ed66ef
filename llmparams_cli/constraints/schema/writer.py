"""Writes the forms of a schema as rules: a rule for each node, recursive where the schema is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmparams_cli.constraints.schema import multiples, numbers, strings
from llmparams_cli.constraints.schema.arrays import ArrayWriter
from llmparams_cli.constraints.schema.forms import Expander
from llmparams_cli.constraints.schema.lark import START, Grammar, Rule, Sequenced, Symbol
from llmparams_cli.constraints.schema.notes import Notes
from llmparams_cli.constraints.schema.objects import ObjectWriter
from llmparams_cli.constraints.schema.place import Node
from llmparams_cli.constraints.schema.sets import (
    EVERYTHING,
    Arrays,
    Constant,
    Forms,
    Item,
    Numbers,
    Objects,
    Some,
    Strings,
    Values,
)
from llmparams_cli.constraints.schema.tokens import Tokens
from llmparams_cli.constraints.schema.values import Checker


class Writer:
    """Collects the rules; its methods return symbols that can stand anywhere in a rule."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.grammar = Grammar()
        self.tokens = Tokens(self.grammar)
        self.expander = Expander(notes)
        self.checker = Checker()
        self._known: dict[Node, Rule] = {}
        self._same: dict[Any, Rule] = {}
        self._waiting: list[tuple[Node, Rule]] = []
        self._objects = ObjectWriter(self)
        self._arrays = ArrayWriter(self)

    def write(self, root: Node) -> str | None:
        """The grammar; None if no value is valid."""
        start = self.grammar.rule(START)
        self.grammar.define(start, [(self.node(root),)])
        while self._waiting:
            self._define(*self._waiting.pop())
        return self.grammar.written()

    def node(self, node: Node) -> Rule:
        if node not in self._known:
            self._known[node] = self.grammar.rule()
            self._waiting.append((node, self._known[node]))
        return self._known[node]

    def _define(self, node: Node, rule: Rule) -> None:
        forms = self.expander.node(node)
        if dict(forms) == dict(EVERYTHING):
            self.grammar.define(rule, [(self.tokens.value(self),)])
            return
        items = self._values(node, forms)
        key = (tuple((kind, sets) for kind, sets in forms.items()), items)
        if key in self._same:
            self.grammar.define(rule, [(self._same[key],)])
            return
        self._same[key] = rule
        self.grammar.define(rule, self._options(forms, items))

    def _values(self, node: Node, forms: Forms) -> tuple[Item, ...]:
        listed = {
            item: None
            for sets in forms.values()
            for some in sets
            if isinstance(some, Values)
            for item in some.items
        }
        admitted = self.checker.admitted(node, tuple(listed))
        if listed and not admitted:
            self.notes.contradiction(node[0].path, "enum", "what stands beside it excludes it")
        return tuple(admitted)

    def _options(self, forms: Forms, items: tuple[Item, ...]) -> Iterable[Sequenced]:
        scalars = [numbers.spelled(item.value) for item in items if not _is_nested(item.value)]
        if scalars:
            yield (self.grammar.terminal(" | ".join(dict.fromkeys(scalars))),)
        for item in items:
            if _is_nested(item.value):
                yield (self.constant(item.value),)
        for kind, sets in forms.items():
            for some in sets:
                symbol = self._set(kind, some)
                if symbol is not None:
                    yield (symbol,)

    def _set(self, kind: str, some: Some) -> Symbol | None:
        if isinstance(some, Constant):
            return self.grammar.terminal(f'"{kind}"')
        if isinstance(some, Strings):
            if strings.countable(some) != some.most:
                text = f"beside this pattern is {strings.MOST_BESIDE} at most"
                self.notes.narrower(some.path, "maxLength", text)
            content = strings.terminal(some)
            if content is None:
                self.notes.contradiction(some.path or "$", "pattern", "no text satisfies all")
                return None
            return self.grammar.terminal(content)
        if isinstance(some, Numbers):
            return self._number(some)
        if isinstance(some, Arrays):
            return self._arrays.write(some)
        if isinstance(some, Objects):
            return self._objects.write(some)
        return None

    def _number(self, some: Numbers) -> Symbol:
        if some.multiples:
            schemas = multiples.schemas(some)
            if schemas is not None:
                return self.grammar.either([(self.grammar.json(text),) for text in schemas])
            self.notes.wider(some.path or "$", "multipleOf", "is left out: it has too many digits")
        return self.grammar.terminal(numbers.terminal(some))

    def tell_order(self) -> None:
        """JSON Schema does not care in which order members come, but the grammar does."""
        self.notes.narrower("$", "properties", "come first, in the order of the schema")

    def constant(self, value: Any) -> Symbol:
        """One value; arrays and objects with the blanks that are free."""
        if not _is_nested(value):
            return self.grammar.terminal(numbers.spelled(value))
        if isinstance(value, dict) and len(value) > 1:
            self.tell_order()
        parts: list[Symbol] = []
        for number, part in enumerate(value):
            parts += [self.tokens.comma] if number else []
            if isinstance(value, dict):
                parts += [self.grammar.terminal(numbers.spelled(part)), self.tokens.colon]
                part = value[part]
            parts.append(self.constant(part))
        start, end = self.tokens.braces if isinstance(value, dict) else self.tokens.brackets
        return self.grammar.either([(start, *parts, end)])


def _is_nested(value: Any) -> bool:
    return isinstance(value, (list, dict))
