"""A `Trainer` on PyTorch: see `training.trainer`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmparams_cli.backends.pytorch.batches import UNLEARNED, Batch, batches
from llmparams_cli.backends.pytorch.libraries import require
from llmparams_cli.errors import BackendError
from llmparams_cli.training.trainer import Loss, Recipe, Row, Step

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from llmparams_cli.training.trainer import Array


def open_trainer(path: Path, recipe: Recipe) -> PyTorchTrainer:
    """An `Opener`. Raises BackendError if the libraries are not installed, too."""
    require()
    with _memory():
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
            self._adapters = adapters.added(loaded, recipe.names, recipe.lora, recipe.seed)
        self._module.to(self._device.name)
        self._optimiser = Optimiser(self._trained(), recipe)
        self._most = self._device.tokens(self._module.config.vocab_size)
        self.how = self._device.how

    def step(self, rows: Sequence[Row], rate: float) -> Step:
        total = sum(row.count for row in rows)
        with _memory():
            try:
                nats = 0.0
                for batch in batches(rows, self._most, self._device.name):
                    loss = self._nats(batch)
                    (loss / total).backward()
                    nats += loss.item()
                norm = self._optimiser.shorten() if total else 0.0
                if total and math.isfinite(nats) and math.isfinite(norm):
                    self._optimiser.step(rate)
            finally:
                self._optimiser.forget()
        return Step(Loss(nats, total), norm)

    def loss(self, rows: Sequence[Row]) -> Loss:
        import torch

        with _memory(), torch.inference_mode():
            found = [
                self._nats(batch).item() for batch in batches(rows, self._most, self._device.name)
            ]
        return Loss(sum(found), sum(row.count for row in rows))

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


@contextmanager
def _memory() -> Iterator[None]:
    """Makes an error with a cure of a lack of memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # Of the processor's memory PyTorch says "can't allocate memory" or "not enough memory".
        text = str(error)
        words = ("out of memory", "allocate memory", "not enough memory")
        if not isinstance(error, MemoryError) and not any(word in text for word in words):
            raise
        raise BackendError(
            "PyTorch ran out of memory",
            "give a smaller --context-size, train fewer tensors, or train an adapter",
        ) from error
