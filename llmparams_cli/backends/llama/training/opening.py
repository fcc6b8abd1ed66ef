"""Opens the trainer of a model, once a child process has shown that llama.cpp can train it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from llmparams_cli.backends.llama.host import child
from llmparams_cli.backends.llama.native import crash
from llmparams_cli.backends.llama.training import trial
from llmparams_cli.backends.llama.training.trainer import LlamaTrainer, check
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError
from llmparams_cli.interrupt import Control
from llmparams_cli.training.trainer import Recipe

PER_GIB = 120  # seconds of patience more for each GiB of weights
# What ggml_compute_backward says before it aborts.
UNSUPPORTED = re.compile(r"unsupported (?:\w+ )*op for backward pass: (\w+)")


def open_trainer(
    env: Environment, path: Path, recipe: Recipe, control: Control | None = None
) -> LlamaTrainer:
    """The trainer for a file whose tensors are F32. Raises BackendError for a model, or tensors of
    it, that llama.cpp cannot train.

    When `control` is told to stop, this and all that the trainer computes raises KeyboardInterrupt;
    nothing has changed then.
    """
    check(recipe)
    if reason := refusal(env, path, recipe, control):
        raise BackendError(f"llama.cpp cannot train {path}: {reason}")
    crash.guard()
    return LlamaTrainer(path, recipe, control)


def refusal(env: Environment, path: Path, recipe: Recipe, control: Control | None = None) -> str:
    """Why llama.cpp cannot train these tensors of a model; empty if it can."""
    patience = child.PATIENCE + PER_GIB * path.stat().st_size / 2**30
    arguments = (str(path.absolute()), str(recipe.threads), json.dumps(recipe.names))
    end = child.run(env, trial, *arguments, patience=patience, control=control)
    if end.code == 0:
        return ""
    if end.code == child.WRONG_NUMBERS:
        return "the gradients that it computes are wrong"
    if found := UNSUPPORTED.search(end.errors):
        return f"it has no gradient of the operation {found[1]}"
    reason = end.reason.removeprefix("llmparams: error: ")
    return re.sub("^llama.cpp ", "it ", reason)
