"""The optimiser of PyTorch that a recipe names, and its memory as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmparams_cli.errors import BackendError
from llmparams_cli.training.trainer import Recipe

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    State = Mapping[str, NDArray[float32]]

STEP = "step"
MOMENTS = ("exp_avg", "exp_avg_sq")


class Optimiser:
    """What changes these parameters by their gradients."""

    def __init__(self, parameters: Mapping[str, Any], recipe: Recipe) -> None:
        import torch

        # In the order of the optimiser's groups, by which it numbers them.
        self._names = sorted(parameters, key=lambda name: parameters[name].dim() < 2)
        self._parameters = [parameters[name] for name in self._names]
        self._clip = recipe.clip or float("inf")
        matrices = [each for each in self._parameters if each.dim() > 1]
        others = [each for each in self._parameters if each.dim() < 2]
        decays = ((matrices, recipe.weight_decay), (others, 0.0))
        groups = [{"params": group, "weight_decay": decay} for group, decay in decays if group]
        # In one pass over the memory, where that is possible.
        fused = all(each.device.type in ("cpu", "cuda") for each in self._parameters) or None
        betas = (recipe.beta1, recipe.beta2)
        self._optimiser = (
            torch.optim.AdamW(groups, betas=betas, eps=recipe.epsilon, fused=fused)
            if recipe.optimiser == "adamw"
            else torch.optim.SGD(groups, fused=fused)
        )
        self.done = 0

    def forget(self) -> None:
        """Drop the gradients."""
        self._optimiser.zero_grad()

    def shorten(self) -> float:
        """Clip the gradient, and return how long it was."""
        import torch

        return float(torch.nn.utils.clip_grad_norm_(self._parameters, self._clip))

    def step(self, rate: float) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        self.done += 1

    def state(self) -> dict[str, NDArray[float32]]:
        """Copies of the parameters and of what is remembered of each."""
        import numpy as np

        state = {STEP: np.array([self.done], np.float32)}
        for name, parameter in zip(self._names, self._parameters, strict=True):
            state[name] = _array(parameter)
            remembered = self._optimiser.state.get(parameter, {})
            for moment in MOMENTS:
                if moment in remembered:
                    state[f"{name}.{moment}"] = _array(remembered[moment])
        return state

    def restore(self, state: State) -> None:
        import torch

        self._refuse_other(state)
        self.done = int(state[STEP][0])
        remembered = {}
        with torch.no_grad():
            for index, (name, parameter) in enumerate(
                zip(self._names, self._parameters, strict=True)
            ):
                parameter.copy_(torch.from_numpy(state[name]))
                moments = {
                    moment: torch.tensor(state[f"{name}.{moment}"])
                    for moment in MOMENTS
                    if f"{name}.{moment}" in state
                }
                if moments:
                    remembered[index] = {"step": torch.tensor(float(self.done)), **moments}
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": remembered, "param_groups": groups})

    def _refuse_other(self, state: State) -> None:
        names = {name for name in state if not name.endswith(MOMENTS) and name != STEP}
        shapes = zip(self._names, self._parameters, strict=True)
        if names != set(self._names) or any(
            state[name].shape != parameter.shape for name, parameter in shapes
        ):
            raise BackendError("this state was saved by a run that trains other tensors")


def _array(tensor: Any) -> NDArray[float32]:
    return tensor.detach().cpu().numpy().copy()  # type: ignore[no-any-return]
