"""A chat's model: loaded for the first answer, and again when a load setting changes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread
from typing import Any

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import LlmparamsError
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import Seen, events
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.spec import Scope
from llmparams_cli.protocol import Backend, Progress, Request, Stop, StopReason


class LoadedModel:
    """A backend that is kept from one answer to the next. Close it.

    Call `load` first; `size` is that of the context, in tokens. `control` is reset for every piece
    of work, never replaced: the context has a pointer to its flag.
    """

    def __init__(self, env: Environment, progress: Progress) -> None:
        self.control = Control()
        self.size = 0
        self.progress = progress
        self._env = env
        self._stack = ExitStack()
        self._backend: Backend | None = None
        self._loaded: list[Any] = []
        self._sized: list[Any] = []

    def load(self, prepared: Prepared, settings: Settings) -> None:
        """Load the model, unless it is loaded with these settings already, and size the context."""
        wanted = prepared.in_memory
        if self._backend is None or wanted != self._loaded:
            self.close()
            self._backend = self._stack.enter_context(
                opened(self._env, prepared.model, settings, self.control, self.progress)
            )
            self._loaded = wanted
        self.size, self._sized = self._backend.context(settings), settings.of_scope(Scope.CONTEXT)

    def ask(self, request: Request) -> Generator[Seen, None, None]:
        """Answer in the context that is kept: only the part of the prompt that is new is read."""
        return events(self.backend, request)

    @contextmanager
    def reading_ahead(self, prepared: Prepared, request: Request) -> Iterator[None]:
        """While the user types, prefill what the next prompt begins with. Only in the model and
        context that are loaded: others are made when they are needed.
        """
        wanted = prepared.in_memory, request.settings.of_scope(Scope.CONTEXT)
        if self._backend is None or wanted != (self._loaded, self._sized):
            yield
            return
        self.control.reset()
        reader = Thread(target=_read_ahead, args=[self._backend, request], daemon=True)
        reader.start()
        try:
            yield
        finally:
            # Stops it within a block, too: during a longer wait a second Ctrl-C could come, and the
            # thread would go on in a context that is being closed.
            self.control.set(Stop(StopReason.INTERRUPTED, "the next message is there"))
            reader.join()

    @property
    def backend(self) -> Backend:
        assert self._backend is not None, "load comes first"
        return self._backend

    def count(self, request: Request) -> int:
        """How many tokens the prompt of this request has; 0 if unknown."""
        return self.backend.count(request) or 0

    def length(self, text: str) -> int:
        """How many tokens a text has by itself; 0 if unknown."""
        return len(self.backend.encode(text) or ())

    def reloads(self, before: Prepared, after: Prepared) -> tuple[bool, bool]:
        """Whether the next answer must load a model; and if not, whether it must make a context."""
        if self._backend is None:
            return False, False
        loads = before.in_memory != after.in_memory
        one, other = (each.settings.of_scope(Scope.CONTEXT) for each in (before, after))
        return loads, not loads and one != other

    def close(self) -> None:
        self._stack.close()
        self._backend = None


def _read_ahead(backend: Backend, request: Request) -> None:
    with suppress(LlmparamsError):  # the next answer meets the same error and reports it
        backend.read_ahead(request)
