"""How a model and its context are placed on this machine: size, weight buffers, threads.

Turns the settings of scope 'load' and 'context' into llama_model_params and llama_context_params.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmparams_cli.backends.llama.host import buffers, devices, hardware, probe
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError, ModelError, UsageError
from llmparams_cli.interrupt import called_from_c
from llmparams_cli.models.ggml_types import TENSOR_TYPES
from llmparams_cli.models.gguf import Header
from llmparams_cli.params.settings import Settings
from llmparams_cli.text.units import size_text

DEFAULT_CONTEXT = 8192  # enough for most prompts; larger caches only when asked for
SPLIT_MODES = ("none", "layer", "row", "tensor")  # enum llama_split_mode
FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}  # enum llama_flash_attn_type


def model_params(
    env: Environment, settings: Settings, header: Header, progress: Callable[[float], bool]
) -> Any:
    """llama_model_params; `progress` gets the share loaded (0 to 1), returns False to give up."""
    lib = llama()
    params = lib.llama_model_default_params()
    needed = header.size + wanted_context(settings, header) * _cache_bytes(settings, header)
    params.n_gpu_layers = devices.layers(env, settings, needed, header.block_count)
    if not params.n_gpu_layers and not settings["mmap"]:
        _refuse_too_large(header)
    if params.n_gpu_layers:  # without a GPU, some split modes are errors
        params.split_mode = SPLIT_MODES.index(settings["split_mode"])
        params.main_gpu = settings["main_gpu"]
        _set_tensor_split(params, settings)
    mapped, locked = settings["mmap"], settings["mlock"]
    params.load_mode = int(mapped) + 2 * int(locked)  # enum llama_load_mode
    params.progress_callback = lib.llama_progress_callback(
        called_from_c(lambda done, _: progress(done))
    )
    buffers.apply(probe.choose(env, header.tensor_types()), params)
    return params


def _refuse_too_large(header: Header) -> None:
    """A file that is not mapped must fit into memory: the system would kill us half-way through."""
    free = hardware.available_memory()
    if free is None or header.size <= free:
        return
    raise BackendError(
        f"the model takes {size_text(header.size)} and {size_text(free)} of memory are free",
        "--mmap reads it from the disk as needed; a more quantised model is smaller",
    )


def _set_tensor_split(params: Any, settings: Settings) -> None:
    shares: list[float] = settings["tensor_split"]
    if not shares:
        return
    devices = int(llama().llama_max_devices())
    if len(shares) > devices:
        raise UsageError(
            f"tensor_split ({settings.setting('tensor_split').origin}) has {len(shares)} shares",
            f"one for each of {devices} device(s) at most",
        )
    array = (ctypes.c_float * devices)(*shares)
    params.tensor_split = array


def context_params(settings: Settings, size: int, sequences: int) -> Any:
    """llama_context_params for `sequences` sequences and `size` cells."""
    lib = llama()
    params = lib.llama_context_default_params()
    params.n_ctx = size
    batch = min(settings["batch_size"], size)
    params.n_batch = max(sequences, batch)  # a call takes a row of every sequence
    # Whatever the number of sequences, so that prompts are always cut alike.
    params.n_ubatch = min(settings["ubatch_size"], batch)
    params.n_seq_max = sequences
    params.n_threads = settings["threads"] or hardware.usable_cpus()
    params.n_threads_batch = settings["threads_batch"] or params.n_threads
    params.flash_attn_type = FLASH_ATTENTION[settings["flash_attention"]]
    params.type_k = _ggml_type(settings["cache_type_k"])
    params.type_v = _ggml_type(settings["cache_type_v"])
    params.rope_freq_base = settings["rope_freq_base"]
    params.rope_freq_scale = settings["rope_freq_scale"]
    params.no_perf = True
    return params


def _ggml_type(name: str) -> int:
    """Its number in enum ggml_type; the binding's own constants lack BF16."""
    return next(number for number, type in TENSOR_TYPES.items() if type.name == name.upper())


def wanted_context(settings: Settings, header: Header) -> int:
    """Tokens of context as asked; otherwise as many as the model was trained for, at most 8,192."""
    usual = min(header.context_length or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    return int(settings["context"]) or usual


def _cache_bytes(settings: Settings, header: Header) -> int:
    """Bytes that one token takes in the KV cache."""
    return header.kv_bytes_per_token(settings["cache_type_k"], settings["cache_type_v"])


def context_size(env: Environment, settings: Settings, header: Header) -> int:
    """Tokens of context: as asked, or else the usual number, less where memory allows no more."""
    asked, trained = int(settings["context"]), header.context_length
    per_token = _cache_bytes(settings, header)
    fits = tokens_in_memory(settings, header)
    if asked:
        if trained and asked > trained:
            env.note(
                f"context {asked} is beyond the {trained} tokens the model was trained on; "
                "expect worse text past that point"
            )
        if fits is not None and asked > fits:
            raise BackendError(
                f"context {asked} needs {size_text(asked * per_token)} for its cache; "
                f"memory is left for {max(0, fits)} tokens",
                "a smaller --context, or --cache-type-k q8_0 --cache-type-v q8_0",
            )
        return asked
    size = wanted_context(settings, header)
    if fits is not None and fits < size:
        if fits < 1:
            raise BackendError(
                f"no memory is left for a context beside the model's {size_text(header.size)}",
                "a smaller or more quantised model, or --gpu-layers on a machine with a GPU",
            )
        env.note(f"context is {fits} tokens: no more fits in memory")
        size = fits
    return size


def tokens_in_memory(settings: Settings, header: Header) -> int | None:
    """How many tokens the KV cache may take; the weights are in memory by now. None: unknown."""
    free, per_token = hardware.available_memory(), _cache_bytes(settings, header)
    if free is None or per_token == 0:
        return None
    return int(free * hardware.MEMORY_SHARE / per_token)


def lora_adapters(settings: Settings) -> list[tuple[Path, float]]:
    """(file, scale) of every adapter; written PATH or PATH:SCALE. Raises ModelError for a path that
    is no file.
    """
    adapters = [_adapter(text) for text in settings["lora"]]
    for path, _ in adapters:
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            origin = settings.setting("lora").origin
            raise ModelError(f"the adapter {path} {what} ({origin})", "give a LoRA in GGUF")
    return adapters


def _adapter(text: str) -> tuple[Path, float]:
    path, colon, scale = text.rpartition(":")
    try:
        return (Path(path), float(scale)) if colon else (Path(text), 1.0)
    except ValueError:  # the colon is a part of the path
        return Path(text), 1.0
