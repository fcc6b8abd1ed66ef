"""The seam between a training run and the library that computes gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from numpy import bool_, float32, int32
    from numpy.typing import NDArray

    Array = NDArray[float32]


@dataclass(frozen=True)
class Row:
    """A piece of text: its `tokens`, and which of them are `learned`, that is predicted from those
    before and counted in the loss. The first never is: nothing is before it.
    """

    tokens: NDArray[int32]
    learned: NDArray[bool_]

    @property
    def count(self) -> int:
        return int(self.learned.sum())


@dataclass(frozen=True)
class Loss:
    """The cross entropy of learned tokens: its sum in nats, and how many they are."""

    nats: float = 0.0
    tokens: int = 0

    @property
    def mean(self) -> float:
        return self.nats / self.tokens

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.nats + other.nats, self.tokens + other.tokens)


@dataclass(frozen=True)
class Step:
    """What one step showed: the loss before it, and the length of the gradient before clipping."""

    loss: Loss
    norm: float


@dataclass(frozen=True)
class Lora:
    """A low-rank adapter beside each matrix: W + alpha/rank · B A (https://arxiv.org/abs/2106.09685).
    A is drawn at random (uniform in ±1/√columns, as torch's kaiming_uniform_ with a=√5), B is zero.
    """

    rank: int
    alpha: float


@dataclass(frozen=True)
class Recipe:
    """How a model learns.

    `size`: the most tokens of a row less one (what the model reads at a time); `names`: the tensors
    that train, or that get an adapter if there is `lora`, by their names in the GGUF file.
    AdamW and SGD (without momentum) are those of torch.optim; `weight_decay` holds for matrices
    alone, not for vectors; a gradient longer than `clip` is shortened to it (0: never).
    `precision` is "f32", "bf16" or "auto": what is faster here.
    """

    size: int
    names: tuple[str, ...]
    lora: Lora | None = None
    optimiser: str = "adamw"
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip: float = 1.0
    precision: str = "auto"
    threads: int = 1
    seed: int = 0


class Trainer(Protocol):
    """A model in memory whose weights change.

    `how` says what computes, for people: "llama.cpp, F32" or "PyTorch, bf16, on cuda".
    Arrays of weights have the values and the layout of the GGUF file: the last axis is the row.
    """

    how: str

    def step(self, rows: Sequence[Row], rate: float) -> Step:
        """One step of the optimiser, by the mean loss over all learned tokens of all rows together,
        however many of them are computed at a time. A loss that is not finite changes nothing.
        """

    def loss(self, rows: Sequence[Row]) -> Loss:
        """The loss of the rows; nothing changes. In inference mode: no dropout."""

    def weights(self) -> Mapping[str, Array]:
        """The tensors of `Recipe.names` as they are now; an adapter is merged into them."""

    def adapter(self) -> Mapping[str, tuple[Array, Array]]:
        """(A, B) by the name of the tensor; empty without `lora`."""

    def state(self) -> Mapping[str, NDArray[float32]]:
        """All that a run needs to go on: what trains, and the optimiser's memory. Copies."""

    def restore(self, state: Mapping[str, NDArray[float32]]) -> None:
        """Go on from such a state, to the same results."""

    def close(self) -> None: ...


class Opener(Protocol):
    def __call__(self, path: Path, recipe: Recipe) -> Trainer:
        """A trainer for a GGUF file, all of whose tensors are F32. Raises BackendError for a model
        that the library cannot train.
        """
