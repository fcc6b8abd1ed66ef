"""The values that a schema admits, kind by kind: every keyword is decided here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations
from typing import Any

from llmparams_cli.constraints.difference import NotFollowed
from llmparams_cli.constraints.schema import keywords, negation
from llmparams_cli.constraints.schema.notes import Notes
from llmparams_cli.constraints.schema.place import Node, Place
from llmparams_cli.constraints.schema.sets import (
    EVERYTHING,
    NOTHING,
    Arrays,
    Forms,
    Members,
    Objects,
    Rows,
    Some,
    Values,
    alone,
    item,
    kind_of,
    member,
    only,
    shared,
    union,
    unseen,
    with_set,
)

MOST_SETS = 128  # of one kind: more are too many for a grammar, and to work out
MOST_BRANCHES = 40  # of a oneOf that are told apart one by one
DEEPEST = 150
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Expander:
    """Works out the forms of places, each once."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self._known: dict[Place, tuple[Forms, Notes]] = {}
        self._open: set[Place] = set()
        self._nodes: dict[Node, Forms] = {}
        self._depth = 0

    # --- nodes

    def node(self, node: Node) -> Forms:
        if node not in self._nodes:
            self._nodes[node] = self.all(node, self.forms)
        return self._nodes[node]

    def all(self, places: Iterable[Place], forms: Callable[[Place], Forms]) -> Forms:
        found = EVERYTHING
        for place in places:
            found = self.shared(found, forms(place), place)
        return found

    def shared(self, one: Forms, other: Forms, place: Place, keyword: str = "") -> Forms:
        found = shared(one, other, MOST_SETS)
        if found is None:
            self.notes.wider(place.path, keyword, "is left out: there are too many combinations")
            return one
        return found

    def is_empty(self, node: Node, depth: int = 3) -> bool:
        """Whether clearly no value satisfies the node."""
        if any(place.schema is False and not place.negated for place in node):
            return True
        if depth == 0 or any(place in self._open for place in node):
            return False
        return not any(
            not self._is_empty_set(some, depth)
            for sets in self._quietly(lambda: self.node(node)).values()
            for some in sets
        )

    def _is_empty_set(self, some: Some, depth: int) -> bool:
        if isinstance(some, Objects):
            return any(self.is_empty(self.member(some, name), depth - 1) for name in some.required)
        if isinstance(some, Arrays):
            from llmparams_cli.constraints.schema.sets import row

            return any(
                self.is_empty(row(some, number), depth - 1) for number in range(min(some.fewest, 8))
            )
        return False

    def member(self, objects: Objects, name: str) -> Node:
        return member(objects, name, keywords.matches)

    def _quietly(self, work: Callable[[], Any]) -> Any:
        kept, self.notes = self.notes, Notes()
        try:
            return work()
        finally:
            self.notes = kept

    def trial(self, work: Callable[[], Forms]) -> tuple[Forms, Notes]:
        """What `work` finds, and the notes it made, which are not yet told."""
        kept, self.notes = self.notes, Notes()
        try:
            return work(), self.notes
        finally:
            self.notes = kept

    # --- places

    def forms(self, place: Place) -> Forms:
        """Of a value that is valid here (or, at a negated place, is not)."""
        if isinstance(place.schema, bool):
            return EVERYTHING if place.schema != place.negated else NOTHING
        if place in self._known:
            forms, notes = self._known[place]
            self.notes.add(notes)
            return forms
        if place in self._open:  # a reference that leads back to itself adds nothing
            return EVERYTHING
        if self._depth > DEEPEST:
            raise NotFollowed(place.path, "", "this is nested too deeply")
        self._open.add(place)
        self._depth += 1
        try:
            work = negation.forms if place.negated else _admitted
            forms, notes = self.trial(lambda: work(self, place))
        finally:
            self._depth -= 1
            self._open.discard(place)
        self._known[place] = forms, notes
        self.notes.add(notes)
        return forms


