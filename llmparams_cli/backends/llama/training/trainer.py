"""A trainer for which llama.cpp computes the gradients, and numpy the steps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmparams_cli.backends.llama.host.buffers import WeightMode
from llmparams_cli.backends.llama.host.trial import model_params
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.native.training import Gradients
from llmparams_cli.errors import BackendError
from llmparams_cli.interrupt import Control
from llmparams_cli.training import lora
from llmparams_cli.training.lora import Pair
from llmparams_cli.training.optimiser import Optimiser, overwrite
from llmparams_cli.training.trainer import Loss, Recipe, Row, Step

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from llmparams_cli.training.trainer import Array

NO_LOADING = 0  # enum llama_load_mode: a mapped file cannot be written to
A, B = "lora_a/", "lora_b/"
# What llama.cpp marks as a parameter (llama_context::opt_init). Token embeddings are not among
# them, and so is an output matrix that is the same tensor.
TRAINABLE = re.compile(
    r"blk\.\d+\.(?!rope_).*|(output|output_norm|token_embd_norm|position_embd|token_types)\.\w+"
)


def trainable(name: str) -> bool:
    """Does llama.cpp compute a gradient by a tensor of this name?"""
    return bool(TRAINABLE.fullmatch(name))


class LlamaTrainer:
    """A Trainer over a GGUF file whose tensors are F32."""

    how = "llama.cpp, F32"

    def __init__(self, path: Path, recipe: Recipe, control: Control | None = None) -> None:
        check(recipe)
        self._recipe = recipe
        self._model = Model(path, _model_params())
        try:
            self.engine = Gradients(
                self._model, recipe.size, recipe.threads, recipe.names, control or Control()
            )
        except BaseException:
            self._model.close()
            raise
        self._weights = self.engine.weights
        self._bases: dict[str, Array] = {}
        self._pairs: dict[str, Pair] = {}
        try:
            self._adapt()
        except BackendError:
            self.close()
            raise
        self._learned = _flat(self._pairs) if recipe.lora else self._weights
        self._optimiser = Optimiser(recipe, self._learned)

    @property
    def vocabulary(self) -> int:
        return self._model.n_vocab

    def step(self, rows: Sequence[Row], rate: float) -> Step:
        total = sum(row.count for row in rows)
        try:
            loss = self._loss(rows, 1 / total if total else 0.0)
            norm = math.nan
            if total and math.isfinite(loss.nats):
                norm = self._optimiser.step(self._gradients(), rate)
                self._merge()
            return Step(loss, norm)
        finally:
            self.engine.clear()

    def loss(self, rows: Sequence[Row]) -> Loss:
        return self._loss(rows, None)

    def weights(self) -> Mapping[str, Array]:
        """Each is copied when it is asked for."""
        return _Copies(self._weights)

    def adapter(self) -> Mapping[str, tuple[Array, Array]]:
        return {name: (pair.a.copy(), pair.b.copy()) for name, pair in self._pairs.items()}

    def state(self) -> Mapping[str, NDArray[float32]]:
        learned = {name: each.copy() for name, each in self._learned.items()}
        return {**learned, **self._optimiser.state()}

    def restore(self, state: Mapping[str, NDArray[float32]]) -> None:
        self._optimiser.restore(state)
        overwrite(self._learned, state)
        self._merge()

    def close(self) -> None:
        self._weights, self._learned, self._bases, self._pairs = {}, {}, {}, {}
        self.engine.close()
        self._model.close()

    def _adapt(self) -> None:
        """Give every matrix its adapter, if adapters are what learns."""
        if not self._recipe.lora:
            return
        for name, weights in self._weights.items():
            if weights.ndim != 2:
                raise BackendError(f"{name} is no matrix: it cannot have an adapter")
            self._pairs[name] = lora.first(self._recipe, self._recipe.lora, name, weights.shape)
            self._bases[name] = weights.copy()

    def _merge(self) -> None:
        if adapter := self._recipe.lora:
            for name, pair in self._pairs.items():
                lora.merge(self._weights[name], self._bases[name], pair, adapter)

    def _loss(self, rows: Sequence[Row], share: float | None) -> Loss:
        loss = Loss()
        for row in rows:
            if count := row.count:
                loss += Loss(self.engine.row(row.tokens, row.learned, share), count)
        return loss

    def _gradients(self) -> Mapping[str, Array]:
        """By what learns."""
        sums, adapter = self.engine.sums, self._recipe.lora
        if not adapter:
            return sums
        return _flat(
            {name: lora.slopes(sums[name], pair, adapter) for name, pair in self._pairs.items()}
        )


class _Copies(Mapping[str, Any]):
    """Arrays that may change or go: each is copied when it is asked for."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name].copy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def check(recipe: Recipe) -> None:
    """Raise BackendError for what llama.cpp cannot do, whatever the model."""
    if recipe.precision == "bf16":
        raise BackendError("llama.cpp trains in F32 only, not in bf16")
    if not recipe.names:
        raise BackendError("nothing to train: no tensor is named")
    if unfit := [name for name in recipe.names if not trainable(name)]:
        raise BackendError(f"llama.cpp cannot train {', '.join(unfit)}")


def _model_params() -> Any:
    params = model_params(WeightMode.PLAIN)
    params.load_mode = NO_LOADING
    return params


def _flat(pairs: Mapping[str, Pair]) -> dict[str, Array]:
    """The matrices of adapters, each under a name of its own."""
    return {
        **{A + name: pair.a for name, pair in pairs.items()},
        **{B + name: pair.b for name, pair in pairs.items()},
    }
