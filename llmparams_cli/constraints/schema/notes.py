"""Collects what the grammar does otherwise than the schema, each difference once."""

from __future__ import annotations

from llmparams_cli.constraints.difference import Difference


class Notes:
    def __init__(self) -> None:
        self._found: dict[Difference, None] = {}
        self.contradictions: dict[Difference, None] = {}

    def wider(self, path: str, keyword: str, text: str) -> None:
        self._found[Difference(path, keyword, text, is_wider=True)] = None

    def narrower(self, path: str, keyword: str, text: str) -> None:
        self._found[Difference(path, keyword, text, is_wider=False)] = None

    def contradiction(self, path: str, keyword: str, text: str) -> None:
        """Why no value of a kind is valid: told if no value of any kind is."""
        self.contradictions[Difference(path, keyword, text, is_wider=False)] = None

    def add(self, others: Notes) -> None:
        """All of the others."""
        self._found.update(others._found)
        self.contradictions.update(others.contradictions)

    def all(self) -> list[Difference]:
        return list(self._found)

    def is_wider(self) -> bool:
        return any(difference.is_wider for difference in self._found)
