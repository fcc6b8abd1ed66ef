"""`tune` with PyTorch's gradients: the same flags, the same results, and the embeddings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import write_llama
from program import Program

pytest.importorskip("torch")
pytest.importorskip("peft")

USUAL = ("--learning-rate", "0.01", "-c", "64", "--batch-size", "4", "--precision", "f32")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("tune") / "tiny.gguf", layers=2, width=32)


@pytest.fixture
def tune(program: Program, model: Path) -> Any:
    lines = [json.dumps({"text": f"the cat sat on mat {n % 7}."}) for n in range(40)]
    (program.place / "data.jsonl").write_text("\n".join(lines))

    def run(engine: str, *more: str) -> Any:
        arguments = ("tune", str(model), "data.jsonl", *USUAL, "-o", "out.gguf", "--force")
        done = program.call(*arguments, "--json", "--engine", engine, *more)
        assert done.code == 0, done.stderr
        return done.json

    return run


def test_both_engines_learn_alike(tune) -> None:
    """Step by step, where both train the same tensors."""
    more = ("--train", "attention,feed-forward,norms", "--steps", "10")
    courses = [tune(engine, *more)["course"] for engine in ("torch", "llama.cpp")]
    losses = [[each["loss"] for each in course["steps"]] for course in courses]
    assert np.allclose(losses[0], losses[1], rtol=2e-3)
    assert losses[0][-1] < losses[0][0] - 0.5


def test_embeddings_learn(tune) -> None:
    found = tune("auto", "--train", "embeddings", "--steps", "5")
    assert found["plan"]["how"].startswith("PyTorch")
    assert [each["name"] for each in found["changed"]] == ["token_embd.weight"]


def test_adapters_learn_alike(tune) -> None:
    courses = [
        tune(engine, "--lora", "4", "--steps", "8")["course"] for engine in ("torch", "llama.cpp")
    ]
    losses = [[each["loss"] for each in course["steps"]] for course in courses]
    assert np.allclose(losses[0], losses[1], rtol=2e-3)


def test_what_is_measured_is_what_the_trainer_saw(tune) -> None:
    """The loss of the file that was written, by llama.cpp, is that of the last check."""
    found = tune("torch", "--steps", "10", "--type", "F32")
    after = np.log(found["measured"]["after"]["perplexity"])
    assert after == pytest.approx(found["course"]["checks"][-1]["loss"], abs=1e-3)
