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
from llmparams_cli.errors import ModelError, UsageError
from llmparams_cli.interrupt import called_from_c
from llmparams_cli.models.ggml_types import TENSOR_TYPES
from llmparams_cli.models.gguf import Header
from llmparams_cli.params.settings import Settings

CELLS = 256  # a sequence's cells are a multiple of this (llama_context::llama_context)
DEFAULT_CONTEXT = 8192  # enough for most prompts; larger caches only when asked for
SPLIT_MODES = ("none", "layer", "row", "tensor")  # enum llama_split_mode
MOST_SCALE = 1000.0  # of an adapter; real ones are about 1
FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}  # enum llama_flash_attn_type


def model_params(
    env: Environment,
    settings: Settings,
    header: Header,
    layers: int,
    progress: Callable[[float], bool],
) -> Any:
    """llama_model_params with so many layers on GPUs (-1: all); `progress` gets the share loaded (0
    to 1), returns False to give up.
    """
    lib = llama()
    params = lib.llama_model_default_params()
    params.n_gpu_layers = layers
    if not layers:
        devices.use_none(params)
    else:  # without a GPU, some split modes are errors
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


def _set_tensor_split(params: Any, settings: Settings) -> None:
    shares: list[float] = settings["tensor_split"]
    if shares:
        # llama.cpp reads as many as it could have devices, however many there are.
        params.tensor_split = (ctypes.c_float * int(llama().llama_max_devices()))(*shares)


def context_params(
    settings: Settings, size: int, sequences: int, *, shared: bool, outputs: int = 0
) -> Any:
    """llama_context_params for `sequences` sequences and `size` cells, which they have in common or
    not. `outputs` is how many rows of logits a call may ask for, if more than one for each.
    """
    lib = llama()
    params = lib.llama_context_default_params()
    params.n_ctx = size
    batch = min(settings["batch_size"], size)
    params.n_batch = max(sequences, batch)  # a call takes a row of every sequence
    # Whatever the number of sequences, so that prompts are always cut alike.
    params.n_ubatch = min(settings["ubatch_size"], batch)
    params.n_seq_max = sequences
    params.kv_unified = shared
    params.n_outputs_max = max(sequences, outputs)  # more in a call: an assertion fails
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


def lora_adapters(settings: Settings) -> list[tuple[Path, float]]:
    """(file, scale) of every adapter; written PATH or PATH:SCALE. Raises ModelError for a path that
    is no file, UsageError for a scale that is no number to multiply by.
    """
    adapters = [_adapter(text) for text in settings["lora"]]
    origin = settings.setting("lora").origin
    for path, scale in adapters:
        if what := _no_file(path):
            raise ModelError(f"the adapter {path} {what} ({origin})", "give a LoRA in GGUF")
        if not abs(scale) <= MOST_SCALE:  # so written that it catches NaN
            raise UsageError(
                f"the scale of the adapter {path} is {scale} ({origin})",
                f"from -{MOST_SCALE:g} to {MOST_SCALE:g}",
            )
    return adapters


def _no_file(path: Path) -> str:
    """Why there is no file; empty if there is one."""
    try:
        if path.is_file():
            return ""
        return "is not a file" if path.exists() else "does not exist"
    except OSError as error:  # a name that is too long
        return f"cannot be read: {error.strerror}"


def _adapter(text: str) -> tuple[Path, float]:
    path, colon, scale = text.rpartition(":")
    try:
        return (Path(path), float(scale)) if colon else (Path(text), 1.0)
    except ValueError:  # the colon is a part of the path
        return Path(text), 1.0
