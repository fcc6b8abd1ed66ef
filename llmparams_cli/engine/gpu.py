"""Layers on the GPU: which the library has, and how much of a model fits."""

from __future__ import annotations

import ctypes

from llmparams_cli.engine.library import ggml, ggml_registry, llama
from llmparams_cli.env import Environment
from llmparams_cli.models.gguf import Header
from llmparams_cli.params.settings import Settings

DEVICE_GPU = (1, 2)  # enum ggml_backend_dev_type: GPU, integrated GPU
ALL_LAYERS = -1
MEMORY_SHARE = 0.9  # of the free memory; the rest is for compute buffers
DEFAULT_CONTEXT = 8192


def layers(env: Environment, settings: Settings, header: Header) -> int:
    """How many layers go to the GPU (llama.cpp's n_gpu_layers; -1 for all)."""
    asked = settings["gpu_layers"]
    if not llama().llama_supports_gpu_offload():
        if asked not in ("auto", 0):
            origin = settings.setting("gpu_layers").origin
            env.note(
                f"gpu_layers {asked} ({origin}): this library has no GPU backend, "
                "so the CPU does all the work"
            )
        return 0
    if asked == "all":
        return ALL_LAYERS
    if asked != "auto":
        return int(asked)
    tokens = settings["context"] or min(header.context_length or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    cache = tokens * header.kv_bytes_per_token(settings["cache_type_k"], settings["cache_type_v"])
    return layers_that_fit(free_memory(), header.size + cache, header.block_count)


def layers_that_fit(free: int, needed: int, layers: int) -> int:
    """Of `needed` bytes spread evenly over the layers, what goes into `free` bytes."""
    usable = free * MEMORY_SHARE
    if needed <= usable:
        return ALL_LAYERS
    return int(usable / (needed / (layers + 1)))


def free_memory() -> int:
    """Free bytes on all GPUs together (ggml_backend_dev_memory)."""
    registry, base = ggml_registry(), ggml()
    registry.ggml_backend_dev_count.restype = ctypes.c_size_t
    registry.ggml_backend_dev_get.restype = ctypes.c_void_p
    registry.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    base.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    base.ggml_backend_dev_memory.argtypes = [
        ctypes.c_void_p,
        *[ctypes.POINTER(ctypes.c_size_t)] * 2,
    ]
    total_free = 0
    for index in range(registry.ggml_backend_dev_count()):
        device = registry.ggml_backend_dev_get(index)
        if base.ggml_backend_dev_type(device) in DEVICE_GPU:
            free, total = ctypes.c_size_t(), ctypes.c_size_t()
            base.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
            total_free += free.value
    return total_free
