"""Low-rank adapters, by the library peft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmparams_cli.backends.pytorch.libraries import quiet
from llmparams_cli.backends.pytorch.model import Model, Weight
from llmparams_cli.errors import BackendError
from llmparams_cli.training.lora import first
from llmparams_cli.training.trainer import Lora, Recipe

if TYPE_CHECKING:
    from llmparams_cli.training.trainer import Array

NAME = "default"  # peft's, for the one adapter that there is


@dataclass(frozen=True)
class Adapter:
    """The adapter of one matrix: parameters A and B, and what their product is multiplied by."""

    weight: Weight
    a: Any
    b: Any
    scale: float

    def arrays(self) -> tuple[Array, Array]:
        """A and B, whose rows are in the order of the file's."""
        return _array(self.a), self.weight.way.rows(_array(self.b)).copy()

    def merged(self) -> Array:
        a, b = self.arrays()
        # Before the first step B is zero; to add that would turn -0.0 into 0.0.
        return self.weight.array() + self.scale * (b @ a) if b.any() else self.weight.array()


def added(model: Model, recipe: Recipe, lora: Lora) -> dict[str, Adapter]:
    """Put an adapter beside each tensor of the recipe: the only parameters that train from here on.
    Raises BackendError for a tensor that cannot have one.
    """
    from peft import LoraConfig, get_peft_model

    weights = [model.weights[name] for name in recipe.names]
    for weight in weights:
        _refuse_without_product(model, weight)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=[weight.module for weight in weights],
        lora_dropout=0.0,
    )
    with quiet():
        adapted = get_peft_model(model.module, config)
    layers: Mapping[str, Any] = dict(adapted.base_model.model.named_modules())
    return {weight.name: _begun(weight, layers[weight.module], recipe, lora) for weight in weights}


def _begun(weight: Weight, layer: Any, recipe: Recipe, lora: Lora) -> Adapter:
    """The adapter of a layer, begun as any engine would."""
    import torch

    a, b = layer.lora_A[NAME].weight, layer.lora_B[NAME].weight
    with torch.no_grad():
        a.copy_(torch.from_numpy(first(recipe, lora, weight.name, weight.shape).a))
    return Adapter(weight, a, b, layer.scaling[NAME])


def _refuse_without_product(model: Model, weight: Weight) -> None:
    import torch
    from transformers.pytorch_utils import Conv1D

    module = model.module.get_submodule(weight.module)
    if not isinstance(module, (torch.nn.Linear, Conv1D)) or weight.name.endswith(".bias"):
        raise BackendError(f"no adapter is possible for {weight.name!r}: it multiplies nothing")


def _array(parameter: Any) -> Array:
    return parameter.detach().cpu().numpy().copy()  # type: ignore[no-any-return]
