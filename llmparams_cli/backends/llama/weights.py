"""Model files as tensors and vocabularies, without a context: a door of this room."""

from __future__ import annotations

from llmparams_cli.backends.llama.host.quantising import quantised
from llmparams_cli.backends.llama.native.dequantise import values
from llmparams_cli.backends.llama.native.quantise import Plan, Recipe, planned, quantise
from llmparams_cli.backends.llama.native.vocabulary import vocabulary

__all__ = ["Plan", "Recipe", "planned", "quantise", "quantised", "values", "vocabulary"]
