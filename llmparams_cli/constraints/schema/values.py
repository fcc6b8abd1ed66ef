"""Checks values of enum and const against everything else that a schema says."""

from __future__ import annotations

from typing import Any

from llmparams_cli.constraints.difference import NotFollowed
from llmparams_cli.constraints.schema.place import Node, Place
from llmparams_cli.constraints.schema.sets import Item


class Checker:
    """Asks jsonschema; one validator for each place."""

    def __init__(self) -> None:
        self._validators: dict[Place, Any] = {}

    def admitted(self, node: Node, items: tuple[Item, ...]) -> list[Item]:
        return [item for item in items if all(self._is_valid(p, item.value) for p in node)]

    def _is_valid(self, place: Place, value: Any) -> bool:
        from referencing.exceptions import Unresolvable

        if isinstance(place.schema, bool):
            return place.schema != place.negated
        if place not in self._validators:
            self._validators[place] = _validator(place)
        try:
            return bool(self._validators[place].is_valid(value)) != place.negated
        except Unresolvable:
            return True
        except RecursionError as error:
            raise NotFollowed(place.path, "", "this is nested too deeply") from error


def _validator(place: Place) -> Any:
    """Without the values that are listed there: what is not one of them is not asked for."""
    from jsonschema import Draft202012Validator, validators

    assert place.document is not None
    root = place.document.schema
    kind = validators.validator_for(root, default=Draft202012Validator)
    schema = place.schema
    if not place.negated:
        schema = {word: value for word, value in schema.items() if word not in ("enum", "const")}
    return kind(root, registry=place.document.registry).evolve(
        schema=schema, _resolver=place.resolver
    )
