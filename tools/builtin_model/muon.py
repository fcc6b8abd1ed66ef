"""Muon: momentum whose update is made orthogonal, so that every direction learns equally fast.

Matrices of one shape are stacked and treated together, because on a CPU forty small matrix products
cost far more than one batched product of the same size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Executor

import torch
from torch import Tensor

# Coefficients of the quintic iteration by Keller Jordan, which converges in five steps.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz iteration: pulls all singular values of each matrix towards 1."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    is_tall = x.shape[-2] > x.shape[-1]
    if is_tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if is_tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """The optimizer for the matrices of the blocks; the executor updates shapes side by side."""

    def __init__(
        self, matrices: Iterable[Tensor], lr: float, pool: Executor, momentum: float = 0.95
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})
        self.pool = pool

    def step(self) -> None:
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                by_shape[matrix.shape].append(matrix)
            rates = [group["lr"]] * len(by_shape)
            momenta = [group["momentum"]] * len(by_shape)
            # list() waits for the threads and raises what they raised.
            list(self.pool.map(self._update, by_shape.values(), rates, momenta))

    @torch.no_grad()
    def _update(self, matrices: list[Tensor], rate: float, momentum: float) -> None:
        directions = torch.stack([self._direction(matrix, momentum) for matrix in matrices])
        rows, columns = matrices[0].shape
        scale = rate * max(1.0, rows / columns) ** 0.5
        for matrix, update in zip(matrices, orthogonalise(directions), strict=True):
            matrix.add_(update, alpha=-scale)

    def _direction(self, matrix: Tensor, momentum: float) -> Tensor:
        """Nesterov momentum."""
        state = self.state[matrix]
        if "average" not in state:
            state["average"] = torch.zeros_like(matrix)
        average = state["average"].lerp_(matrix.grad, 1 - momentum)
        return matrix.grad.lerp(average, momentum)