def _admitted(expander: Expander, place: Place) -> Forms:
    schema = place.schema
    forms = EVERYTHING
    assert place.document is not None
    for keyword in REFERENCES:
        if keyword in schema:
            forms = expander.shared(forms, expander.forms(place.target(keyword)), place, keyword)
            if keyword == "$ref" and place.document.ignores_siblings:
                return forms
    forms = expander.shared(forms, keywords.typed(place, expander.notes), place)
    for keyword, work in APPLICATORS.items():
        if keyword in schema:
            forms = expander.shared(forms, work(expander, place), place, keyword)
    forms = _unevaluated(expander, place, forms)
    return _chosen(place, forms)


def _chosen(place: Place, forms: Forms) -> Forms:
    """Of the forms, the values that enum and const name."""
    listed = None
    if isinstance(place.schema.get("enum"), list):
        listed = place.schema["enum"]
    if "const" in place.schema:
        listed = [place.schema["const"]]
    if listed is None:
        return forms
    values: dict[str, list[Any]] = {}
    for value in listed:
        values.setdefault(kind_of(value), []).append(item(value))
    named = {kind: (Values(tuple(dict.fromkeys(items))),) for kind, items in values.items()}
    return shared(named, forms, MOST_SETS * MOST_SETS) or {}


# --- keywords that apply schemas to the value itself


def _all_of(expander: Expander, place: Place, keyword: str = "allOf") -> Forms:
    return expander.all(place.children(keyword), expander.forms)


def _any_of(expander: Expander, place: Place) -> Forms:
    return _alternatives(expander, place, [expander.forms(c) for c in place.children("anyOf")])


def _alternatives(expander: Expander, place: Place, options: list[Forms]) -> Forms:
    """Where it counts what was evaluated, values that satisfy several options count apart."""
    if len(options) <= 4 and _counts_evaluated(place):
        several = [shared(one, other, MOST_SETS) or {} for one, other in combinations(options, 2)]
        return union(*several, *options)
    return union(*options)


def _counts_evaluated(place: Place) -> bool:
    assert place.document is not None
    return place.document.counts_evaluated


def _one_of(expander: Expander, place: Place) -> Forms:
    branches = list(place.children("oneOf"))
    options = [expander.forms(branch) for branch in branches]
    if len(branches) > MOST_BRANCHES and not _are_apart(expander, options):
        return _several_may_hold(expander, place, options)
    apart, notes = expander.trial(lambda: _one_alone(expander, branches, options))
    if notes.is_wider():
        return _several_may_hold(expander, place, options)
    expander.notes.add(notes)
    return apart


def _are_apart(expander: Expander, options: list[Forms]) -> bool:
    return all(not _overlap(expander, a, b) for a, b in combinations(options, 2))


def _several_may_hold(expander: Expander, place: Place, options: list[Forms]) -> Forms:
    expander.notes.wider(place.path, "oneOf", "is followed as anyOf: several may hold at once")
    return union(*options)


def _one_alone(expander: Expander, branches: list[Place], options: list[Forms]) -> Forms:
    """Each option without the others that overlap with it."""
    found = []
    for number, option in enumerate(options):
        for other, branch in enumerate(branches):
            if other != number and _overlap(expander, option, options[other]):
                option = expander.shared(option, expander.forms(branch.denied()), branch, "oneOf")
        found.append(option)
    return union(*found)


def _overlap(expander: Expander, one: Forms, other: Forms) -> bool:
    common = shared(one, other, MOST_SETS)
    if common is None:
        return True
    return any(not expander._is_empty_set(some, 3) for sets in common.values() for some in sets)


def _not(expander: Expander, place: Place) -> Forms:
    return unseen(expander.forms(place.child("not").denied()))


