"""What is decided by estimates: contexts, refusals, and which device lacks memory."""

from __future__ import annotations

import io
import re
from contextlib import closing

import pytest
from asked import settings
from models import write_llama

from llmparams_cli.backends.llama.host import hardware, memory
from llmparams_cli.backends.llama.host.memory import Left, largest
from llmparams_cli.backends.llama.host.shares import HOST, MAPPED, Estimate, Share, divided
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError
from llmparams_cli.models.resolve import find_model

MEGABYTE = 1 << 20


@pytest.fixture
def env(cache):
    return Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, stderr=io.StringIO())


@pytest.fixture
def model(env, tmp_path):
    """One whose cache takes 1 MB for 1024 tokens."""
    path = write_llama(tmp_path / "model.gguf", layers=4, heads=1, kv_heads=1, context=8192)
    return find_model(str(path), env)


@pytest.fixture
def free(monkeypatch):
    """Lets so many bytes of memory be free."""

    def be(amount):
        monkeypatch.setattr(hardware, "available_memory", lambda: amount)

    return be


def left_for(env, model, **values):
    given = settings(**values)
    return given, Left(env, model, given, 0, {})


def test_the_usual_context_is_as_large_as_memory_allows(env, model, free):
    free(6 * MEGABYTE)
    given, left = left_for(env, model)
    with closing(left):
        size = memory.context_size(env, model, given, left)
        assert 0 < size < 8192
        assert left.lack(size) == ""
        assert left.lack(size + 256) != ""  # llama.cpp rounds up to a multiple of that
    assert f"context is {size} tokens: no more fits in memory" in env.stderr.getvalue()


def test_a_context_that_was_asked_for_is_refused_with_the_figures(env, model, free):
    free(6 * MEGABYTE)
    given, left = left_for(env, model, context=8000)
    with closing(left), pytest.raises(BackendError) as refused:
        memory.context_size(env, model, given, left)
    figures = r"context 8000 needs 1\d\.\d MB, and 6\.3 MB of memory are free"
    assert re.fullmatch(figures, refused.value.message)
    assert "--context" in refused.value.hint


def test_a_smaller_cache_makes_room(env, model, free):
    free(6 * MEGABYTE)
    sizes = []
    for type in ("f32", "f16", "q8_0"):
        given, left = left_for(env, model, cache_type_k=type, cache_type_v=type)
        with closing(left):
            sizes.append(memory.context_size(env, model, given, left))
    assert sizes == sorted(set(sizes))


def test_weights_that_are_in_memory_already_are_not_counted_again(env, tmp_path, free):
    path = write_llama(tmp_path / "wide.gguf", width=256, heads=1, kv_heads=1, context=4096)
    wide = find_model(str(path), env)
    assert wide.header.size > 1_500_000
    free(10 * MEGABYTE)
    sizes = []
    for mmap in (True, False):
        given, left = left_for(env, wide, mmap=mmap)
        with closing(left):
            sizes.append(memory.context_size(env, wide, given, left))
    assert 0 < sizes[0] == sizes[1] < 4096


def test_where_even_the_smallest_context_does_not_fit_the_model_is_too_large(env, model, free):
    free(100_000)
    given, left = left_for(env, model)
    with closing(left), pytest.raises(BackendError, match="no memory is left for a context"):
        memory.context_size(env, model, given, left)


def test_unknown_memory_refuses_nothing(env, model, monkeypatch):
    monkeypatch.setattr(hardware, "available_memory", lambda: None)
    given, left = left_for(env, model, context=8192)
    with closing(left):
        assert memory.context_size(env, model, given, left) == 8192
    memory.refuse_too_large(env, model, given, 0)


def test_mapped_weights_need_no_memory_of_their_own_but_rearranged_ones_do(env, tmp_path, free):
    path = write_llama(
        tmp_path / "q.gguf", layers=2, width=256, feed_forward=1024, context=256, type="Q4_0"
    )
    quantised = find_model(str(path), env)
    free(quantised.header.size // 4)
    plain = find_model(str(write_llama(tmp_path / "f.gguf", type="F32")), env)
    memory.refuse_too_large(env, plain, settings(), 0)
    with pytest.raises(BackendError, match=r"the model takes .* of memory are free"):
        memory.refuse_too_large(env, plain, settings(mmap=False), 0)
    with pytest.raises(BackendError, match=r"the model takes .* of memory are free"):
        memory.refuse_too_large(env, quantised, settings(), 0)


# Several devices, without any


def test_the_device_that_lacks_memory_is_named():
    found = Estimate(
        (
            Share("GPU0", "GPU0", weights=50, cache=20, compute=10),
            Share("GPU1", "GPU1", weights=50, cache=40, compute=10),
            Share(HOST, MAPPED, weights=1000),
            Share(HOST, "GPU_Host", compute=5),
        ),
        context=1,
        layers=2,
        all_layers=2,
    )
    enough = {HOST: 10, "GPU0": 200, "GPU1": 200}
    assert memory.lack(found, enough) == ""
    assert memory.lack(found, enough | {"GPU1": 99}) == "100 bytes, and 99 bytes are free on GPU1"
    assert memory.lack(found, enough | {"GPU1": 99}, weights=False) == ""
    assert memory.lack(found, enough | {HOST: 5}) == "5 bytes, and 5 bytes of memory are free"
    assert found.devices == (HOST, "GPU0", "GPU1")
    assert (found.on(HOST), found.held(HOST), found.mapped) == (1005, 5, 1000)


def test_what_is_spread_over_all_gpus_is_divided_as_they_are_asked_to():
    spread = Share("Meta()", "Meta()", weights=90, cache=30, compute=7)
    gpus = ("GPU0", "GPU1", "GPU2")
    assert [(s.device, s.weights, s.cache, s.compute) for s in divided(spread, gpus, [])] == [
        (gpu, 30, 10, 7) for gpu in gpus
    ]
    assert [s.weights for s in divided(spread, gpus, [2.0, 1.0])] == [60, 30, 0]
    rows = Share("GPU0", "GPU0_Split", weights=90)
    assert [s.weights for s in divided(rows, gpus, [0.0, 0.0])] == [30, 30, 30]
    for whole in (Share("GPU1", "GPU1", weights=9), Share(HOST, HOST, compute=9)):
        assert list(divided(whole, gpus, [2.0, 1.0])) == [whole]


@pytest.mark.parametrize("most", range(12))
def test_the_largest_number_that_fits(most):
    assert largest(11, lambda number: number <= most) == most
