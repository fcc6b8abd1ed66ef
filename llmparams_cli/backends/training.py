"""Opens the trainer of a model; no other place knows what computes the gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from llmparams_cli.backends.pytorch.libraries import INSTALL, available
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.models.gguf import Header
from llmparams_cli.protocol import Progress
from llmparams_cli.training.trainer import Recipe, Trainer

TORCH, LLAMA = "torch", "llama.cpp"
FIXED = "llama.cpp has no gradient of the token embeddings: they stay as they are"


def engine_for(wanted: str) -> str:
    """TORCH or LLAMA: what is wanted or, for 'auto', PyTorch if it is installed."""
    if wanted == TORCH and not available():
        raise UsageError("--engine torch: PyTorch is not installed", INSTALL)
    if wanted == "auto":
        return TORCH if available() else LLAMA
    return wanted


def trainable(env: Environment, wanted: str, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the tensors that the engine can train; says what it cannot. Raises UsageError if
    none is left.
    """
    if engine_for(wanted) == TORCH:
        return tuple(names)
    from llmparams_cli.backends.llama import weights

    able = tuple(name for name in names if weights.trainable(name))
    if not able:
        raise UsageError(f"llama.cpp cannot train {', '.join(names)}", f"{INSTALL} brings what can")
    if len(able) < len(names):
        env.note(FIXED + (f" ({INSTALL} brings PyTorch, which has it)" if wanted == "auto" else ""))
    return able


@contextmanager
def opened_trainer(
    env: Environment,
    header: Header,
    recipe: Recipe,
    wanted: str,
    control: Control,
    progress: Progress,
) -> Iterator[Trainer]:
    """A trainer for a model in F32, closed at the end."""
    progress("loading", 0.0)
    trainer = _opened(env, header, recipe, wanted, control)
    progress("loading", 1.0)
    with closing(trainer):
        yield trainer


def _opened(
    env: Environment, header: Header, recipe: Recipe, wanted: str, control: Control
) -> Trainer:
    if engine_for(wanted) == TORCH:
        from llmparams_cli.backends.pytorch.trainer import open_trainer

        return open_trainer(header.path, recipe)
    if recipe.precision == "bf16":
        raise UsageError("--precision bf16: llama.cpp trains in F32 alone", f"{INSTALL} brings it")
    from llmparams_cli.backends.llama import weights

    return weights.open_trainer(env, header.path, recipe, control)
