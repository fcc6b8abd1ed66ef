"""This machine and this library, as doctor and receipts describe them: a door of this room."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from llmparams_cli.backends.llama.host import buffers, child, devices, hardware, probe, remembered
from llmparams_cli.backends.llama.host.busy import Taken, Watch
from llmparams_cli.backends.llama.host.memory import USABLE, free_memory
from llmparams_cli.backends.llama.host.placement import lora_adapters
from llmparams_cli.backends.llama.host.plan import estimate, estimates, layers_on_gpus
from llmparams_cli.backends.llama.host.shares import HOST, MAPPED, Estimate, Share
from llmparams_cli.backends.llama.native import library, named_templates
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.models.gguf import Header
from llmparams_cli.params.settings import Settings

__all__ = [
    "HOST",
    "USABLE",
    "Estimate",
    "Share",
    "Taken",
    "Watch",
    "buffers",
    "child",
    "devices",
    "estimate",
    "estimates",
    "facts",
    "free_memory",
    "hardware",
    "layers_on_gpus",
    "library",
    "lora_adapters",
    "named_templates",
    "place_of_weights",
    "probe",
    "remembered",
]


def facts(
    model: Model,
    header: Header,
    settings: Settings,
    size: int,
    context: Context | None = None,
) -> Mapping[str, Any]:
    """Everything besides the model and the settings that decides how sums are rounded: of a context
    of this size, which computes or will.
    """
    lib = library.llama()
    features = re.findall(r"(\w+) = 1", str(lib.llama_print_system_info(), "utf-8"))
    threads = settings["threads"] or hardware.usable_cpus()
    reading = settings["threads_batch"] or threads
    if context:
        threads, reading = context.threads, context.threads_reading
    batch_size = min(settings["batch_size"], size)  # as `placement.context_params` does
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
            "threads_batch": reading,
            "weights": _weights(model, header),
        },
        "batch": {
            "batch_size": batch_size,
            "ubatch_size": min(settings["ubatch_size"], batch_size),
            "sequences": 1,
        },
    }


def place_of_weights(model: Model, header: Header) -> tuple[str, bool]:
    """The device that most bytes of the weights are on (empty: the computer's own memory), and
    whether most of them are in the mapped file.
    """
    from llmparams_cli.backends.llama.native.breakdown import place_of

    on: Counter[tuple[str, bool]] = Counter()
    for tensor in header.tensors:
        kind, device = place_of(model.handle, tensor.name)
        on[device or "", kind == MAPPED] += tensor.bytes
    [(place, _)] = on.most_common(1)
    return place


def _gpus(model: Model, header: Header) -> list[str]:
    """The GPUs that layers of the model are on, each with their number."""
    gpus = {gpu.name: f"{gpu.name} {gpu.description}" for gpu in devices.gpus()}
    if not gpus:
        return []
    from llmparams_cli.backends.llama.native.breakdown import place_of

    layers = {
        tensor.name.split(".")[1]: tensor.name
        for tensor in header.tensors
        if tensor.name.startswith("blk.")
    }
    tensors = [*layers.values(), "output_norm.weight"]  # one of each; the output is a layer, too
    counts = Counter(device for name in tensors if (device := place_of(model.handle, name)[1]))
    if any(device not in gpus for device in counts):  # one made up of all, by split_mode tensor
        return [f"{gpu}: a part of {len(tensors)} layers" for gpu in gpus.values()]
    return [f"{gpus[name]}: {count} of {len(tensors)} layers" for name, count in counts.items()]


def _weights(model: Model, header: Header) -> str:
    """The buffer types that hold rearranged weights; empty where all are as in the file."""
    types = probe.with_fast_path(header.tensor_types())
    if not types:
        return ""
    from llmparams_cli.backends.llama.native.breakdown import place_of  # many runs do not need it

    quantised = (tensor.name for tensor in header.tensors if tensor.type.name in types)
    used = {place_of(model.handle, name)[0] for name in quantised}
    return " ".join(name for name in buffers.extra_buffers() if name in used)
