"""Training by llama.cpp's gradients: their numbers, what counts, what llama.cpp cannot train."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import write_llama, write_mamba

from llmparams_cli.backends.llama.training.opening import refusal
from llmparams_cli.backends.llama.training.trainer import LlamaTrainer
from llmparams_cli.backends.llama.training.trial import foretells
from llmparams_cli.backends.llama.weights import open_trainer, trainable
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError
from llmparams_cli.interrupt import Control
from llmparams_cli.models.gguf import read_header
from llmparams_cli.training.trainer import Lora, Loss, Recipe, Row

SHAPE = {"layers": 2, "width": 32, "feed_forward": 48, "vocabulary": 300}
Q, DOWN, NORM = "blk.0.attn_q.weight", "blk.1.ffn_down.weight", "blk.0.attn_norm.weight"
Opened = Callable[..., LlamaTrainer]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("trained") / "tiny.gguf", **SHAPE)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def names(path: Path) -> tuple[str, ...]:
    found = (tensor.name for tensor in read_header(path).tensors)
    return tuple(name for name in found if trainable(name))


@pytest.fixture
def opened(path: Path) -> Iterator[Opened]:
    """Opens trainers of the model, for some tensors of it."""
    trainers = []

    def open_one(*names: str, **values: Any) -> LlamaTrainer:
        recipe = Recipe(size=24, names=names, **{"clip": 0, "threads": 1, **values})
        trainers.append(LlamaTrainer(path, recipe))
        return trainers[-1]

    yield open_one
    for trainer in trainers:
        trainer.close()


def row(seed: int, count: int, share: float = 1.0) -> Row:
    """A random text of so many tokens, of which a share is learned."""
    random = np.random.default_rng(seed)
    learned = random.random(count) < share
    learned[0] = False
    return Row(random.integers(0, SHAPE["vocabulary"], count).astype(np.int32), learned)


ROWS = (row(1, 25, 0.5), row(2, 9), row(3, 17, 0.2))


def gradient(trainer: LlamaTrainer, *rows: Row) -> dict[str, Any]:
    """Of the mean loss, from a step of SGD with rate 1; what learns is as before afterwards."""
    before = dict(trainer.state())
    trainer.step(rows, 1.0)
    after = trainer.state()
    trainer.restore(before)
    return {name: before[name] - after[name] for name in before if "optimiser" not in name}


def slope(trainer: LlamaTrainer, name: str, direction: Any, rows: Any = ROWS) -> float:
    """How the mean loss changes in a direction, by two losses."""
    before, losses = dict(trainer.state()), []
    for step in (0.01, -0.01):
        trainer.restore({**before, name: before[name] + np.float32(step) * direction})
        losses.append(trainer.loss(rows).mean)
    trainer.restore(before)
    return (losses[0] - losses[1]) / 0.02


def test_gradients_are_what_the_loss_does(opened, names) -> None:
    trainer = opened(*names, optimiser="sgd", weight_decay=0)
    found = gradient(trainer, *ROWS)
    assert found.keys() == set(names)
    random = np.random.default_rng(0)
    for name, each in found.items():
        length = np.linalg.norm(each)
        noise = random.standard_normal(each.shape)
        direction = (each / length + noise / np.linalg.norm(noise)).astype(np.float32)
        expected = float(np.vdot(each, direction))
        assert slope(trainer, name, direction) == pytest.approx(expected, rel=0.01), name


def test_the_loss_is_that_of_the_learned_tokens(opened) -> None:
    """Whatever the others are, and whatever comes after."""
    trainer = opened(Q)
    text = row(4, 25)
    wanted = np.zeros(25, bool)
    wanted[[5, 9]] = True
    loss = trainer.loss([Row(text.tokens, wanted)])
    assert loss.tokens == 2 and 2 < loss.mean < 20
    single = [
        trainer.loss([Row(text.tokens[: place + 1], wanted[: place + 1])]) for place in (5, 9)
    ]
    assert single[1].nats == pytest.approx(loss.nats, rel=1e-5)
    first = Row(text.tokens, wanted & (np.arange(25) < 6))
    assert single[0].nats == pytest.approx(trainer.loss([first]).nats, rel=1e-5)


def test_the_loss_of_a_uniform_model(tmp_path: Path) -> None:
    """Every token is as likely as any other."""
    zero = np.zeros((300, 64), np.float32)
    path = write_llama(tmp_path / "uniform.gguf", tensors={"output.weight": zero})
    trainer = LlamaTrainer(path, Recipe(size=24, names=(Q,)))
    loss = trainer.loss(ROWS)
    trainer.close()
    assert loss.tokens == sum(each.count for each in ROWS)
    assert loss.mean == pytest.approx(math.log(300), rel=1e-6)


def test_every_token_counts_the_same_in_whatever_row(opened, names) -> None:
    """The gradient of rows together is the mean of theirs, weighed by learned tokens."""
    trainer = opened(*names, optimiser="sgd", weight_decay=0)
    together, total = gradient(trainer, *ROWS), sum(each.count for each in ROWS)
    alone = [(each.count / total, gradient(trainer, each)) for each in ROWS]
    for name, found in together.items():
        mean = sum(share * each[name] for share, each in alone)
        assert np.allclose(found, mean, atol=1e-4 * np.abs(mean).max()), name


def test_rows_without_learned_tokens_change_nothing(opened) -> None:
    trainer = opened(Q)
    before = trainer.state()
    step = trainer.step([Row(ROWS[0].tokens, np.zeros(25, bool))], 0.1)
    assert step.loss == Loss(0.0, 0)
    assert np.array_equal(trainer.state()[Q], before[Q])


def test_only_what_is_named_changes(opened, path) -> None:
    """Two vectors learn; with their old values put back, the loss is the old one to the bit."""
    trainer = opened(NORM, "output_norm.weight")
    first, before = trainer.loss(ROWS), trainer.weights()
    old = dict(before)
    losses = [trainer.step(ROWS, 0.05).loss.mean for _ in range(5)]
    assert losses[0] == first.mean and losses[-1] < losses[0]
    for name in old:
        assert not np.array_equal(trainer.weights()[name], old[name])
    trainer.restore({**trainer.state(), **old})
    assert trainer.loss(ROWS) == first


def test_a_saved_state_goes_on_to_the_same_bits(opened, names) -> None:
    trainer = opened(*names)
    for _ in range(2):
        trainer.step(ROWS, 0.01)
    state, ends = trainer.state(), []
    for each in (trainer, opened(*names)):
        each.restore(state)
        steps = [each.step(ROWS, 0.01) for _ in range(2)]
        ends.append((steps, dict(each.weights())))
    (steps, weights), (again, others) = ends
    assert steps == again
    for name, each in weights.items():
        assert np.array_equal(each, others[name]), name


def test_the_gradient_of_an_adapter_is_what_the_loss_does(opened) -> None:
    trainer = opened(Q, DOWN, optimiser="sgd", weight_decay=0, lora=Lora(4, 8))
    first = trainer.loss(ROWS)
    state = dict(trainer.state())
    random = np.random.default_rng(0)
    for name, each in state.items():
        if name.startswith("lora_b/"):
            assert not each.any()  # so nothing has changed yet
            state[name] = 0.1 * random.standard_normal(each.shape, np.float32)
    trainer.restore(state)
    assert trainer.loss(ROWS) != first
    for name, each in gradient(trainer, *ROWS).items():
        direction = each / np.linalg.norm(each)
        expected = float(np.vdot(each, direction))
        assert slope(trainer, name, direction) == pytest.approx(expected, rel=0.01), name


def test_an_adapter_is_merged_into_the_weights(opened) -> None:
    trainer = opened(Q, lora=Lora(2, 6))
    base = trainer.weights()[Q]
    trainer.step(ROWS, 0.1)
    a, b = trainer.adapter()[Q]
    assert a.shape == (2, 32) and b.shape == (32, 2) and b.any()
    assert np.allclose(trainer.weights()[Q], base + 3 * b @ a, atol=1e-6)
    assert not opened(Q).adapter()


def test_adapters_of_one_seed_begin_alike(opened) -> None:
    one, same = (opened(Q, lora=Lora(2, 4)).adapter()[Q][0] for _ in range(2))
    other = opened(Q, lora=Lora(2, 4), seed=1).adapter()[Q][0]
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert 0.9 * 32**-0.5 < np.abs(one).max() <= 32**-0.5


def test_a_loss_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    weights = np.ones(64, np.float32)
    weights[3] = np.nan
    path = write_llama(tmp_path / "nan.gguf", tensors={"output_norm.weight": weights})
    trainer = LlamaTrainer(path, Recipe(size=24, names=(Q, NORM)))
    before = trainer.state()
    step = trainer.step(ROWS, 0.1)
    after = trainer.state()
    trainer.close()
    assert not math.isfinite(step.loss.nats) and step.loss.tokens > 0
    for name, each in before.items():
        assert np.array_equal(each, after[name]), name


def test_what_llama_cpp_never_trains_is_refused(opened) -> None:
    for name in ("token_embd.weight", "rope_freqs.weight", "blk.0.rope_freqs.weight"):
        assert not trainable(name)
    with pytest.raises(BackendError, match=r"token_embd\.weight"):
        opened(Q, "token_embd.weight")
    with pytest.raises(BackendError, match=r"blk\.9\.attn_q\.weight"):
        opened(Q, "blk.9.attn_q.weight")
    with pytest.raises(BackendError, match=r"no matrix"):
        opened(NORM, lora=Lora(2, 4))
    with pytest.raises(BackendError, match=r"no tensor"):
        opened()
    with pytest.raises(BackendError, match=r"bf16"):
        opened(Q, precision="bf16")


def test_a_tied_output_is_not_trained(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "tied.gguf", tensors={"output.weight": None})
    with pytest.raises(BackendError, match=r"output\.weight"):
        LlamaTrainer(path, Recipe(size=24, names=("output.weight",)))
    trainer = LlamaTrainer(path, Recipe(size=24, names=(Q,)))
    losses = [trainer.step(ROWS, 0.02).loss.mean for _ in range(3)]
    trainer.close()
    assert losses[-1] < losses[0]


def test_work_that_is_ended_changes_nothing(path) -> None:
    control = Control()
    trainer = LlamaTrainer(path, Recipe(size=24, names=(Q,)), control)
    expected, before = trainer.loss(ROWS), trainer.state()
    control.set(Stop(StopReason.INTERRUPTED, "Ctrl-C"))
    with pytest.raises(KeyboardInterrupt):
        trainer.step(ROWS, 0.1)
    control.reset()
    after = trainer.state()
    assert all(np.array_equal(each, after[name]) for name, each in before.items())
    assert trainer.step(ROWS, 0.1).loss == expected
    trainer.close()


def test_a_trial_finds_what_can_be_trained(path, names) -> None:
    trainer = open_trainer(Environment(), path, Recipe(size=300, names=names))
    assert trainer.loss([row(5, 301)]).tokens == 300
    trainer.close()


def test_a_trial_survives_what_cannot_be_trained(tmp_path: Path) -> None:
    path = write_mamba(tmp_path / "mamba.gguf")
    recipe = Recipe(size=24, names=("blk.0.ssm_in.weight",))
    with pytest.raises(BackendError) as raised:
        open_trainer(Environment(), path, recipe)
    reason = "it has no gradient of the operation SSM_SCAN"
    assert raised.value.message == f"llama.cpp cannot train {path}: {reason}"


def test_a_trial_tells_why_nothing_was_tried(path) -> None:
    reason = refusal(Environment(), path, Recipe(size=24, names=("blk.9.attn_q.weight",)))
    assert reason == "not in the model, or not F32: blk.9.attn_q.weight"


def test_a_trial_finds_wrong_gradients(opened) -> None:
    trainer = opened(Q, DOWN)
    trainer.engine.row(ROWS[0].tokens, ROWS[0].learned, 1 / ROWS[0].count)
    right = {name: each.copy() for name, each in trainer.engine.sums.items()}
    before = dict(trainer.weights())
    assert foretells(trainer, ROWS[0], right)
    assert not foretells(trainer, ROWS[0], {**right, Q: 2 * right[Q]})
    assert not foretells(trainer, ROWS[0], {**right, DOWN: -right[DOWN]})
    assert not foretells(trainer, ROWS[0], {**right, Q: 0 * right[Q]})
    for name, each in before.items():
        assert np.array_equal(each, trainer.weights()[name])
