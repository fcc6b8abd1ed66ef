"""Drawing without a table of all tokens, against llama.cpp's own stages, to the last bit."""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from models import write_llama
from test_chain import set_to

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling import shortcut, truncation
from llmparams_cli.backends.llama.sampling.candidates import array_of, candidates, left_of
from llmparams_cli.backends.llama.sampling.chain import Chain
from llmparams_cli.backends.llama.sampling.sampler import Sampler
from llmparams_cli.models import builtin

SIZE = 16_000  # tokens of the vocabularies here
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    """The built-in model, as if it had more tokens. Nothing is computed with it."""
    loaded = Model(builtin.PATH, llama().llama_model_default_params())
    assert loaded.end_tokens  # known from here on
    loaded.n_vocab = SIZE
    yield loaded
    loaded.close()


@pytest.fixture(autouse=True)
def every_size_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcut, "LARGE", 1)


def row(seed: int, spread: float = 7.0, size: int = SIZE):
    """Logits as those of a real model: most tokens are hopeless, a few are not."""
    return np.random.default_rng(seed).normal(0, spread, size).astype(np.float32)


def pointer(logits):
    return logits.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def left_by(stage, logits):
    """What llama.cpp's own stage leaves of all tokens; frees the stage."""
    array = candidates(pointer(logits), len(logits))
    llama().llama_sampler_apply(stage, ctypes.byref(array))
    llama().llama_sampler_free(stage)
    return array


def same(ours, theirs) -> bool:
    return (
        ours.size == theirs.size
        and all((left_of(ours)[field] == left_of(theirs)[field]).all() for field in ("id", "logit"))
        and ours.sorted == theirs.sorted
        and ours.selected == theirs.selected
    )


ROWS = st.builds(
    lambda seed, spread, grid, infinite, size: odd(row(seed, spread, size), grid, infinite),
    SEEDS,
    st.sampled_from([0.0, 0.1, 1.0, 4.0, 7.0, 20.0]),
    st.sampled_from([0.0, 2**-12, 2**-6, 1.0]),
    st.lists(st.integers(0, SIZE - 1), max_size=3),
    st.sampled_from([1, 5, 300, 3000, SIZE]),
)


def odd(logits, grid: float, infinite: list[int]):
    """With ties, where rounded to a grid, and with tokens removed."""
    if grid:
        logits = (logits / grid).round().astype(np.float32) * np.float32(grid)
    logits[[token % len(logits) for token in infinite]] = -np.inf
    return logits


@limits(max_examples=300, deadline=None)
@given(logits=ROWS, p=st.floats(0, 1, width=32, exclude_max=True))
def test_top_p_leaves_what_llama_cpps_stage_leaves(logits, p):
    ours = truncation.top_p(logits, p)
    assert ours is None or same(ours, left_by(llama().llama_sampler_init_top_p(p, 1), logits))


@pytest.mark.parametrize("seed", range(5))
def test_the_last_token_hangs_on_the_last_bit_of_a_sum(seed):
    """Let p be what llama.cpp's sum comes to at some token, and the next number above. It takes p
    in single precision.
    """
    logits, lib = row(seed), llama()
    kept = left_of(left_by(lib.llama_sampler_init_top_p(0.99, 1), logits))
    for place, total in enumerate(np.add.accumulate(kept["p"][:-1])):
        for more, p in enumerate((float(total) + 1e-10, np.nextafter(total, np.float32(1)))):
            ours = truncation.top_p(logits, p)
            assert ours.size == place + 1 + more
            assert same(ours, left_by(lib.llama_sampler_init_top_p(p, 1), logits))


@limits(max_examples=100, deadline=None)
@given(logits=ROWS)
def test_greedy_marks_what_llama_cpps_stage_marks(logits):
    ours = truncation.greedy(logits)
    theirs = left_by(llama().llama_sampler_init_greedy(), logits)
    assert left_of(ours)["id"][ours.selected] == left_of(theirs)["id"][theirs.selected]


@pytest.mark.parametrize("p", [0.0, 0.3, 0.95, 0.999])
def test_a_nucleus_of_usual_logits_is_found_without_the_stage(p):
    """Without this, the tests beside it would also pass if nothing were ever found."""
    assert all(truncation.top_p(row(seed), p) is not None for seed in range(20))


