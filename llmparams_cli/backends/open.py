"""The one place that opens a backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import ResolvedModel
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Backend

Progress = Callable[[str, float], None]


def _silent(_what: str, _done: float) -> None:
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
) -> Iterator[Backend]:
    """A backend for this model, closed at the end. `settings` are those that it is loaded with,
    `control` ends all of its work, `progress` is told what is being done and how far (0 to 1),
    `slots` is how many answers it may work on at a time where nobody knows how many will come.
    """
    from llmparams_cli.backends.llama.backend import LlamaBackend

    backend = LlamaBackend(env, model, settings, control, progress, slots)
    try:
        yield backend
    finally:
        backend.close()
