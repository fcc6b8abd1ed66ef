"""A loaded model and its context: the owners of llama.cpp's handles."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from llmparams_cli.backends.llama.native.crash import during
from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.errors import BackendError, ExitCode, ModelError
from llmparams_cli.text.spelling import spelled

# LLAMA_TOKEN_ATTR_UNKNOWN and _CONTROL: what llama_tokenize reads only with parse_special
ATTR_SPECIAL = 1 << 0 | 1 << 3
IMPOSSIBLE = -1000.0  # a logit so far below the best that its weight is 0 in any precision


class Model:
    """Weights and vocabulary. `params` is a llama_model_params."""

    def __init__(self, path: Path, params: Any) -> None:
        lib = llama()
        self.path = path
        log.lines.clear()
        with during(f"loading {path}", ExitCode.MODEL):
            self.handle = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise ModelError(f"{path}: llama.cpp cannot load it: {log.complaint()}")
        self.vocab = lib.llama_model_get_vocab(self.handle)
        self.n_vocab: int = lib.llama_vocab_n_tokens(self.vocab)
        self._pieces: dict[int, bytes] = {}

    @cached_property
    def trained_context(self) -> int:
        return int(llama().llama_model_n_ctx_train(self.handle))

    def tokenize(self, text: str, *, special: bool = False, begin: bool = False) -> list[int]:
        """Token ids of `text`; `special` reads control tokens, `begin` adds BOS and EOS
        where the vocabulary asks for them.
        """
        data = text.encode("utf-8", "surrogatepass")
        size = len(data) + 2
        buffer = (ctypes.c_int32 * size)()
        count = llama().llama_tokenize(self.vocab, data, len(data), buffer, size, begin, special)
        if count < 0:
            raise BackendError(f"llama_tokenize failed on {len(data)} bytes of text")
        return buffer[:count]

    def piece(self, token: int) -> bytes:
        """The bytes that `token` stands for in the answer; none for control tokens."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._to_piece(token, special=False)
        return piece

    def name(self, token: int) -> str:
        """How to show `token` to people: control tokens by their names, parts of characters by
        their bytes.
        """
        return spelled(self._to_piece(token, special=True))

    def _to_piece(self, token: int, special: bool) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = llama().llama_token_to_piece(self.vocab, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def is_control(self, token: int) -> bool:
        return bool(llama().llama_vocab_get_attr(self.vocab, token) & ATTR_SPECIAL)

    def ends_generation(self, token: int) -> bool:
        return bool(llama().llama_vocab_is_eog(self.vocab, token))

    @cached_property
    def end_tokens(self) -> list[int]:
        """All tokens that end a generation (EOS, EOT, …)."""
        return [token for token in range(self.n_vocab) if self.ends_generation(token)]

    @cached_property
    def suppressed_tokens(self) -> list[int]:
        """Tokens that the model's file says must never be generated."""
        count = ctypes.c_int32()
        tokens = llama().llama_vocab_get_suppress_tokens(self.vocab, ctypes.byref(count))
        return tokens[: count.value] if count.value else []

    @cached_property
    def begin_token(self) -> int | None:
        """BOS, when the vocabulary says that every text begins with it."""
        lib = llama()
        token = int(lib.llama_vocab_bos(self.vocab))
        return token if token >= 0 and lib.llama_vocab_get_add_bos(self.vocab) else None

    def special_text(self, which: str) -> str:
        """The text of 'bos' or 'eos', empty when there is none."""
        token = getattr(llama(), f"llama_vocab_{which}")(self.vocab)
        return self.name(token) if token >= 0 else ""

    def close(self) -> None:
        if self.handle:
            llama().llama_model_free(self.handle)
            self.handle = None


class Context:
    """The KV cache and the batch of one decode loop. `params` is a llama_context_params.

    `size` is the number of tokens it may hold, the library rounds its own number up;
    `sequences` is how many texts may share them, `sequence_size` what each of them may take.
    """

    def __init__(self, model: Model, params: Any, size: int) -> None:
        lib = llama()
        self.model = model
        log.lines.clear()
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
        self.batch_size: int = lib.llama_n_batch(self.handle)
        self._batch = lib.llama_batch_init(self.batch_size, 0, 1)
        self._decode = lib.llama_decode
        self._adapters: list[Any] = []

    def decode(self, tokens: Sequence[tuple[int, int, int]], outputs: Iterable[int]) -> bool:
        """Run (token, position, sequence) triples through the model.

        Logits are kept for the rows in `outputs`. False when it was interrupted.
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
        if code not in (0, 2):
            raise BackendError(f"llama_decode failed with code {code}: {log.complaint()}")
        return bool(code == 0)

    def prefill(
        self,
        tokens: Sequence[int],
        progress: Callable[[int], None],
        cached: int = 0,
        sequence: int = 0,
    ) -> bool:
        """Run a prompt, but for what is cached of it; logits for its last token. False when
        interrupted.
        """
        for start in range(cached, len(tokens), self.batch_size):
            part = tokens[start : start + self.batch_size]
            rows = [(token, start + i, sequence) for i, token in enumerate(part)]
            last = start + len(part) == len(tokens)
            if not self.decode(rows, [len(part) - 1] if last else []):
                return False
            progress(start + len(part))
        return True

    def held(self) -> int:
        """How many tokens of sequence 0 are in the cache."""
        return int(llama().llama_memory_seq_pos_max(self.memory, 0)) + 1

    def forget_from(self, position: int) -> bool:
        """Drop sequence 0 from `position` on. False where a model's memory cannot (a
        recurrent state knows no positions): then all of it is gone.
        """
        lib = llama()
        if lib.llama_memory_seq_rm(self.memory, 0, position, -1):
            return True
        lib.llama_memory_clear(self.memory, True)
        return False

    def copy(self, source: int, sequence: int) -> None:
        """Let a sequence hold all that another one holds."""
        llama().llama_memory_seq_cp(self.memory, source, sequence, -1, -1)

    def drop(self, sequence: int) -> None:
        """Forget a whole sequence."""
        llama().llama_memory_seq_rm(self.memory, sequence, -1, -1)

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
                adapter = lib.llama_adapter_lora_init(self.model.handle, str(path).encode())
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
            lib.llama_free(self.handle)
            self.handle = None


class Distribution:
    """The softmax of raw logits (pointer to `size` floats); `entropy` is in bits.

    In single precision: numpy's pairwise sums keep six digits of a vocabulary of 150,000.
    """

    def __init__(self, logits: Any, size: int) -> None:
        import numpy as np

        values = np.ctypeslib.as_array(logits, shape=(size,))
        self._shifted = values - values.max()
        weights = np.exp(self._shifted)
        total = float(weights.sum())
        self._log_total = math.log(total)
        finite = np.maximum(self._shifted, IMPOSSIBLE)  # 0 x -inf is no number
        mean = float(np.dot(weights, finite)) / total
        self.entropy = max(0.0, (self._log_total - mean) / math.log(2))

    def logprob(self, token: int) -> float:
        """Natural logarithm of the token's probability."""
        return float(self._shifted[token]) - self._log_total

    def best(self, count: int) -> list[int]:
        """The `count` most probable tokens, the best first."""
        import numpy as np

        count = min(count, len(self._shifted))
        best = np.argpartition(-self._shifted, range(count))[:count] if count else ()
        return [int(token) for token in best]

    def __contains__(self, token: int) -> bool:
        return 0 <= token < len(self._shifted)
