"""Says before an answer begins that what its constraint asks for cannot come to an end."""

from __future__ import annotations

import json
from collections.abc import Callable

from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.constraints import shortest
from llmparams_cli.params.conflicts import form
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Started

ROOM = "the room that the prompt leaves in the context"


class Shortfall:
    """Knows the constraints it was asked about: the rows of a batch share a few."""

    def __init__(self, model: Model, note: Callable[[str], None]) -> None:
        self._model = model
        self._note = note
        self._known: dict[tuple[str, int], int | None] = {}

    def tell(self, settings: Settings, started: Started) -> None:
        """Print a note if max_tokens, or the room behind the prompt, cuts even the shortest answer
        that the constraint admits.
        """
        name = form(settings)
        if not name:
            return
        limit: int = settings["max_tokens"]
        room = started.context - started.prompt_tokens
        enough = room if limit < 0 else min(limit, room)
        if needed := self._needed(name, settings, enough):
            cut = f"max_tokens {limit}" if enough == limit else ROOM
            admits = "choices admit" if name == "choices" else f"{name} admits"
            self._note(
                f"the shortest answer that {admits} has at least {needed} tokens: {cut} cuts it"
            )

    def _needed(self, name: str, settings: Settings, enough: int) -> int | None:
        key = json.dumps([name, settings[name]]), enough
        if key not in self._known:
            self._known[key] = shortest.fewest(settings, self._count, enough)
        return self._known[key]

    def _count(self, text: str) -> int:
        return len(self._model.tokenize(text, goes_on=True))
