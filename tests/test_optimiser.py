"""The optimiser's numbers: by hand, and beside torch where that is installed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmparams_cli.errors import BackendError
from llmparams_cli.training.optimiser import SLICE, Optimiser, length
from llmparams_cli.training.trainer import Recipe

SHAPES = {"matrix": (3, 5), "vector": (7,), "large": (2, SLICE - 1)}


def recipe(**values):
    return Recipe(size=1, names=(), **values)


def arrays(seed, scale=1.0):
    random = np.random.default_rng(seed)
    return {
        name: (scale * random.standard_normal(shape)).astype(np.float32)
        for name, shape in SHAPES.items()
    }


def test_adamw_by_hand():
    weights = {"w": np.array([[1.0, -2.0]], np.float32)}
    optimiser = Optimiser(recipe(weight_decay=0.1, clip=0), weights)
    optimiser.step({"w": np.array([[0.5, -0.25]], np.float32)}, 0.01)
    # The first step is one of `rate` against the sign, whatever the gradient's length.
    assert weights["w"][0] == pytest.approx([1 * 0.999 - 0.01, -2 * 0.999 + 0.01], rel=1e-6)
    optimiser.step({"w": np.array([[-1.0, 0.75]], np.float32)}, 0.01)
    mean = (0.9 * 0.05 - 0.1) / (1 - 0.9**2)
    square = (0.999 * 0.00025 + 0.001) / (1 - 0.999**2)
    expected = 0.989 * 0.999 - 0.01 * mean / (math.sqrt(square) + 1e-8)
    assert weights["w"][0, 0] == pytest.approx(expected, rel=1e-6)


def test_sgd_by_hand():
    weights = {"w": np.array([[2.0]], np.float32), "v": np.array([2.0], np.float32)}
    optimiser = Optimiser(recipe(optimiser="sgd", weight_decay=0.5, clip=0), weights)
    optimiser.step({"w": np.array([[3.0]], np.float32), "v": np.array([4.0], np.float32)}, 0.1)
    assert weights["w"][0, 0] == pytest.approx(2 - 0.1 * (3 + 0.5 * 2))
    assert weights["v"][0] == pytest.approx(2 - 0.1 * 4)  # a vector does not decay


def test_a_long_gradient_is_shortened():
    weights = {"w": np.zeros(2, np.float32)}
    optimiser = Optimiser(recipe(optimiser="sgd", clip=1.0), weights)
    assert optimiser.step({"w": np.array([30.0, 40.0], np.float32)}, 1.0) == pytest.approx(50)
    assert weights["w"] == pytest.approx([-0.6, -0.8])
    assert optimiser.step({"w": np.array([0.3, 0.4], np.float32)}, 1.0) == pytest.approx(0.5)
    assert weights["w"] == pytest.approx([-0.9, -1.2])


def test_the_length_is_that_of_all_arrays_together():
    gradients = arrays(1)
    whole = np.concatenate([each.reshape(-1) for each in gradients.values()])
    assert length(gradients) == pytest.approx(float(np.linalg.norm(whole)), rel=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_a_gradient_that_is_not_finite_changes_nothing(value):
    weights = arrays(0)
    optimiser = Optimiser(recipe(), weights)
    optimiser.step(arrays(1), 0.01)
    before = {name: each.copy() for name, each in weights.items()} | optimiser.state()
    gradients = arrays(2)
    gradients["large"][1, -1] = value  # 1e30: its square is not finite
    assert not math.isfinite(optimiser.step(gradients, 0.01))
    for name, each in (weights | optimiser.state()).items():
        assert np.array_equal(each, before[name]), name


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_a_restored_state_goes_on_to_the_same_bits(kind):
    weights = arrays(0)
    optimiser = Optimiser(recipe(optimiser=kind), weights)
    for seed in (1, 2):
        optimiser.step(arrays(seed), 0.01)
    copy, state = {name: each.copy() for name, each in weights.items()}, optimiser.state()
    other = Optimiser(recipe(optimiser=kind), copy)
    other.restore(state)
    for seed in (3, 4):
        optimiser.step(arrays(seed), 0.02)
        other.step(arrays(seed), 0.02)
    for name, each in weights.items():
        assert np.array_equal(each, copy[name]), name


def test_a_state_of_other_shapes_is_refused():
    optimiser = Optimiser(recipe(), arrays(0))
    state = optimiser.state()
    state["optimiser/mean/vector"] = np.zeros(3, np.float32)
    with pytest.raises(BackendError, match="optimiser/mean/vector"):
        optimiser.restore(state)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_the_numbers_are_those_of_torch(kind):
    torch = pytest.importorskip("torch")
    weights = arrays(0)
    theirs = {name: torch.tensor(each, requires_grad=True) for name, each in weights.items()}
    ours = Optimiser(recipe(optimiser=kind, weight_decay=0.1, clip=1.0, beta2=0.95), weights)
    groups = [
        {"params": [each for each in theirs.values() if each.ndim > 1], "weight_decay": 0.1},
        {"params": [each for each in theirs.values() if each.ndim == 1], "weight_decay": 0.0},
    ]
    make = {
        "adamw": lambda: torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.95)),
        "sgd": lambda: torch.optim.SGD(groups, lr=1.0),
    }
    optimiser = make[kind]()
    for seed in range(1, 9):
        rate, gradients = 0.1 / seed, arrays(seed, scale=10.0**-seed)
        for name, each in gradients.items():
            theirs[name].grad = torch.tensor(each)
        for group in optimiser.param_groups:
            group["lr"] = rate
        norm = torch.nn.utils.clip_grad_norm_(theirs.values(), 1.0)
        optimiser.step()
        assert ours.step(gradients, rate) == pytest.approx(float(norm), rel=1e-5)
    for name, each in weights.items():
        assert np.allclose(each, theirs[name].detach().numpy(), rtol=1e-5, atol=1e-6), name
