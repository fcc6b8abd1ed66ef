"""A context of a model: the KV cache, the batch, and what is attached to them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from llmparams_cli.backends.llama.native.crash import during
from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.errors import BackendError, ExitCode, ModelError


class Context:
    """The KV cache and the batch of one scheduler. `params` is a llama_context_params.

    `size` is the number of tokens that it may hold (the library rounds its own number up),
    `sequences` how many texts it keeps apart, `sequence_size` how many tokens each of them may
    have, `piece_size` how many tokens are computed at once (n_ubatch), `outputs` how many rows of
    logits a call may ask for. With `shared_cells` all sequences take their cells from one pool.
    """

    def __init__(self, model: Model, params: Any, size: int) -> None:
        lib = llama()
        self.model = model
        log.clear()
        with during(f"making a context of {params.n_ctx} tokens"):
            self.handle = lib.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise BackendError(
                f"no context of {params.n_ctx} tokens for {model.path}: {log.complaint()}",
                "try a smaller --context, or other --cache-type-k, --cache-type-v, "
                "--flash-attention",
            )
        self.memory = lib.llama_get_memory(self.handle)
        if not self.memory:
            raise ModelError(f"{model.path}: this model computes embeddings; it writes no text")
        self.size = min(size, int(lib.llama_n_ctx(self.handle)))
        self.sequences: int = lib.llama_n_seq_max(self.handle)
        self.sequence_size: int = lib.llama_n_ctx_seq(self.handle)
        self.piece_size: int = lib.llama_n_ubatch(self.handle)
        self.outputs: int = params.n_outputs_max
        self.shared_cells = bool(params.kv_unified)
        self.threads: int = params.n_threads
        self.threads_reading: int = params.n_threads_batch
        # Token ids (0: no embeddings), each of one sequence.
        self._batch = lib.llama_batch_init(lib.llama_n_batch(self.handle), 0, 1)
        self._decode = lib.llama_decode
        self._adapters: list[Any] = []

    def decode(self, tokens: Sequence[tuple[int, int, int]], outputs: Iterable[int]) -> bool:
        """Run (token, position, sequence) triples through the model.

        Logits are kept for the rows in `outputs`. False if the abort callback stopped it: the cache
        may then hold a part of the batch.
        """
        batch = self._batch
        batch.n_tokens = len(tokens)
        for row, (token, position, sequence) in enumerate(tokens):
            batch.token[row] = token
            batch.pos[row] = position
            batch.n_seq_id[row] = 1
            batch.seq_id[row][0] = sequence
            batch.logits[row] = 0
        for row in outputs:
            batch.logits[row] = 1
        code = self._decode(self.handle, batch)
        # llama_decode: 0 done, 2 aborted; 1 (no free cells) should not come up, as callers look
        # for room first.
        if code not in (0, 2):
            raise BackendError(f"llama_decode failed with code {code}: {log.complaint()}")
        return bool(code == 0)

    def use_threads(self, count: int, reading: int) -> None:
        """Let so many threads compute rows, and so many prompts, from the next call on."""
        if (count, reading) != (self.threads, self.threads_reading):
            self.threads, self.threads_reading = count, reading
            llama().llama_set_n_threads(self.handle, count, reading)

    def trim(self, sequence: int, position: int) -> bool:
        """Drop a sequence from `position` on. False where the model's memory cannot (a
        recurrent state knows no positions): then all of the sequence is gone.
        """
        lib = llama()
        if lib.llama_memory_seq_rm(self.memory, sequence, position, -1):
            return True
        # Removing a whole sequence never fails.
        lib.llama_memory_seq_rm(self.memory, sequence, -1, -1)
        return False

    def copy(self, source: int, sequence: int) -> None:
        """Let `sequence` hold all that `source` holds, too."""
        llama().llama_memory_seq_cp(self.memory, source, sequence, -1, -1)

    def drop(self, sequence: int) -> None:
        """Forget a whole sequence."""
        llama().llama_memory_seq_rm(self.memory, sequence, -1, -1)

    def clear(self) -> None:
        """Forget all sequences."""
        llama().llama_memory_clear(self.memory, False)

    def synchronize(self) -> None:
        """Wait until all that was begun is computed: a GPU works on after a call."""
        llama().llama_synchronize(self.handle)

    def state_size(self, sequence: int) -> int:
        """How many bytes the state of a sequence has."""
        return int(llama().llama_state_seq_get_size(self.handle, sequence))

    def state(self, sequence: int) -> bytearray:
        """All that a sequence holds, as the library writes it (see the module `state`). Empty
        if it cannot.
        """
        lib = llama()
        with during("copying the state of a sequence"):
            data = bytearray(self.state_size(sequence))
            buffer = (ctypes.c_uint8 * len(data)).from_buffer(data)
            written = lib.llama_state_seq_get_data(self.handle, buffer, len(data), sequence)
        return data if written == len(data) else bytearray()

    def set_state(self, sequence: int, data: bytearray, end: int) -> bool:
        """Let a sequence hold this instead, which are tokens up to before position `end`. If the
        library refuses it, it is false, and the sequence is empty.
        """
        lib = llama()
        buffer = (ctypes.c_uint8 * len(data)).from_buffer(data)
        with during("restoring the state of a sequence"):
            read = lib.llama_state_seq_set_data(self.handle, buffer, len(data), sequence)
        places = (
            lib.llama_memory_seq_pos_min(self.memory, sequence),
            lib.llama_memory_seq_pos_max(self.memory, sequence),
        )
        if read == len(data) and places == (0, end - 1):
            return True
        self.drop(sequence)
        return False

    def logits(self, row: int) -> Any:
        """Pointer to the n_vocab logits of output `row` of the last batch."""
        return llama().llama_get_logits_ith(self.handle, row)

    def attach_adapters(self, adapters: Sequence[tuple[Path, float]]) -> None:
        """Put LoRA adapters on the model: (file, scale) pairs."""
        if not adapters:
            return
        lib = llama()
        for path, _ in adapters:
            with during(f"loading {path}", ExitCode.MODEL):
                adapter = lib.llama_adapter_lora_init(self.model.handle, os.fsencode(path))
            if not adapter:
                raise ModelError(f"{path}: not an adapter for this model: {log.complaint()}")
            self._adapters.append(adapter)
        count = len(adapters)
        handles = (lib.llama_adapter_lora_p_ctypes * count)(*self._adapters)
        scales = (ctypes.c_float * count)(*(scale for _, scale in adapters))
        lib.llama_set_adapters_lora(self.handle, handles, count, scales)

    def close(self) -> None:
        if self.handle:
            lib = llama()
            lib.llama_batch_free(self._batch)
            lib.llama_free(self.handle)  # the model frees its adapters itself
            self.handle = None
