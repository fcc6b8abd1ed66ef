"""A place in a schema: what stands there, its JSON path, and how its references resolve."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from llmparams_cli.constraints.difference import NotFollowed
from llmparams_cli.constraints.difference import step as written

# Until 2019, what stands beside a $ref was to be ignored.
REFERENCES_ALONE = ("draft-03", "draft-04", "draft-06", "draft-07")
DYNAMIC = ("$dynamicRef", "$recursiveRef")


@dataclass(frozen=True)
class Place:
    """`negated`: a value must not be valid for the schema that stands here."""

    key: Hashable
    negated: bool = False
    schema: Any = field(default=None, compare=False, repr=False)
    path: str = field(default="", compare=False)
    resolver: Any = field(default=None, compare=False, repr=False)
    document: Document | None = field(default=None, compare=False, repr=False)

    def child(self, *steps: str | int) -> Place:
        assert self.document is not None
        schema, path = self.schema, self.path
        for step in steps:
            schema, path = schema[step], path + written(step)
        return self.document.place(schema, path, self.resolver)

    def children(self, keyword: str) -> Iterator[Place]:
        """The places in a list of schemas."""
        listed = self.schema.get(keyword)
        return (
            self.child(keyword, number)
            for number in range(len(listed) if isinstance(listed, list) else 0)
        )

    def denied(self) -> Place:
        return replace(self, negated=not self.negated)

    def document_never(self) -> Place:
        """What no value satisfies."""
        return replace(NEVER, path=self.path, document=self.document)

    @property
    def counts_evaluated(self) -> bool:
        """Does it matter in this document which items and members a keyword has seen?"""
        return self.document is not None and self.document.counts_evaluated

    def target(self, keyword: str) -> Place:
        assert self.document is not None
        return self.document.target(self, keyword)


Node = tuple[Place, ...]
"""Places whose schemas a value must satisfy all; without any, every value does."""


def both(first: Node, second: Node) -> Node:
    """The places of both, each once."""
    return tuple(dict.fromkeys((*first, *second)))


NEVER = Place(key=False, schema=False, path="$")


class Document:
    """The whole schema. Raises NotFollowed where a reference leads out of it."""

    def __init__(self, schema: Any) -> None:
        from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

        self.schema = schema
        self.specification = _specification(schema)
        self.registry = REGISTRY
        self._has_scopes = _mentions(schema, DYNAMIC)
        self.counts_evaluated = _mentions(schema, ("unevaluatedProperties", "unevaluatedItems"))
        self._kept: list[Any] = []
        resource = self.specification.create_resource(schema)
        self._resolver = self.registry.resolver_with_root(resource)

    @property
    def ignores_siblings(self) -> bool:
        return self._dialect() in REFERENCES_ALONE

    @property
    def is_oldest(self) -> bool:
        return self._dialect() == "draft-03"

    def _dialect(self) -> str:
        return str(self.specification.name)

    def keep(self, schema: Any) -> Any:
        """A schema that is not part of the document: kept, for places are known by identity."""
        self._kept.append(schema)
        return schema

    def root(self) -> Place:
        return self.place(self.schema, "$", self._resolver)

    def place(self, schema: Any, path: str, resolver: Any) -> Place:
        if isinstance(schema, bool):
            return Place(schema, schema=schema, path=path, resolver=resolver, document=self)
        if not isinstance(schema, dict):
            raise NotFollowed(path, "", "this is no schema: neither an object nor true or false")
        if any(isinstance(schema.get(word), str) for word in ("$id", "id")):
            resolver = resolver.in_subresource(self.specification.create_resource(schema))
        scope: tuple[str, ...] = ()
        if self._has_scopes:
            scope = tuple(dict.fromkeys(str(uri) for uri, _ in resolver.dynamic_scope()))
            scope = (str(resolver._base_uri), *scope)
        key = (id(schema), scope)
        return Place(key, schema=schema, path=path, resolver=resolver, document=self)

    def target(self, place: Place, keyword: str) -> Place:
        from referencing.exceptions import Unresolvable
        from referencing.jsonschema import lookup_recursive_ref

        reference = place.schema[keyword]
        if not isinstance(reference, str):
            raise NotFollowed(place.path, keyword, f"{reference!r} is no reference")
        try:
            if keyword == "$recursiveRef":
                found = lookup_recursive_ref(place.resolver)
            else:
                found = place.resolver.lookup(reference)
        except (Unresolvable, ValueError, TypeError, AttributeError, LookupError) as error:
            called = named(self.schema, reference)
            if called is None:
                raise NotFollowed(place.path, keyword, _astray(reference)) from error
            return self.place(called, f"{place.path}.{keyword}", self._resolver)
        path = _of_pointer(reference) or f"{place.path}.{keyword}"
        return self.place(found.contents, path, found.resolver)


def _specification(schema: Any) -> Any:
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, UnknownDialect, specification_with

    named = schema.get("$schema") if isinstance(schema, dict) else None
    if isinstance(named, str):
        try:
            return specification_with(named)
        except (UnknownDialect, Unresolvable):
            pass
    return DRAFT202012


def objects_in(schema: Any) -> Iterator[dict[str, Any]]:
    """All objects that it consists of, whatever they stand for."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _mentions(schema: Any, words: tuple[str, ...]) -> bool:
    return any(word in part for part in objects_in(schema) for word in words)


def named(schema: Any, reference: str) -> Any:
    """What is called so by an `id` or an anchor, of whichever draft; None if nothing is."""
    for part in objects_in(schema):
        anchor = part.get("$anchor", part.get("$dynamicAnchor"))
        is_anchored = isinstance(anchor, str) and reference == f"#{anchor}"
        if is_anchored or reference in (part.get("$id"), part.get("id")):
            return part
    return None


def _astray(reference: str) -> str:
    where = "nowhere" if reference.startswith("#") else "out of the schema"
    return f"{reference!r} leads {where}"


def _of_pointer(reference: str) -> str:
    from urllib.parse import unquote

    if reference == "#":
        return "$"
    if not reference.startswith("#/"):
        return ""
    steps = unquote(reference[2:]).split("/")
    plain = [step.replace("~1", "/").replace("~0", "~") for step in steps]
    return "$" + "".join(written(int(s) if s.isdigit() else s) for s in plain)
