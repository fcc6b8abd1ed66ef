"""The real sampler chain against probabilities computed by hand, numpy and llama.cpp."""

import ctypes
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.candidates import candidates
from llmparams_cli.backends.llama.sampling.chain import Chain
from llmparams_cli.backends.llama.sampling.sampler import Sampler
from llmparams_cli.models import builtin
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source, resolve

FLAG = Origin(Source.FLAG, "--test")
OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


@pytest.fixture(scope="module")
def model():
    loaded = Model(builtin.PATH, llama().llama_model_default_params())
    yield loaded
    loaded.close()


def set_to(**values: object) -> Settings:
    """The truncation defaults off, and then these values."""
    return resolve(Assignment(name, value, FLAG) for name, value in {**OFF, **values}.items())


def distribution(sampler: Chain, logits: list[float]) -> dict[int, float]:
    """Token → probability after all stages; tokens are the places in `logits`."""
    array = candidates((ctypes.c_float * len(logits))(*logits), len(logits))
    llama().llama_sampler_apply(sampler.handle, ctypes.byref(array))
    return {array.data[i].id: array.data[i].p for i in range(array.size)}


def after(model: Model, logits: list[float], seen: tuple[int, ...] = (), **values: object):
    sampler = Chain(model, set_to(**values), 1, 512)
    for token in seen:
        llama().llama_sampler_accept(sampler.handle, token)
    result = distribution(sampler, logits)
    sampler.close()
    return result


def logs(*probabilities: float) -> list[float]:
    return [math.log(p) for p in probabilities]


def softmax(logits: list[float]) -> list[float]:
    powers = np.exp(np.array(logits) - max(logits))
    return list(powers / powers.sum())


FIVE = logs(0.4, 0.3, 0.15, 0.1, 0.05)


def test_without_truncation_the_models_own_distribution_remains(model):
    assert after(model, FIVE) == pytest.approx(dict(enumerate([0.4, 0.3, 0.15, 0.1, 0.05])))


def test_temperature_raises_probabilities_to_its_inverse(model):
    # T = 0.5 squares them: 0.16 + 0.09 + 0.0225 + 0.01 + 0.0025 = 0.285
    result = after(model, FIVE, temperature=0.5)
    assert result[0] == pytest.approx(0.16 / 0.285)
    assert result[4] == pytest.approx(0.0025 / 0.285)


def test_top_k_keeps_the_k_most_probable(model):
    assert after(model, FIVE, top_k=2) == pytest.approx({0: 0.4 / 0.7, 1: 0.3 / 0.7})


def test_top_p_keeps_tokens_until_the_mass_is_reached_inclusively(model):
    assert set(after(model, FIVE, top_p=0.69)) == {0, 1}
    assert set(after(model, FIVE, top_p=0.72)) == {0, 1, 2}


def test_min_p_drops_what_is_below_a_share_of_the_best(model):
    # 0.3 x 0.4 = 0.12
    assert set(after(model, FIVE, min_p=0.3)) == {0, 1, 2}


def test_typical_p_prefers_tokens_of_expected_surprise(model):
    # Entropy 1.39 nats; surprises 0.92, 1.20, 1.90, 2.30, 3.00; distances 0.47, 0.19, 0.51 …
    assert set(after(model, FIVE, typical_p=0.25)) == {1}
    assert set(after(model, FIVE, typical_p=0.5)) == {0, 1}


def test_top_n_sigma_keeps_logits_near_the_highest(model):
    logits = [4.0, 3.0, 0.0, 0.0, 0.0]
    deviation = float(np.std(logits))  # 1.74
    kept = {i for i, logit in enumerate(logits) if logit >= 4.0 - 1.0 * deviation}
    result = after(model, logits, top_n_sigma=1.0)
    assert {token for token, p in result.items() if p > 0} == kept == {0, 1}


def test_xtc_removes_all_obvious_tokens_but_the_least_probable_of_them(model):
    assert set(after(model, FIVE, xtc_probability=1.0, xtc_threshold=0.12)) == {2, 3, 4}


def test_dynamic_temperature_follows_entropy(model):
    # All equal: entropy is at its maximum, so the temperature is 0.8 + 0.5.
    flat, peaked = after(model, [1.0, 1.0], temperature=0.8, dynatemp_range=0.5), None
    assert flat[0] == pytest.approx(0.5)
    logits = [2.0, 0.0]
    p = softmax(logits)
    entropy = -sum(x * math.log(x) for x in p) / math.log(2)
    temperature = 0.3 + (1.3 - 0.3) * entropy
    peaked = after(model, logits, temperature=0.8, dynatemp_range=0.5)
    assert peaked[0] == pytest.approx(softmax([2.0 / temperature, 0.0])[0], abs=1e-5)


