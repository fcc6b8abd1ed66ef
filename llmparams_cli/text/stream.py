"""Detokenising: UTF-8 and stop sequences, both across token boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from llmparams_cli.text.utf8 import decoder

T = TypeVar("T")


class TextStream(Generic[T]):
    """Turns tokens' bytes into text, released once it is certain to belong to the answer.

    Text is held back only while it may be part of a character or the beginning of a stop
    sequence. Each released piece is paired with its owner, the token (any object) it came
    from; a character that spans several tokens belongs to the last of them.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self.stops = tuple(stops)
        self.matched: str | None = None
        self._decoder = decoder()
        self._held: list[tuple[str, T]] = []

    def feed(self, data: bytes, owner: T) -> list[tuple[str, T]]:
        """Add one token's bytes; return the text that became certain. `matched` is the stop
        sequence that ended the answer, after which nothing is released.
        """
        return self._add(self._decoder.decode(data), owner)

    def finish(self, owner: T) -> list[tuple[str, T]]:
        """Release what is held back: the answer ends here without a stop sequence."""
        released = self._add(self._decoder.decode(b"", final=True), owner)
        released += self._held
        self._held = []
        return released

    def _add(self, text: str, owner: T) -> list[tuple[str, T]]:
        if not text or self.matched is not None:
            return []
        if not self.stops:
            return [(text, owner)]
        self._held.append((text, owner))
        held = "".join(piece for piece, _ in self._held)
        at, self.matched = self._find(held)
        if self.matched is not None:
            released = self._release(at)
            self._held = []  # the stop sequence and whatever follows it
            return released
        return self._release(len(held) - self._possible_start(held))

    def _find(self, held: str) -> tuple[int, str | None]:
        """The start of the stop sequence that is complete first, and the sequence itself.

        Of several that end together the longest counts, so that the answer does not depend
        on where tokens happen to end.
        """
        # (end, -length, stop): min() prefers the earliest end, then the longest. Where
        # find() gives -1, the end is smaller than the length, and the match is dropped.
        found = [(held.find(stop) + len(stop), -len(stop), stop) for stop in self.stops]
        complete = [match for match in found if match[0] + match[1] >= 0]
        if not complete:
            return -1, None
        end, _, stop = min(complete)
        return end - len(stop), stop

    def _possible_start(self, held: str) -> int:
        """Length of the longest suffix of `held` that is a prefix of a stop sequence."""
        # A whole stop sequence would have been found before: look for proper prefixes only.
        longest = min(len(held), max(map(len, self.stops)) - 1)
        for length in range(longest, 0, -1):
            end = held[-length:]
            if any(stop.startswith(end) for stop in self.stops):
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
