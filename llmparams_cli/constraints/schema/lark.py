"""A grammar in Lark's notation as llguidance reads it, without the rules that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmparams_cli.constraints.difference import NotFollowed

MOST_RULES = 60_000
START = "start"


@dataclass(frozen=True)
class Rule:
    name: str


@dataclass(frozen=True)
class Terminal:
    name: str


@dataclass(frozen=True)
class Times:
    """A sequence, so many times in a row."""

    parts: tuple[Symbol, ...]
    fewest: int
    most: int | None


Symbol = Rule | Terminal | Times
Sequenced = tuple[Symbol, ...]


class Grammar:
    def __init__(self) -> None:
        self._rules: dict[str, list[Sequenced]] = {}
        self._terminals: dict[str, Terminal] = {}
        self._texts: dict[str, str] = {}
        self._nested: dict[str, Rule] = {}
        self._schemas: dict[str, str] = {}

    def terminal(self, text: str, name: str = "") -> Terminal:
        """A terminal by its definition; the same definition is the same terminal."""
        if text not in self._terminals:
            found = Terminal(name or f"T{len(self._terminals)}")
            self._terminals[text] = found
            self._texts[found.name] = text
        return self._terminals[text]

    def json(self, schema: str) -> Rule:
        """A rule that llguidance's own compiler makes of a JSON Schema."""
        if schema not in self._nested:
            self._nested[schema] = self.rule()
            self._schemas[self._nested[schema].name] = schema
            self.define(self._nested[schema], [()])
        return self._nested[schema]

    def rule(self, name: str = "") -> Rule:
        """A rule that is defined later."""
        name = name or f"r{len(self._rules)}"
        self._rules[name] = []
        if len(self._rules) > MOST_RULES:
            raise NotFollowed("$", "", "this schema is too large for a grammar")
        return Rule(name)

    def define(self, rule: Rule, options: Iterable[Sequenced]) -> None:
        self._rules[rule.name] = list(dict.fromkeys(options))

    def either(self, options: Iterable[Sequenced]) -> Rule:
        rule = self.rule()
        self.define(rule, options)
        return rule

    def written(self) -> str | None:
        """The text of the grammar; None if it admits nothing."""
        productive = self._productive()
        if START not in productive:
            return None
        used, order = {START}, [START]
        terminals: dict[str, None] = {}
        lines = []
        for name in order:
            if name in self._schemas:
                lines.append(f"{name}: %json {self._schemas[name]}")
                continue
            options = [o for o in self._rules[name] if _leads(o, productive)]
            for symbol in _symbols(options):
                if isinstance(symbol, Terminal):
                    terminals[symbol.name] = None
                elif symbol.name in productive and symbol.name not in used:
                    used.add(symbol.name)
                    order.append(symbol.name)
            lines.append(f"{name}: {_either(options, productive)}")
        lines += [f"{name}: {self._texts[name]}" for name in terminals]
        return "\n".join(lines) + "\n"

    def _productive(self) -> set[str]:
        """The rules that some text follows."""
        waiting: dict[str, list[tuple[str, Sequenced]]] = {}
        productive: set[str] = set()
        fresh: list[str] = []

        def consider(name: str, option: Sequenced) -> None:
            if name in productive:
                return
            missing = _missing(option, productive)
            if missing is None:
                productive.add(name)
                fresh.append(name)
            else:
                waiting.setdefault(missing, []).append((name, option))

        for name, options in self._rules.items():
            for option in options:
                consider(name, option)
        while fresh:
            for name, option in waiting.pop(fresh.pop(), []):
                consider(name, option)
        return productive


def _missing(option: Iterable[Symbol], productive: set[str]) -> str | None:
    """The first rule on which the option waits."""
    for symbol in option:
        if isinstance(symbol, Rule) and symbol.name not in productive:
            return symbol.name
        if isinstance(symbol, Times) and symbol.fewest:
            missing = _missing(symbol.parts, productive)
            if missing is not None:
                return missing
    return None


def _leads(option: Sequenced, productive: set[str]) -> bool:
    return _missing(option, productive) is None


def _symbols(options: Iterable[Iterable[Symbol]]) -> Iterable[Rule | Terminal]:
    for option in options:
        for symbol in option:
            if isinstance(symbol, Times):
                yield from _symbols([symbol.parts])
            else:
                yield symbol


def _either(options: Sequence[Sequenced], productive: set[str]) -> str:
    return " | ".join(_sequence(option, productive) or '""' for option in options)


def _sequence(option: Sequenced, productive: set[str]) -> str:
    return " ".join(filter(None, (_symbol(symbol, productive) for symbol in option)))


def _symbol(symbol: Symbol, productive: set[str]) -> str:
    if not isinstance(symbol, Times):
        return symbol.name
    if not _leads(symbol.parts, productive) or symbol.most == 0:
        return ""
    text = f"({_sequence(symbol.parts, productive)})"
    if symbol.most is None:
        return text + {0: "*", 1: "+"}.get(symbol.fewest, f"{{{symbol.fewest},}}")
    return f"{text}{{{symbol.fewest},{symbol.most}}}"