def test_logit_bias_adds_and_forbids(model):
    result = after(model, FIVE, logit_bias={"4": 3.0, "0": -math.inf})
    expected = softmax([-math.inf, *FIVE[1:4], FIVE[4] + 3.0])
    assert [result[i] for i in range(5)] == pytest.approx(expected, abs=1e-6)


def test_bear_ten_times_and_fox_once(model):
    bear, fox = 0, 1
    seen = (*[bear] * 10, fox)
    logits = [3.0, 2.0, 1.0]
    result = after(model, logits, seen, frequency_penalty=0.2)
    assert list(result.values()) and result[bear] == pytest.approx(
        softmax([3.0 - 10 * 0.2, 2.0 - 0.2, 1.0])[0]
    )
    result = after(model, logits, seen, presence_penalty=0.2)
    assert result[bear] == pytest.approx(softmax([2.8, 1.8, 1.0])[0])
    result = after(model, logits, seen, repeat_penalty=1.2)
    assert result[bear] == pytest.approx(softmax([3.0 / 1.2, 2.0 / 1.2, 1.0])[0])
    result = after(model, logits, seen, repeat_penalty=1.2, repeat_penalty_growth="exponential")
    assert result[bear] == pytest.approx(softmax([3.0 / 1.2**10, 2.0 / 1.2, 1.0])[0])


def test_repeat_last_n_is_the_window_and_minus_one_the_whole_context(model):
    seen = (0, *[2] * 10)
    logits = [3.0, 2.0, 1.0]
    assert after(model, logits, seen, presence_penalty=1.0, repeat_last_n=10)[0] == (
        pytest.approx(softmax([3.0, 2.0, 0.0])[0])
    )
    assert after(model, logits, seen, presence_penalty=1.0, repeat_last_n=-1)[0] == (
        pytest.approx(softmax([2.0, 2.0, 0.0])[0])
    )


def test_penalties_after_a_stage_that_removed_and_sorted_candidates(model):
    order = ["top_k", "penalties"]
    logits = [0.0, 3.0, 1.0, 2.0]
    result = after(model, logits, (0, 3), presence_penalty=1.5, top_k=2, sampler_order=order)
    assert result == pytest.approx(dict(zip((1, 3), softmax([3.0, 0.5]), strict=True)))


def test_the_order_of_stages_matters(model):
    last = after(model, FIVE, temperature=2.0, min_p=0.3)
    first = after(model, FIVE, temperature=2.0, min_p=0.3, sampler_order=["temperature", "min_p"])
    assert set(last) == {0, 1, 2}
    assert set(first) == {0, 1, 2, 3, 4}  # flattened before, all are above 0.3 of the best


def test_a_stage_left_out_of_the_order_does_nothing(model):
    assert len(after(model, FIVE, top_k=1, sampler_order=["temperature"])) == 5


def test_temperature_zero_takes_the_most_probable_token_after_penalties(model):
    sampler = Chain(model, set_to(temperature=0.0, presence_penalty=1.0), 1, 512)
    assert sampler.stages == ["penalties", "greedy"]
    array = candidates((ctypes.c_float * 3)(2.0, 1.5, 0.0), 3)
    llama().llama_sampler_accept(sampler.handle, 0)
    llama().llama_sampler_apply(sampler.handle, ctypes.byref(array))
    assert array.data[array.selected].id == 1
    sampler.close()


def test_truncation_still_counts_at_temperature_zero_before_a_stage_that_reorders(model):
    # XTC never removes the last token: with one candidate left it has nothing to choose from.
    values = {"temperature": 0.0, "xtc_probability": 1.0, "xtc_threshold": 0.12}
    for top_k, best in ((1, 0), (0, 2)):
        sampler = Chain(model, set_to(top_k=top_k, **values), 1, 512)
        array = candidates((ctypes.c_float * 5)(*FIVE), 5)
        llama().llama_sampler_apply(sampler.handle, ctypes.byref(array))
        assert array.data[array.selected].id == best
        sampler.close()


def test_neutral_settings_leave_their_stages_out(model):
    sampler = Chain(model, set_to(), 1, 512)
    assert sampler.stages == ["dist"]
    sampler.close()


