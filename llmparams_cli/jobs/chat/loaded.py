"""A chat's model: loaded for the first answer, and again when a setting of its own changes."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Interrupt
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.spec import Scope
from llmparams_cli.protocol import Event, Message, Request

if TYPE_CHECKING:
    from llmparams_cli.backends.llama.decoding.answer import Progress
    from llmparams_cli.backends.llama.decoding.generate import Conversation, Engine
    from llmparams_cli.backends.llama.decoding.recording import Recording


class LoadedModel:
    """The engine and its context, kept from one answer to the next. Close it.

    `load` comes first; `size` is that of the context. `interrupt` is reset for every piece of
    work, and not made anew: the context keeps a pointer to its flag.
    """

    def __init__(self, env: Environment, progress: Progress) -> None:
        self.interrupt = Interrupt()
        self.size = 0
        self._env = env
        self._progress = progress
        self._engine: Engine | None = None
        self._conversation: Conversation | None = None
        self._loaded: list[Any] = []
        self._sized: list[Any] = []

    def load(self, prepared: Prepared, settings: Settings) -> Engine:
        """The model, and the size of the context, that these settings ask for."""
        from llmparams_cli.backends.llama.decoding.generate import Engine
        from llmparams_cli.backends.llama.host.placement import context_size

        wanted = _of_model(prepared)
        if self._engine is None or wanted != self._loaded:
            self.close()
            engine = Engine(self._env, prepared.model, settings, self.interrupt, self._progress)
            self._engine, self._conversation = engine, engine.conversation()
            self._loaded, self._sized = wanted, []
        if self._sized != _of_context(settings):
            assert self._conversation is not None
            self._conversation.close()  # its memory counts as free for the next one
            self.size = context_size(self._env, settings, self._engine.header)
            self._sized = _of_context(settings)
        return self._engine

    def ask(
        self, request: Request, recording: Recording | None = None
    ) -> Generator[Event, None, None]:
        """Answer in the context that is kept: only what is new of the prompt is read."""
        assert self._conversation is not None
        return self._conversation.ask(request, recording)

    def count(self, messages: tuple[Message, ...], *, raw: bool) -> int:
        """How many tokens these messages make as a prompt."""
        assert self._engine is not None
        return len(self._engine.tokens(messages, raw=raw)[0])

    def reloads(self, before: Prepared, after: Prepared) -> tuple[bool, bool]:
        """Will the next answer have to load a model, and to make a context?"""
        if self._engine is None:
            return False, False
        loads = _of_model(before) != _of_model(after)
        return loads, not loads and _of_context(before.settings) != _of_context(after.settings)

    def close(self) -> None:
        if self._conversation:
            self._conversation.close()
        if self._engine:
            self._engine.model.close()
        self._engine = self._conversation = None


def _of_model(prepared: Prepared) -> list[Any]:
    values = [s.value for s in prepared.settings if s.param.scope is Scope.LOAD]
    return [prepared.model.path, *values]


def _of_context(settings: Settings) -> list[Any]:
    return [s.value for s in settings if s.param.scope is Scope.CONTEXT or s.param.name == "lora"]
