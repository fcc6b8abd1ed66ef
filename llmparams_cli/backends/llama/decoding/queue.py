"""Requests that wait for a slot; some are looked at before their turn, for the room they need."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from llmparams_cli.errors import LlmparamsError
from llmparams_cli.protocol import Request, numbered
from llmparams_cli.templates.rendering import Prompt

AHEAD = 64  # requests of a stream that are looked at before a context is made


@dataclass
class Waiting:
    """A request and its number, from 0; once it was looked at, its prompt or why there is none."""

    number: int
    request: Request
    prompt: Prompt | LlmparamsError | None = None

    @property
    def cells(self) -> float:
        """Tokens that the prompt and its longest answer have together; 0 if it will fail."""
        if not isinstance(self.prompt, Prompt):
            return 0
        most = self.request.settings["max_tokens"]
        return len(self.prompt.tokens) + (most if most >= 0 else math.inf)

    def ready(self) -> Prompt:
        """Its prompt; raises what was wrong with it."""
        if isinstance(self.prompt, LlmparamsError):
            raise self.prompt
        assert self.prompt is not None
        return self.prompt


class Queue:
    """Takes requests from `source` as they are wanted; a None in it says that none waits now.
    `prompt` makes the prompt of one, or raises.
    """

    def __init__(
        self, source: Iterable[Request | None], prompt: Callable[[Request], Prompt]
    ) -> None:
        self._source = (
            None if request is None else Waiting(number, request)
            for number, request in numbered(source)
        )
        self._prompt = prompt
        self._seen: deque[Waiting] = deque()

    def first(self) -> Request | None:
        """The next one, which stays in the queue; waits for it. None: no more come."""
        while not self._seen:
            try:
                self._seen += filter(None, [next(self._source)])
            except StopIteration:
                return None
        return self._seen[0].request

    def look(self, count: int) -> list[Waiting]:
        """Up to `count` of those that wait, with their prompts."""
        while len(self._seen) < count and (more := next(self._source, None)):
            self._seen.append(more)
        for each in self._seen:
            self._read(each)
        return list(self._seen)

    def take(self, fits: Callable[[Waiting], bool]) -> Iterator[Waiting | None]:
        """One after the other, until one does not fit, which stays. None: nobody waits now.

        What was found of those that stay is forgotten: their context will be another one.
        """
        while True:
            try:
                each = self._seen.popleft() if self._seen else next(self._source)
            except StopIteration:
                return
            if each is not None:
                self._read(each)
                if not fits(each):
                    self._seen.appendleft(each)
                    for left in self._seen:
                        left.prompt = None
                    return
            yield each

    def _read(self, each: Waiting) -> None:
        if each.prompt is None:
            try:
                each.prompt = self._prompt(each.request)
            except LlmparamsError as error:
                each.prompt = error