def test_the_default_chain_has_llama_cpps_stages_in_its_order(model):
    sampler = Chain(model, resolve([]), 1, 512)
    assert sampler.stages == ["top_k", "top_p", "min_p", "temperature", "dist"]
    sampler.close()


@pytest.mark.parametrize(("version", "name"), [(1, "mirostat"), (2, "mirostat_v2")])
def test_mirostat_replaces_truncation_and_draw(model, version, name):
    sampler = Chain(model, set_to(mirostat=version, top_k=5, presence_penalty=1.0), 1, 512)
    assert sampler.stages == ["penalties", name]
    sampler.close()


def test_adaptive_p_replaces_the_draw(model):
    sampler = Chain(model, set_to(adaptive_p_target=0.3, min_p=0.1), 1, 512)
    assert sampler.stages == ["min_p", "adaptive_p"]
    sampler.close()


def test_dry_forbids_repeating_a_sequence(model):
    # After 5 6 7 … 5 6, token 7 would repeat a sequence of two, one longer than allowed.
    result = after(
        model,
        [1.0] * 10,
        (5, 6, 7, 8, 5, 6),
        dry_multiplier=2.0,
        dry_allowed_length=1,
        dry_base=1.5,
        dry_sequence_breakers=["\n"],
    )
    penalty = 2.0 * 1.5 ** (2 - 1)
    assert result[7] == pytest.approx(softmax([1.0] * 9 + [1.0 - penalty])[9], abs=1e-6)


def test_ignore_eos_forbids_every_end_token(model):
    sampler = Chain(model, set_to(ignore_eos=True), 1, 512)
    result = distribution(sampler, [0.0] * model.n_vocab)
    assert model.end_tokens and all(result[token] == 0.0 for token in model.end_tokens)
    sampler.close()


def test_draws_follow_the_distribution(model):
    sampler = Chain(model, set_to(top_k=3), 42, 512)
    array_type = ctypes.c_float * 5
    draws: Counter[int] = Counter()
    for _ in range(5000):
        array = candidates(array_type(*FIVE), 5)
        llama().llama_sampler_apply(sampler.handle, ctypes.byref(array))
        draws[array.data[array.selected].id] += 1
    sampler.close()
    for token, p in {0: 0.4 / 0.85, 1: 0.3 / 0.85, 2: 0.15 / 0.85}.items():
        assert draws[token] / 5000 == pytest.approx(p, abs=0.03)  # four standard deviations


def test_a_bias_for_a_token_that_does_not_exist_is_refused(model):
    with pytest.raises(Exception, match="does not exist"):
        Chain(model, set_to(logit_bias={"999999": 1.0}), 1, 512)


numbers = st.floats(-20, 20, allow_nan=False, width=32)


@settings(max_examples=300, deadline=None)
@given(
    logits=st.lists(numbers, min_size=2, max_size=12),
    seen=st.lists(st.integers(0, 11), max_size=30),
    repeat=st.floats(0.5, 3, width=32),
    frequency=st.floats(-2, 2, width=32),
    presence=st.floats(-2, 2, width=32),
    window=st.integers(1, 20),
)
def test_penalties_equal_llama_cpps_own(model, logits, seen, repeat, frequency, presence, window):
    ours = after(
        model,
        logits,
        tuple(seen),
        repeat_penalty=repeat,
        frequency_penalty=frequency,
        presence_penalty=presence,
        repeat_last_n=window,
    )
    lib = llama()
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    stage = lib.llama_sampler_init_penalties(model.n_vocab, window, repeat, frequency, presence)
    lib.llama_sampler_chain_add(chain, stage)
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(1))
    for token in seen:
        lib.llama_sampler_accept(chain, token)
    array = candidates((ctypes.c_float * len(logits))(*logits), len(logits))
    lib.llama_sampler_apply(chain, ctypes.byref(array))
    theirs = {array.data[i].id: array.data[i].p for i in range(array.size)}
    lib.llama_sampler_free(chain)
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_the_distribution_after_xtc_is_of_what_it_left(model):
    """XTC drops the best tokens by moving the beginning of the array."""
    logits = np.full(model.n_vocab, -20.0, dtype=np.float32)
    logits[[5, 6, 7]] = [3.0, 2.9, 2.8]
    sampler = Sampler(model, set_to(xtc_probability=1.0, xtc_threshold=0.1), 1, 64)
    pointer = logits.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    probabilities = sampler.distribution(pointer)
    sampler.close()
    assert probabilities[7] == pytest.approx(1, abs=1e-3)
    assert probabilities[5] == probabilities[6] == 0
