"""What a grammar does otherwise than the schema it was made of."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A place of a schema ($.properties.a) and the keyword that a grammar does not follow to the
    letter. `is_wider`: the grammar admits answers that the keyword forbids; otherwise it leaves out
    answers that are valid.
    """

    path: str
    keyword: str
    text: str
    is_wider: bool

    def __str__(self) -> str:
        return f"{self.path}: {self.keyword} {self.text}"


class NotFollowed(ValueError):
    """This is no schema, or no answer can be valid; says where and why in one line."""

    def __init__(self, path: str, keyword: str, reason: str) -> None:
        super().__init__(f"{path}: {keyword}: {reason}" if keyword else f"{path}: {reason}")
        self.path, self.keyword, self.reason = path, keyword, reason


def step(name: str | int) -> str:
    """One step of a path: `.name`, `[0]` or `['a name']`."""
    if isinstance(name, str) and re.fullmatch(r"[\w$-]+", name):
        return f".{name}"
    return f"[{name!r}]"
