"""Finds texts, such as stop sequences, across the boundaries of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Search(Generic[T]):
    """Passes text on until one of `wanted` appears in it.

    Text is held back only while it may be the beginning of one of them. Each released piece is
    paired with its owner, the token (any object) it came from.
    """

    def __init__(self, wanted: Sequence[str] = ()) -> None:
        self.wanted = tuple(wanted)
        self.matched: str | None = None
        self.rest: list[tuple[str, T]] = []
        self._held: list[tuple[str, T]] = []

    def feed(self, text: str, owner: T) -> list[tuple[str, T]]:
        """Add text; return what is certain. Once `matched` is one of the wanted texts, `rest` is
        what came after it, and nothing more is released.
        """
        if not text or self.matched is not None:
            return []
        if not self.wanted:
            return [(text, owner)]
        self._held.append((text, owner))
        held = "".join(piece for piece, _ in self._held)
        at, self.matched = self._find(held)
        if self.matched is None:
            return self._release(len(held) - self._possible_start(held))
        released = self._release(at)
        self._release(len(self.matched))
        self.rest = self.finish()
        return released

    def behind(self, text: str) -> str:
        """What would come after a wanted text if this text completed one; otherwise empty."""
        held = "".join(piece for piece, _ in self._held) + text
        at, found = self._find(held)
        return held[at + len(found) :] if found is not None else ""

    def finish(self) -> list[tuple[str, T]]:
        """Release what is held back: no more text comes."""
        released, self._held = self._held, []
        return released

    def _find(self, held: str) -> tuple[int, str | None]:
        """The start of the wanted text that is complete first, and that text.

        Of several that end together the longest counts, so that the answer does not depend
        on where tokens happen to end.
        """
        # (end, -length, text): min() prefers the earliest end, then the longest. Where
        # find() gives -1, the end is smaller than the length, and the match is dropped.
        found = [(held.find(stop) + len(stop), -len(stop), stop) for stop in self.wanted]
        complete = [match for match in found if match[0] + match[1] >= 0]
        if not complete:
            return -1, None
        end, _, stop = min(complete)
        return end - len(stop), stop

    def _possible_start(self, held: str) -> int:
        """Length of the longest suffix of `held` that is a prefix of a wanted text."""
        # A whole one would have been found before: look for proper prefixes only.
        longest = min(len(held), max(map(len, self.wanted)) - 1)
        for length in range(longest, 0, -1):
            end = held[-length:]
            if any(stop.startswith(end) for stop in self.wanted):
                return length
        return 0

    def _release(self, count: int) -> list[tuple[str, T]]:
        """Take the first `count` characters out of what is held."""
        released = []
        while count > 0:
            text, owner = self._held.pop(0)
            if len(text) > count:
                self._held.insert(0, (text[count:], owner))
                text = text[:count]
            released.append((text, owner))
            count -= len(text)
        return released
