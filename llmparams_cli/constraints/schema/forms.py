"""The values that a schema admits, kind by kind: every keyword is decided here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations
from typing import TypeVar

from llmparams_cli.constraints.difference import NotFollowed
from llmparams_cli.constraints.matching import is_match
from llmparams_cli.constraints.schema import keywords, negation
from llmparams_cli.constraints.schema.notes import Notes
from llmparams_cli.constraints.schema.place import Node, Place
from llmparams_cli.constraints.schema.sets import (
    EVERYTHING,
    NOTHING,
    Arrays,
    Forms,
    Item,
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
    row,
    shared,
    union,
    unseen,
    with_set,
)

MOST_SETS = 64  # of one kind, where schemas are joined: more are too many for a grammar
MOST_BRANCHES = 40  # of a oneOf that are told apart one by one
MOST_EXPLORED = 30_000  # nodes, to find dead branches
MOST_NESTED = 3  # searches for dead branches within each other
MOST_ITEMS = 8  # of an array, to find one that is impossible
DEEPEST = 150
Work = Callable[[], Forms]
Key = TypeVar("Key", Place, Node)
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Expander:
    """Works out the forms of places, each once.

    Some are worked out only to see whether a branch is dead. That may lead back to a place that is
    not finished yet, which then counts as if it admitted everything; what rests on it is not kept.
    """

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self._known: dict[Place, tuple[Forms, Notes]] = {}
        self._nodes: dict[Node, tuple[Forms, Notes]] = {}
        self._open: dict[Place, int] = {}
        self._unfinished: set[Place] = set()
        self._explored = 0
        self._budget = MOST_EXPLORED

    # --- nodes

    def node(self, node: Node) -> Forms:
        """Of the values that satisfy all places of the node."""
        return self._kept(self._nodes, node, lambda: self._of_node(node))

    def _of_node(self, node: Node) -> Forms:
        if not node:
            return EVERYTHING
        last = node[-1]
        return self.shared(self.node(node[:-1]), self.forms(last), last)

    def all(self, places: Iterable[Place]) -> Forms:
        """Of the values that satisfy all these places, which apply to the same value."""
        found = EVERYTHING
        for place in places:
            found = self.shared(found, self.forms(place), place)
        return found

    def shared(self, one: Forms, other: Forms, place: Place, keyword: str = "") -> Forms:
        """The values in both, without the branches that are dead."""
        keeps_all = place.counts_evaluated
        found = shared(one, other, MOST_SETS, self._is_empty_set, keeps_all=keeps_all)
        if found is None:
            self.notes.wider(place.path, keyword, "is left out: there are too many combinations")
            return one
        if one and not found:
            text = (
                "nothing satisfies it and what stands beside it" if other else "it admits nothing"
            )
            self.notes.contradiction(place.path, keyword, text)
        return found

    def member(self, objects: Objects, name: str) -> Node:
        """What the member of this name has to be."""
        return member(objects, name, lambda pattern: is_match(pattern.rust, name))

    # --- places

    def forms(self, place: Place) -> Forms:
        """Of a value that is valid here (or, at a negated place, is not)."""
        if isinstance(place.schema, bool):
            return EVERYTHING if place.schema != place.negated else NOTHING
        if place in self._open:
            if self._open[place] == self._explored:
                raise NotFollowed(place.path, "$ref", "leads back to itself")
            self._unfinished.add(place)
            return EVERYTHING
        if len(self._open) > DEEPEST:
            raise NotFollowed(place.path, "", "this is nested too deeply")
        return self._kept(self._known, place, lambda: self._of_place(place))

    def _of_place(self, place: Place) -> Forms:
        self._open[place] = self._explored
        try:
            return negation.forms(self, place) if place.negated else _admitted(self, place)
        finally:
            del self._open[place]
            self._unfinished.discard(place)

    def _kept(self, known: dict[Key, tuple[Forms, Notes]], key: Key, work: Work) -> Forms:
        """From what is known, or worked out and kept, with its notes."""
        if key not in known:
            before, self._unfinished = self._unfinished, set()
            try:
                found = self.trial(work)
                if self._unfinished:
                    self.notes.add(found[1])
                    return found[0]
                known[key] = found
            finally:
                self._unfinished |= before
        self.notes.add(known[key][1])
        return known[key][0]

    def trial(self, work: Work) -> tuple[Forms, Notes]:
        """What `work` finds, and the notes it made, which are not yet told."""
        kept, self.notes = self.notes, Notes()
        try:
            return work(), self.notes
        finally:
            self.notes = kept

    # --- dead branches

    def is_empty(self, node: Node, depth: int = 3) -> bool:
        """Whether clearly no value satisfies the node."""
        if any(place.schema is False and not place.negated for place in node):
            return True
        if depth == 0 or self._explored == MOST_NESTED or self._budget == 0:
            return False
        self._budget -= 1
        self._explored += 1
        try:
            forms, notes = self.trial(lambda: self.node(node))
        except NotFollowed:
            return False  # told where it matters
        finally:
            self._explored -= 1
        if any(not self._is_empty_set(some, depth) for sets in forms.values() for some in sets):
            return False
        self.notes.contradictions.update(notes.contradictions)
        return True

    def _is_empty_set(self, some: Some, depth: int = 2) -> bool:
        if isinstance(some, Objects):
            for name in some.required:
                if self.is_empty(self.member(some, name), depth - 1):
                    text = f"{name!r} can have no value"
                    self.notes.contradiction(some.path or "$", "required", text)
                    return True
        if isinstance(some, Arrays):
            needed = range(min(some.fewest, MOST_ITEMS))
            return any(self.is_empty(row(some, number), depth - 1) for number in needed)
        return False

    def overlap(self, one: Forms, other: Forms) -> bool:
        """Whether a value may be in both."""
        common = shared(one, other, MOST_SETS, self._is_empty_set)
        return common is None or any(common.values())


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
    return _chosen(expander, place, forms)


def _chosen(expander: Expander, place: Place, forms: Forms) -> Forms:
    """Of the forms, the values that enum and const name."""
    lists = []
    if isinstance(place.schema.get("enum"), list):
        lists.append(("enum", place.schema["enum"]))
    if "const" in place.schema:
        lists.append(("const", [place.schema["const"]]))
    for keyword, listed in lists:
        values: dict[str, list[Item]] = {}
        for value in listed:
            values.setdefault(kind_of(value), []).append(item(value))
        named = {kind: (Values(tuple(dict.fromkeys(items))),) for kind, items in values.items()}
        forms = shared(named, forms, MOST_SETS * MOST_SETS) or {}
        if not forms:
            text = "what stands beside it excludes it" if listed else "the list is empty"
            expander.notes.contradiction(place.path, keyword, text)
    return forms


# --- keywords that apply schemas to the value itself


def _all_of(expander: Expander, place: Place, keyword: str = "allOf") -> Forms:
    return expander.all(place.children(keyword))


def _any_of(expander: Expander, place: Place) -> Forms:
    return _alternatives(expander, place, [expander.forms(c) for c in place.children("anyOf")])


def _alternatives(expander: Expander, place: Place, options: list[Forms]) -> Forms:
    """Where it counts what was evaluated, values that satisfy several options count apart."""
    counts = place.counts_evaluated
    if len(options) <= 4 and counts:
        several = [shared(one, other, MOST_SETS) or {} for one, other in combinations(options, 2)]
        return union(*several, *options, keeps_all=True)
    return union(*options, keeps_all=counts)


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
    return all(not expander.overlap(a, b) for a, b in combinations(options, 2))


def _several_may_hold(expander: Expander, place: Place, options: list[Forms]) -> Forms:
    expander.notes.wider(place.path, "oneOf", "is followed as anyOf: several may hold at once")
    return union(*options)


def _one_alone(expander: Expander, branches: list[Place], options: list[Forms]) -> Forms:
    """Each option without the others that overlap with it."""
    found = []
    for number, option in enumerate(options):
        for other, branch in enumerate(branches):
            if other != number and expander.overlap(option, options[other]):
                option = expander.shared(option, expander.forms(branch.denied()), branch, "oneOf")
        found.append(option)
    return union(*found)


def _not(expander: Expander, place: Place) -> Forms:
    return unseen(expander.forms(place.child("not").denied()))


def _if(expander: Expander, place: Place) -> Forms:
    condition = place.child("if")
    then = expander.forms(place.child("then")) if "then" in place.schema else EVERYTHING
    other = expander.forms(place.child("else")) if "else" in place.schema else EVERYTHING
    if then == other == EVERYTHING and not place.counts_evaluated:
        return EVERYTHING
    if_so = expander.shared(expander.forms(condition), then, place, "if")
    otherwise = expander.shared(expander.forms(condition.denied()), other, place, "if")
    return union(if_so, otherwise, keeps_all=place.counts_evaluated)


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
