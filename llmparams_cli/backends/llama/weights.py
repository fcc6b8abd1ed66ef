"""Model files as tensors (quantising them, so far): a door of this room."""

from __future__ import annotations

from llmparams_cli.backends.llama.native.quantise import quantise

__all__ = ["quantise"]
