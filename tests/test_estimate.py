"""What is said of memory before loading, against what the library then allocates."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from allocated import allocated, assert_foretold
from asked import settings
from models import write_llama, write_mamba
from shapes import write_experts, write_hybrid, write_windowed

from llmparams_cli.backends.llama.host import estimate, placement, plan
from llmparams_cli.backends.llama.host.estimate import Simulation, bound
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.env import Environment
from llmparams_cli.models import builtin
from llmparams_cli.models.resolve import GgufModel, find_model

SHAPES: dict[str, Callable[[Path], Path]] = {
    "built-in": lambda _: builtin.PATH,
    "llama": lambda path: write_llama(path, layers=3, heads=2, context=4096),
    "repacked": lambda path: write_llama(
        path, layers=3, width=256, feed_forward=512, context=4096, vocabulary=2048, type="Q4_0"
    ),
    "mixed": lambda path: write_llama(path, width=256, feed_forward=512, context=4096, type="Q6_K"),
    "split": lambda path: write_llama(path, layers=4, heads=2, context=4096, tensors_per_file=9),
    "experts": write_experts,
    "window": write_windowed,
    "window, quantised": lambda path: write_windowed(path, type="Q4_0"),
    "recurrent": write_mamba,
    "hybrid": write_hybrid,
}


@pytest.fixture(scope="module")
def env(cache: Path) -> Environment:
    return Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, quiet=True)


@pytest.fixture(scope="module", params=SHAPES)
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, env: Environment
) -> GgufModel:
    path = SHAPES[request.param](tmp_path_factory.mktemp("shape") / "model.gguf")
    found = find_model(str(path), env)
    assert isinstance(found, GgufModel)
    return found


@pytest.mark.parametrize("mmap", (True, False))
@pytest.mark.parametrize(
    ("values", "sequences", "shared"),
    [
        ({}, 1, True),
        ({"flash_attention": "off", "context": 2000}, 1, True),
        ({"cache_type_k": "q8_0", "cache_type_v": "q8_0", "flash_attention": "on"}, 1, True),
        ({"cache_type_k": "f32", "cache_type_v": "bf16"}, 4, True),
        ({"ubatch_size": 64}, 4, False),
        ({"flash_attention": "off", "batch_size": 4096, "ubatch_size": 2048}, 2, False),
    ],
)
def test_every_buffer_has_the_size_that_was_foretold(
    env: Environment, model: GgufModel, values: dict, sequences: int, shared: bool, mmap: bool
) -> None:
    given = settings(mmap=mmap, **values)
    size = placement.wanted_context(given, model.header) * (1 if shared else sequences)
    with closing(Simulation(env, model, given, 0)) as simulation:
        foretold = simulation.estimate(given, size, sequences, shared=shared)
    real = allocated(env, model, given, size, sequences, shared=shared)
    assert_foretold(foretold, real)
    assert bound(model.header, given, size, sequences).total >= foretold.total


def test_a_very_long_context_is_estimated_from_shorter_ones(
    env: Environment, model: GgufModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings()
    with closing(Simulation(env, model, given, 0)) as simulation:
        exact = simulation.estimate(given, 30_001)
        monkeypatch.setattr(estimate, "MOST_CELLS", 8192)
        extended = simulation.estimate(given, 30_001)
    assert extended.context == exact.context
    assert extended.cache == pytest.approx(exact.cache, rel=0.01)
    assert extended.total == pytest.approx(exact.total, rel=0.01)


def test_a_context_that_is_absurdly_long_costs_nothing_to_refuse(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp keeps books on every cell, even where it allocates nothing else: gigabytes."""
    sizes: list[int] = []

    def watched(model: Model, params: Any, size: int) -> Context:
        sizes.append(size)
        return Context(model, params, size)

    monkeypatch.setattr(estimate, "Context", watched)
    model = find_model(None, env)
    assert isinstance(model, GgufModel)
    given = settings(context=2_000_000_000)
    assert plan.estimate(env, model, given).cache == pytest.approx(2e9 * 6144, rel=0.01)
    assert max(sizes) == estimate.MOST_CELLS


# How much the process takes in all, before and after a model of 70 million weights has answered.
GROWTH = """
import sys
from asked import LONG, ends, raw, settings
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import find_model

def resident():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))

def answer(model):
    with Control() as control, opened(env, find_model(model, env), settings(), control) as backend:
        ends(backend, [raw(LONG * 2)])
        return resident()

env = Environment()
answer(None)  # so that everything of the program's own is there
before = resident()
print(answer(sys.argv[1]) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_grows_by_what_was_foretold(env, cache, tmp_path):
    path = write_llama(
        tmp_path / "model.gguf",
        layers=12,
        width=512,
        heads=8,
        kv_heads=4,
        feed_forward=1536,
        context=4096,
        vocabulary=32768,
        type="Q4_K",
    )
    child = subprocess.run(
        [sys.executable, "-c", GROWTH, str(path)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "LLMPARAMS_CACHE_DIR": str(cache),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    found = plan.estimate(env, find_model(str(path), env), settings())
    assert found.total == pytest.approx(int(child.stdout), rel=0.05)