@pytest.mark.parametrize("kept", [400, 2000])
def test_a_nucleus_that_llama_cpp_sorts_everything_for(kept):
    logits = row(1, spread=1) - 18
    logits[:: SIZE // kept] = np.random.default_rng(1).permutation(np.linspace(0, 2, kept))
    ours = truncation.top_p(logits, 0.9)
    assert 256 < ours.size < kept
    assert same(ours, left_by(llama().llama_sampler_init_top_p(0.9, 1), logits))


@pytest.mark.parametrize("seed", range(10))
def test_equal_logits_have_the_order_of_llama_cpps_sort(seed):
    """Its sort is not stable: among many of a bucket, equal ones come in any order."""
    logits = (row(seed, spread=4) * 50).round() / np.float32(50)
    logits[logits < 5] -= 10  # so that most do not count
    theirs = left_by(llama().llama_sampler_init_top_p(0.97, 1), logits)
    ids, values = left_of(theirs)["id"], left_of(theirs)["logit"]
    assert (ids[1:] < ids[:-1])[values[1:] == values[:-1]].any()
    assert same(truncation.top_p(logits, 0.97), theirs)


def grid(low: float, high: float, size: int):
    """Numbers of which many are equal."""
    return (np.random.default_rng(1).uniform(low, high, size) * 100).round() / 100


def best_of_many():
    logits = row(1) - 10
    logits[::300] = 20.0
    return logits


def in_the_highest_bucket():
    logits = grid(10, 15, SIZE)
    logits[::20] = grid(38, 39, SIZE // 20)
    return logits


def in_the_lowest_bucket():
    logits = grid(-60, -50, SIZE)
    logits[::20] = grid(-30, -29, SIZE // 20)
    return logits


def all_that_count_in_one_bucket():
    logits = grid(-30, -20, SIZE)
    logits[:2048] = grid(0.02, 0.12, 2048)
    logits[-1] = 0.05
    return logits


def down_to_what_does_not_count():
    logits = grid(-12, -8, SIZE)
    logits[::4] = grid(6.0, 9.0, SIZE // 4)
    return logits


TIED = [
    best_of_many,
    in_the_highest_bucket,
    in_the_lowest_bucket,
    all_that_count_in_one_bucket,
    down_to_what_does_not_count,
]


@pytest.mark.parametrize("p", [1e-6, 0.1, 0.5, 0.9, np.nextafter(np.float32(1), np.float32(0))])
@pytest.mark.parametrize("make", TIED)
def test_equal_logits_whose_order_depends_on_others(make, p):
    logits = make().astype(np.float32)
    ours = truncation.top_p(logits, p)
    assert ours is None or same(ours, left_by(llama().llama_sampler_init_top_p(p, 1), logits))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_without_a_distribution_are_left_to_the_stage(value):
    logits = row(3)
    logits[5] = value
    expected = value == -np.inf
    assert (truncation.top_p(logits, 0.95) is not None) == expected
    logits[:] = value
    assert truncation.top_p(logits, 0.95) is None
    assert (truncation.greedy(logits) is None) == np.isnan(value)


NUCLEUS = {"top_p": 0.95}
SETTINGS = [
    NUCLEUS,
    {**NUCLEUS, "temperature": 0.6, "min_p": 0.02},
    {**NUCLEUS, "temperature": 0.6, "sampler_order": ["temperature", "top_p"]},
    {**NUCLEUS, "xtc_probability": 0.5, "xtc_threshold": 0.05},
    {**NUCLEUS, "adaptive_p_target": 0.3},
    {**NUCLEUS, "repeat_penalty": 1.3, "frequency_penalty": 0.4, "presence_penalty": -0.3},
    {**NUCLEUS, "logit_bias": {"3": 22.3, "7": 21.1, "9": float("-inf")}, "ignore_eos": True},
    {**NUCLEUS, "dry_multiplier": 0.8},
    {**NUCLEUS, "dynatemp_range": 0.5, "sampler_order": ["temperature", "top_p"]},
    {**NUCLEUS, "top_k": 50},
    {"temperature": 0.0},
    {"temperature": 0.0, "repeat_penalty": 1.5, "logit_bias": {"5": 2.5}},
]
WITHOUT = ("dry_multiplier", "dynatemp_range", "top_k")  # with these there is no shortcut


@pytest.mark.parametrize("values", SETTINGS, ids=str)
def test_the_same_seed_draws_the_same_tokens(model, values, monkeypatch):
    short = Chain(model, set_to(**values), 42, 512)
    monkeypatch.setattr(shortcut, "LARGE", SIZE + 1)
    long = Chain(model, set_to(**values), 42, 512)
    # Few rows, often: what was drawn is drawn again, if no penalty forbids it.
    for step in range(120):
        logits = pointer(row(step % 6))
        if not any(name in values for name in WITHOUT):
            assert short._shortcut.take(logits) is not None
        ours, theirs = short.draw_from(logits), long.draw_from(logits)
        assert ours[0] == theirs[0]
        if not long.is_sure:
            assert left_of(ours[1]).tobytes() == left_of(theirs[1]).tobytes()
        for chain in (short, long):
            chain.accept(ours[0])
    short.close()
    long.close()


def test_a_walk_ends_where_a_draw_does(model):
    """`explain` walks through all stages, with all tokens."""
    values = {**NUCLEUS, "repeat_penalty": 1.3}
    samplers = drawing, walking, third = [
        Sampler(model, set_to(**values), 42, 512) for _ in range(3)
    ]
    for seed in range(20):
        logits = row(seed % 3)
        steps, token = walking.walk(pointer(logits))
        assert drawing.draw(pointer(logits)) == token
        probabilities = third.distribution(pointer(logits))
        assert {*steps[-1][1]["id"]} == {*probabilities.nonzero()[0]}
        for sampler in samplers:
            sampler.accept(token)
    for sampler in samplers:
        sampler.close()


@pytest.fixture(scope="module")
def peaked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with many tokens, of which few are probable."""
    norm = {"output_norm.weight": np.full(64, 7, np.float32)}
    path = tmp_path_factory.mktemp("peaked") / "peaked.gguf"
    return write_llama(path, vocabulary=SIZE, tensors=norm)


@pytest.mark.parametrize("flags", [("--top-p", "0.9"), ("--temperature", "0")], ids=" ".join)
def test_the_program_writes_the_same_either_way(program, peaked, flags, monkeypatch):
    off = ("--top-k", "0", "--min-p", "0", "--repeat-penalty", "1.2", "--seed", "3")
    command = ("generate", "hi", "-m", str(peaked), "-n", "40", "--ignore-eos", *off, *flags)
    taken = []

    def watched(ids, logits):
        taken.append(ids)
        return array_of(ids, logits)

    monkeypatch.setattr(truncation, "array_of", watched)
    short = program.call(*command)
    assert short.code == 0, short.stderr
    assert len(taken) == 40
    monkeypatch.setattr(shortcut, "LARGE", SIZE + 1)
    assert program.call(*command).stdout == short.stdout
