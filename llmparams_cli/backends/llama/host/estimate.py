"""How much memory a model and its context will take, asked of llama.cpp itself.

The library can load a model and make a context without allocating (no_alloc): it reads the header,
lays everything out as it would for a real run, and says how large each buffer is. That takes some
hundredths of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from llmparams_cli.backends.llama.host import devices, placement
from llmparams_cli.backends.llama.host.placement import CELLS
from llmparams_cli.backends.llama.host.shares import (
    HOST,
    MAPPED,
    PROCESS,
    Estimate,
    Share,
    divided,
    extended,
)
from llmparams_cli.backends.llama.native import crash
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError
from llmparams_cli.models.cursor import Array
from llmparams_cli.models.ggml_types import TENSOR_TYPES_BY_NAME
from llmparams_cli.models.gguf import Header, Tensor
from llmparams_cli.models.resolve import GgufModel
from llmparams_cli.params.settings import Settings
from llmparams_cli.text.units import size_text

# In one simulation: llama.cpp keeps books on every cell, 80 bytes each, and really allocates them.
MOST_CELLS = 1 << 21
NO_LOADING = 0  # enum llama_load_mode: neither mapped nor locked
BYTES_PER_TOKEN, BYTES_PER_MERGE = 110, 180  # of a vocabulary in memory, measured
BYTES_PER_CANDIDATE = 12  # llama_token_data
SMALLER_CONTEXT = "a smaller --context, or --cache-type-k q8_0 --cache-type-v q8_0"
KV_STRING, KV_INTEGER = 3, 0  # enum llama_model_kv_override_type


class Simulation:
    """A model that llama.cpp has opened without allocating, with so many layers on GPUs.

    Raises ModelError and BackendError for what a real run would refuse. Close it. Where several
    GPUs have all layers and work as a pipeline, llama.cpp counts four copies of a layer's output
    that it does not make in the end: megabytes.
    """

    def __init__(self, env: Environment, model: GgufModel, settings: Settings, layers: int) -> None:
        crash.guard()
        self._header = model.header
        self._mmap = bool(settings["mmap"])
        self._layers = layers
        self._gpus = [gpu.name for gpu in devices.gpus()] if layers else []
        self._split: list[float] = settings["tensor_split"]
        params = placement.model_params(env, settings, model.header, layers, lambda _: True)
        params.no_alloc, params.load_mode = True, NO_LOADING
        params.kv_overrides = _without_vocabulary(model.header)
        with log.hidden():
            self._model = Model(model.path, params)

    def estimate(
        self, settings: Settings, context: int, sequences: int = 1, *, shared: bool = True
    ) -> Estimate:
        """The memory for a context of so many cells; the settings of scope 'load' are ignored."""
        if long := too_long(self._header, settings, context, self._gpus):
            raise BackendError(f"context {context} needs {long}", SMALLER_CONTEXT)
        if context <= MOST_CELLS:
            return self._simulated(settings, context, sequences, shared)
        half, whole = (
            self._simulated(settings, cells, sequences, shared)
            for cells in (MOST_CELLS // 2, MOST_CELLS)
        )
        return extended(half, whole, context)

    def _simulated(
        self, settings: Settings, context: int, sequences: int, shared: bool
    ) -> Estimate:
        from llmparams_cli.backends.llama.native.breakdown import buffers  # most runs need none

        params = placement.context_params(settings, context, sequences, shared=shared)
        with log.hidden():
            made = Context(self._model, params, context)
        try:
            found = buffers(made.handle)
        finally:
            made.close()
        count = self._header.block_count + 1
        layers = count if self._layers < 0 else min(self._layers, count)
        if found is None:
            return bound(self._header, settings, context, sequences)
        shares = [*self._shares(found), _process(self._header, sequences)]
        return Estimate(tuple(shares), made.size, layers, count)

    def close(self) -> None:
        self._model.close()

    def _shares(self, found: Iterable[tuple[str, str | None, int, int, int]]) -> Iterator[Share]:
        for name, device, weights, cache, compute in found:
            # Plain weights are not copied, but used where the file is mapped.
            if weights and self._mmap and device is None and _is_plain(name):
                yield Share(HOST, MAPPED, weights=self._mapped() or weights)
                weights = 0
            if weights or cache or compute:
                share = Share(device or HOST, name, weights, cache, compute)
                yield from divided(share, self._gpus, self._split)

    def _mapped(self) -> int:
        """Bytes of the file from the first to the last tensor that is used where it lies."""
        size = 0
        for tensors in _by_file(self._header.tensors):
            used = [tensor for tensor in tensors if self._is_mapped(tensor)]
            if used:
                size += used[-1].offset + used[-1].bytes - used[0].offset
        return size

    def _is_mapped(self, tensor: Tensor) -> bool:
        from llmparams_cli.backends.llama.native.breakdown import place_of

        # The embedding of tokens may be there twice; its rows are always looked up in the file.
        if tensor.name == "token_embd.weight":
            return True
        return _is_plain(place_of(self._model.handle, tensor.name)[0])


def too_long(header: Header, settings: Settings, context: int, gpus: Iterable[str]) -> str:
    """Why a GPU cannot hold the cache of a layer for so many tokens, in words; empty if all can."""
    lengths = {"cache_type_k": header.key_length, "cache_type_v": header.value_length}
    sizes = [
        TENSOR_TYPES_BY_NAME[settings[name].upper()].bytes_for(length * header.head_count_kv)
        for name, length in lengths.items()
    ]
    size = context * max(sizes)
    for gpu in gpus:
        if not devices.holds_tensor(gpu, size):
            return f"{size_text(size)} in one piece for a layer's cache, too long for {gpu}"
    return ""


def bound(header: Header, settings: Settings, context: int, sequences: int) -> Estimate:
    """A rough upper bound, from the header alone: all in the computer's own memory."""
    per_token = header.kv_bytes_per_token(settings["cache_type_k"], settings["cache_type_v"])
    piece = min(settings["ubatch_size"], context)
    context = -(-context // CELLS) * CELLS
    # The largest intermediate results: attention without its fast form, a layer, the logits.
    attention = 2 * header.head_count * context
    layer = 8 * (header.embedding_length + header.hyperparameter("ssm.inner_size"))
    experts = max(1, header.hyperparameter("expert_used_count"))
    layer += 4 * experts * header.hyperparameter("feed_forward_length")
    compute = 4 * (piece * (attention + layer) + sequences * header.vocabulary_size)
    cache = context * per_token + sequences * header.block_count * _state_bytes(header)
    share = Share(HOST, HOST, 2 * header.size, cache, compute)
    return Estimate((share, _process(header, sequences)), context, 0, header.block_count + 1)


def _state_bytes(header: Header) -> int:
    """Bytes of a recurrent layer's state (llama_hparams::n_embd_r, n_embd_s)."""
    inner = header.hyperparameter("ssm.inner_size")
    scan = inner * (
        header.hyperparameter("ssm.state_size") + header.hyperparameter("ssm.conv_kernel")
    )
    return 4 * (scan + header.embedding_length * header.hyperparameter("wkv.head_size"))


def _process(header: Header, sequences: int) -> Share:
    merges = header.metadata.get("tokenizer.ggml.merges")
    vocabulary = BYTES_PER_TOKEN * header.vocabulary_size
    if isinstance(merges, (list, Array)):
        vocabulary += BYTES_PER_MERGE * len(merges)
    rows = sequences * header.vocabulary_size * (4 + BYTES_PER_CANDIDATE)
    return Share(HOST, PROCESS, compute=vocabulary + rows)


def _is_plain(buffer: str) -> bool:
    """Does a kind of buffer hold weights as they are in the file, for the CPU to read?"""
    return buffer == HOST or buffer.endswith("_Host")


def _by_file(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors of each of the files of a model: offsets begin at 0 in each."""
    file = 0

    def number(tensor: Tensor) -> int:
        nonlocal file
        file += tensor.offset == 0
        return file

    return (list(group) for _, group in groupby(tensors, number))


def _without_vocabulary(header: Header) -> Any:
    """llama_model_params.kv_overrides that spare reading the vocabulary, which takes longest."""
    overrides = (llama().llama_model_kv_override * 3)()  # an empty one ends the list
    values: Mapping[str, str | int] = {
        "tokenizer.ggml.model": "no_vocab",
        f"{header.architecture[:100]}.vocab_size": header.vocabulary_size,
    }
    for override, (key, value) in zip(overrides, values.items(), strict=False):
        override.key = key.encode()
        if isinstance(value, str):
            override.tag, override.value.val_str = KV_STRING, value.encode()
        else:
            override.tag, override.value.val_i64 = KV_INTEGER, value
    return overrides
