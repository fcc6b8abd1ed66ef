"""Model files as tensors: a door of this room. Today: quantising."""

from __future__ import annotations

from llmparams_cli.backends.llama.native.quantise import quantise

__all__ = ["quantise"]