def _if(expander: Expander, place: Place) -> Forms:
    condition = place.child("if")
    then = expander.forms(place.child("then")) if "then" in place.schema else EVERYTHING
    other = expander.forms(place.child("else")) if "else" in place.schema else EVERYTHING
    if then == other == EVERYTHING and not _counts_evaluated(place):
        return EVERYTHING
    if_so = expander.shared(expander.forms(condition), then, place, "if")
    otherwise = expander.shared(expander.forms(condition.denied()), other, place, "if")
    return union(if_so, otherwise)


def _dependent(expander: Expander, place: Place, keyword: str) -> Forms:
    """If an object has this member, then it also has to have those, or satisfy that schema."""
    forms = EVERYTHING
    for name, wanted in place.schema[keyword].items():
        absent = Objects(groups=(Members(named=((name, (place.document_never(),)),)),))
        present = Objects(required=(name,))
        if isinstance(wanted, (list, str)):
            names = [wanted] if isinstance(wanted, str) else wanted
            then: Forms = with_set("object", Objects(required=tuple(dict.fromkeys([name, *names]))))
        else:
            then = expander.shared(
                with_set("object", present), expander.forms(place.child(keyword, name)), place
            )
        either = union(with_set("object", absent), only(["object"], then))
        forms = expander.shared(forms, either, place, keyword)
    return forms


def _extends(expander: Expander, place: Place) -> Forms:
    assert place.document is not None
    if not place.document.is_oldest:
        return EVERYTHING
    if isinstance(place.schema["extends"], list):
        return _all_of(expander, place, "extends")
    return expander.forms(place.child("extends"))


def _disallow(expander: Expander, place: Place) -> Forms:
    """In draft 3, types and schemas that a value must not have."""
    assert place.document is not None
    if not place.document.is_oldest:
        return EVERYTHING
    listed = place.schema["disallow"]
    forms = EVERYTHING
    for part in listed if isinstance(listed, list) else [listed]:
        schema = part if isinstance(part, dict) else {"type": part}
        barred = place.document.place(place.document.keep(schema), place.path, place.resolver)
        forms = expander.shared(forms, expander.forms(barred.denied()), place, "disallow")
    return forms


APPLICATORS: dict[str, Callable[[Expander, Place], Forms]] = {
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "dependencies": lambda e, p: _dependent(e, p, "dependencies"),
    "dependentRequired": lambda e, p: _dependent(e, p, "dependentRequired"),
    "dependentSchemas": lambda e, p: _dependent(e, p, "dependentSchemas"),
    "extends": _extends,
    "disallow": _disallow,
}


# --- what no keyword has spoken of


def _unevaluated(expander: Expander, place: Place, forms: Forms) -> Forms:
    found = dict(forms)
    if "unevaluatedProperties" in place.schema:
        rest = alone(place.child("unevaluatedProperties"))
        found["object"] = tuple(_closed_object(some, rest) for some in forms.get("object", ()))
    if "unevaluatedItems" in place.schema:
        rest = alone(place.child("unevaluatedItems"))
        if any(isinstance(some, Arrays) and some.contained for some in forms.get("array", ())):
            expander.notes.narrower(
                place.path, "unevaluatedItems", "also applies to items that contains has seen"
            )
        found["array"] = tuple(_closed_array(some, rest) for some in forms.get("array", ()))
    return found


def _closed_object(some: Some, rest: Node) -> Some:
    if not isinstance(some, Objects):
        return some
    seen = [group for group in some.groups if group.evaluates]
    if any(group.rest is not None for group in seen):
        return some
    named = {name: () for group in seen for name, _ in group.named}
    patterns = tuple(replace(p, node=()) for group in seen for p in group.patterns)
    return replace(some, groups=(*some.groups, Members(tuple(named.items()), patterns, rest)))


def _closed_array(some: Some, rest: Node) -> Some:
    if not isinstance(some, Arrays):
        return some
    seen = [group for group in some.groups if group.evaluates]
    if any(group.rest is not None for group in seen):
        return some
    length = max((len(group.head) for group in seen), default=0)
    return replace(some, groups=(*some.groups, Rows(((),) * length, rest)))
