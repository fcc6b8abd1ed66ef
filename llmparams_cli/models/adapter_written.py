"""Writes LoRA adapters as llama.cpp loads them (src/llama-adapter.cpp)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmparams_cli.models.gguf_written import written

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    Array = NDArray[float32]


def adapter_bytes(
    matrices: Mapping[str, tuple[Array, Array]], alpha: float, architecture: str
) -> bytes:
    """The file of an adapter: for each tensor that it is beside, A of [rank, columns] and B of
    [rows, rank]; alpha/rank · B A is added to its values.
    """
    metadata = {
        "general.type": "adapter",
        "general.architecture": architecture,
        "adapter.type": "lora",
        "adapter.lora.alpha": float(alpha),
    }
    tensors = {}
    for name, (a, b) in matrices.items():
        tensors[f"{name}.lora_a"] = a
        tensors[f"{name}.lora_b"] = b
    return written(metadata, tensors)
