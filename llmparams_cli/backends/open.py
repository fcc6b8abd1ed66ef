"""Opens the backend that answers for a model; no other place knows which one that is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import GgufModel, ResolvedModel, ScriptedModel
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.table import PARAMS
from llmparams_cli.protocol import Backend, Progress


def _silent(_what: str, _done: float, _tokens: int = 0, /) -> None:
    pass


@contextmanager
def opened(
    env: Environment,
    model: ResolvedModel,
    settings: Settings,
    control: Control,
    progress: Progress = _silent,
    *,
    slots: int = 1,
    patient: bool = False,
) -> Iterator[Backend]:
    """A backend for this model, closed at the end. It is loaded with `settings`; `control` ends all
    of its work; `progress` is told what is being done and how far it is (0 to 1); `slots` is how
    many answers it may work on at a time where the number of requests is unknown. `patient`: nobody
    waits for a single token, as long as all of them come soon.
    """
    backend = _made(env, model, settings, control, progress, slots, patient)
    try:
        yield backend
    finally:
        backend.close()


def followed(model: ResolvedModel) -> Collection[str]:
    """The names of the parameters that the backend of this model follows."""
    if isinstance(model, ScriptedModel):
        from llmparams_cli.backends.scripted import FOLLOWED

        return FOLLOWED
    return PARAMS


def named_templates() -> Collection[str]:
    """The names of the chat templates that are there for every model."""
    from llmparams_cli.backends.llama.machine import named_templates

    return named_templates.names()


def _made(
    env: Environment,
    model: ResolvedModel,
    settings: Settings,
    control: Control,
    progress: Progress,
    slots: int,
    patient: bool,
) -> Backend:
    if isinstance(model, ScriptedModel):
        from llmparams_cli.backends.scripted import ScriptedBackend

        return ScriptedBackend(env, model, control, slots)
    # Here, so that nothing of llama.cpp is loaded for other backends.
    from llmparams_cli.backends.llama.backend import LlamaBackend

    assert isinstance(model, GgufModel)
    return LlamaBackend(env, model, settings, control, progress, slots, patient=patient)
