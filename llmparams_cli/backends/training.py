"""Opens the trainer of a model; no other place knows what computes the gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.models.gguf import Header
from llmparams_cli.protocol import Progress
from llmparams_cli.training.trainer import Recipe, Trainer

INSTALL = "pip install 'llmparams[train]'"
SLOWER = (
    "PyTorch is not installed: llama.cpp computes the gradients, slower and without those of the"
    f" token embeddings ({INSTALL} brings it)"
)


def engine_for(wanted: str) -> str:
    """'torch' or 'llama.cpp': what is wanted or, for 'auto', PyTorch if it is installed."""
    from llmparams_cli.backends.pytorch.available import available

    if wanted == "torch" and not available():
        raise UsageError("--engine torch: PyTorch is not installed", INSTALL)
    if wanted == "auto":
        return "torch" if available() else "llama.cpp"
    return wanted


@contextmanager
def opened_trainer(
    env: Environment, header: Header, recipe: Recipe, wanted: str, progress: Progress
) -> Iterator[Trainer]:
    """A trainer for a model in F32, closed at the end. Says what it cannot do."""
    progress("loading", 0.0)
    if engine_for(wanted) == "torch":
        from llmparams_cli.backends.pytorch.trainer import open_trainer

        trainer: Trainer = open_trainer(header.path, recipe)
    else:
        from llmparams_cli.backends.llama.weights import open_trainer as open_llama

        if wanted == "auto":
            env.note(SLOWER)
        trainer = open_llama(env, header.path, recipe)
    progress("loading", 1.0)
    with closing(trainer):
        yield trainer
