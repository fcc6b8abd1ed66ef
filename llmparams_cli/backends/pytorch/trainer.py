"""A `Trainer` on PyTorch: see `training.trainer`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmparams_cli.backends.pytorch.batches import UNLEARNED, Batch, batches
from llmparams_cli.backends.pytorch.libraries import require
from llmparams_cli.backends.pytorch.memory import OutOfMemory, watched
from llmparams_cli.errors import BackendError
from llmparams_cli.training.trainer import Loss, Recipe, Row, Step

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from llmparams_cli.training.trainer import Array

Result = TypeVar("Result")


def open_trainer(path: Path, recipe: Recipe) -> PyTorchTrainer:
    """An `Opener`. Raises BackendError if the libraries are not installed, too."""
    require()
    with watched():
        return PyTorchTrainer(path, recipe)


class PyTorchTrainer:
    """A model of transformers', of which the tensors that a recipe names learn."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        from llmparams_cli.backends.pytorch import adapters, device, model
        from llmparams_cli.backends.pytorch.optimiser import Optimiser

        self._device = device.chosen(recipe)
        loaded = model.load(path)
        if missing := [name for name in recipe.names if name not in loaded.weights]:
            raise BackendError(f"PyTorch's engine cannot train {missing[0]!r}")
        # Always: training mode would add dropout, and nothing else.
        self._module: Any = loaded.module.eval().requires_grad_(False)
        self._weights = {name: loaded.weights[name] for name in recipe.names}
        self._adapters: Mapping[str, adapters.Adapter] = {}
        if recipe.lora:
            self._adapters = adapters.added(loaded, recipe, recipe.lora)
        self._module.to(self._device.name)
        self._optimiser = Optimiser(self._trained(), recipe)
        self._most = self._device.tokens(self._module.config.vocab_size)
        self.how = self._device.how

    def step(self, rows: Sequence[Row], rate: float) -> Step:
        return self._fitting(rows, lambda: self._step(rows, rate))

    def loss(self, rows: Sequence[Row]) -> Loss:
        return self._fitting(rows, lambda: self._loss(rows))

    def weights(self) -> Mapping[str, Array]:
        if self._adapters:
            return {name: adapter.merged() for name, adapter in self._adapters.items()}
        return {name: weight.array() for name, weight in self._weights.items()}

    def adapter(self) -> Mapping[str, tuple[Array, Array]]:
        return {name: adapter.arrays() for name, adapter in self._adapters.items()}

    def state(self) -> Mapping[str, NDArray[float32]]:
        return self._optimiser.state()

    def restore(self, state: Mapping[str, NDArray[float32]]) -> None:
        self._optimiser.restore(state)

    def close(self) -> None:
        import torch

        self._module = self._optimiser = None  # type: ignore[assignment]
        self._weights, self._adapters = {}, {}
        if self._device.name == "cuda":
            torch.cuda.empty_cache()

    def _fitting(self, rows: Sequence[Row], compute: Callable[[], Result]) -> Result:
        """What this computes, with fewer rows at a time if it does not fit into memory."""
        while True:
            try:
                with watched():
                    return compute()
            except OutOfMemory:
                if self._most < 2 * max(len(row.tokens) for row in rows):
                    raise
                self._most //= 2

    def _step(self, rows: Sequence[Row], rate: float) -> Step:
        total = sum(row.count for row in rows)
        nats = norm = 0.0
        try:
            for batch in batches(rows, self._most, self._device.name):
                loss = self._nats(batch)
                (loss / total).backward()
                nats += loss.item()
            if total:
                norm = self._optimiser.shorten()
                if math.isfinite(nats) and math.isfinite(norm):
                    self._optimiser.step(rate)
        finally:
            self._optimiser.forget()
        return Step(Loss(nats, total), norm)

    def _loss(self, rows: Sequence[Row]) -> Loss:
        import torch

        with torch.inference_mode():
            nats = [self._nats(b).item() for b in batches(rows, self._most, self._device.name)]
        return Loss(sum(nats), sum(row.count for row in rows))

    def _trained(self) -> dict[str, Any]:
        """The parameters that learn, by the names that a state has for them."""
        if not self._adapters:
            parameters = {name: weight.parameter for name, weight in self._weights.items()}
        else:
            parameters = {
                f"{name}.lora_{side}": parameter
                for name, adapter in self._adapters.items()
                for side, parameter in (("a", adapter.a), ("b", adapter.b))
            }
        for parameter in parameters.values():
            parameter.requires_grad_(True)
        return parameters

    def _nats(self, batch: Batch) -> Any:
        """The cross entropy of what is learned of these rows, summed up."""
        from torch.nn.functional import cross_entropy

        with self._device.autocast():
            # Logits are a large part of the memory: only those that are wanted.
            logits = self._module(
                input_ids=batch.tokens, use_cache=False, logits_to_keep=batch.places
            ).logits
        return cross_entropy(
            logits.float().flatten(0, 1),
            batch.targets.flatten(),
            ignore_index=UNLEARNED,
            reduction="sum",
        )
