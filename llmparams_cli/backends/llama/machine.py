"""This machine and this library, as doctor and receipts describe them: a door of this room."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from llmparams_cli.backends.llama.host import buffers, devices, hardware, probe
from llmparams_cli.backends.llama.host.estimate import HOST, Estimate, Share
from llmparams_cli.backends.llama.host.memory import free_memory
from llmparams_cli.backends.llama.host.placement import lora_adapters
from llmparams_cli.backends.llama.host.plan import estimate, estimates, layers_on_gpus
from llmparams_cli.backends.llama.native import library
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.env import Environment
from llmparams_cli.models.gguf import Header
from llmparams_cli.params.settings import Settings

__all__ = [
    "HOST",
    "Estimate",
    "Share",
    "buffers",
    "devices",
    "estimate",
    "estimates",
    "facts",
    "free_memory",
    "hardware",
    "layers_on_gpus",
    "library",
    "lora_adapters",
    "probe",
]


def facts(
    env: Environment, model: Model, header: Header, settings: Settings, context: int
) -> Mapping[str, Any]:
    """Everything besides the model and the settings that decides how sums are rounded."""
    lib = library.llama()
    features = re.findall(r"(\w+) = 1", str(lib.llama_print_system_info(), "utf-8"))
    threads = settings["threads"] or hardware.usable_cpus()
    batch_size = min(settings["batch_size"], context)  # as `placement.context_params` does
    return {
        "library": {
            "llama-cpp-python": library.version(),
            "llama.cpp": str(lib.llama_version(), "utf-8"),
            "build": " ".join(features),
        },
        "device": {
            "processor": hardware.processor().model,
            "gpus": _gpus(model, header),
            "threads": threads,
            "threads_batch": settings["threads_batch"] or threads,
            "weights": _weights(env, header),
        },
        "batch": {
            "batch_size": batch_size,
            "ubatch_size": min(settings["ubatch_size"], batch_size),
            "sequences": 1,
        },
    }


def _gpus(model: Model, header: Header) -> list[str]:
    """The GPUs that layers of the model are on, each with their number."""
    from llmparams_cli.backends.llama.native.breakdown import place_of

    last = {
        tensor.name.split(".")[1]: tensor.name
        for tensor in header.tensors
        if tensor.name.startswith("blk.")
    }
    places = [place_of(model.handle, name)[1] for name in (*last.values(), "output_norm.weight")]
    counts = Counter(place for place in places if place)
    names = {device.name: device.description for device in devices.devices()}
    return [f"{names.get(name, name)}: {n} of {len(places)} layers" for name, n in counts.items()]


def _weights(env: Environment, header: Header) -> str:
    """Where quantised weights are kept: names of buffer types; empty for plain memory."""
    types = probe.with_fast_path(header.tensor_types())
    if not types:
        return ""
    memory = probe.Memory(env.cache_dir)
    # Only remembered: the run that this is about has asked `probe.choose` already.
    found = [memory.recall(type) for type in types]
    modes = {finding.mode if finding else buffers.WeightMode.PLAIN for finding in found}
    if buffers.WeightMode.PLAIN in modes:
        return ""
    if buffers.WeightMode.REPACK in modes:
        return buffers.REPACK
    return " ".join(buffers.extra_buffers())
