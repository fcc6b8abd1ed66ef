"""How much memory a model and its context will take, asked of llama.cpp itself.

The library can load a model and make a context without allocating (no_alloc): it reads the header,
lays everything out as it would for a real run, and says how large each buffer is. That takes some
hundredths of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from llmparams_cli.backends.llama.host import devices, placement
from llmparams_cli.backends.llama.host.placement import CELLS
from llmparams_cli.backends.llama.native import crash
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.env import Environment
from llmparams_cli.models.cursor import Array
from llmparams_cli.models.gguf import Header, Tensor
from llmparams_cli.models.resolve import GgufModel
from llmparams_cli.params.settings import Settings

HOST = "CPU"  # the computer's own memory, as llama.cpp calls that device
MAPPED = "CPU_Mapped"  # the part of the model file that the system reads and drops as it likes
PROCESS = "process"  # vocabulary, output rows and candidates: no buffers of llama.cpp's
NO_LOADING = 0  # enum llama_load_mode: neither mapped nor locked
BYTES_PER_TOKEN, BYTES_PER_MERGE = 110, 180  # of a vocabulary in memory, measured
BYTES_PER_CANDIDATE = 12  # llama_token_data
KV_STRING, KV_INTEGER = 3, 0  # enum llama_model_kv_override_type


class Share(NamedTuple):
    """Bytes in one kind of buffer. `device` is where they lie: "CPU" (the computer's own memory)
    or a GPU by its name, such as "Vulkan0"; `buffer` is llama.cpp's name for the kind, such as
    "CPU_REPACK" or "Vulkan_Host".
    """

    device: str
    buffer: str
    weights: int = 0
    cache: int = 0
    compute: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.compute


class Estimate(NamedTuple):
    """What a model with one context takes. Sizes are in bytes.

    `layers` of the model's `all_layers` are on GPUs; the output counts as a layer.
    """

    shares: tuple[Share, ...]
    context: int
    layers: int
    all_layers: int

    @property
    def weights(self) -> int:
        return sum(share.weights for share in self.shares)

    @property
    def cache(self) -> int:
        return sum(share.cache for share in self.shares)

    @property
    def compute(self) -> int:
        return sum(share.compute for share in self.shares)

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.compute

    @property
    def mapped(self) -> int:
        """Bytes of the file that are mapped: where memory is short, the system drops them and
        reads them again, which is slow.
        """
        return sum(share.weights for share in self.shares if share.buffer == MAPPED)

    def on(self, device: str) -> int:
        """All bytes on a device, with what is mapped."""
        return sum(share.total for share in self.shares if share.device == device)

    def held(self, device: str, *, weights: bool = True) -> int:
        """The bytes on a device that must stay there; without `weights` only the context's."""
        mine = [share for share in self.shares if share.device == device]
        kept = sum(share.weights for share in mine if weights and share.buffer != MAPPED)
        return kept + sum(share.cache + share.compute for share in mine)

    @property
    def devices(self) -> tuple[str, ...]:
        """The names of the devices in use, the computer's own memory first."""
        return tuple(dict.fromkeys([HOST, *(share.device for share in self.shares)]))


class Simulation:
    """A model that llama.cpp has opened without allocating, with so many layers on GPUs.

    Raises ModelError and BackendError for what a real run would refuse. Close it.
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


def divided(share: Share, gpus: Sequence[str], split: Sequence[float]) -> Iterator[Share]:
    """What each GPU gets of a buffer that split_mode row or tensor spreads over all of them: equal
    parts, or in proportion to `split`. Intermediate results are needed everywhere.
    """
    if share.device in (HOST, *gpus) and not share.buffer.endswith("_Split"):
        yield share
        return
    parts = [*split, *[0.0] * len(gpus)][: len(gpus)] if any(split) else [1.0] * len(gpus)
    for gpu, part in zip(gpus, parts, strict=True):
        weights, cache = (int(size * part / sum(parts)) for size in (share.weights, share.cache))
        yield Share(gpu, share.buffer, weights, cache, share.compute)


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
