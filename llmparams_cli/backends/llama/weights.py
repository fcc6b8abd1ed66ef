"""Model files as tensors and vocabularies, and the training of weights: a door of this room."""

from __future__ import annotations

from llmparams_cli.backends.llama.host.quantising import quantised
from llmparams_cli.backends.llama.native.dequantise import values
from llmparams_cli.backends.llama.native.quantise import Plan, Recipe, planned, quantise
from llmparams_cli.backends.llama.native.vocabulary import vocabulary
from llmparams_cli.backends.llama.training.opening import open_trainer
from llmparams_cli.backends.llama.training.trainer import trainable

__all__ = [
    "Plan",
    "Recipe",
    "open_trainer",
    "planned",
    "quantise",
    "quantised",
    "trainable",
    "values",
    "vocabulary",
]
