"""llama.cpp's sampler chain against its oracle in numpy: what is kept, what is drawn.

The oracle computes in double precision and llama.cpp in single, so here and there a sum
falls on the other side of a threshold. Such cases are found by moving the threshold a
little, and counted: there may be few. So are choices among equal logits, which llama.cpp's
sort leaves to chance.
"""

import ctypes
import math
from collections import Counter
from contextlib import closing
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from oracle import Reference, truncation
from oracle.candidates import Candidates
from oracle.draws import Draw, Mirostat
from oracle.history import Vocabulary
from oracle.truncation import DynamicTemperature, TopNSigma, Typical, Xtc

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.candidates import candidates
from llmparams_cli.backends.llama.sampling.chain import Chain
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models import builtin
from llmparams_cli.models.resolve import find_model
from llmparams_cli.models.stores import BUILTIN
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.params.table import SAMPLER_STAGES
from llmparams_cli.protocol import Message, Request

FLAG = Origin(Source.FLAG, "--test")
CONTEXT = 64
NEAR = 1e-5
DRAWS = ("greedy", "dist", "mirostat", "mirostat_v2", "adaptive_p")
THRESHOLDS = {  # the field that decides what each truncating stage keeps
    "top_n_sigma": "n",
    "typical_p": "p",
    "top_p": "p",
    "min_p": "p",
    "xtc": "threshold",
}


@pytest.fixture(scope="module")
def model():
    loaded = Model(builtin.PATH, llama().llama_model_default_params())
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def vocabulary(model):
    return Vocabulary(
        tuple(detokenize(model, token) for token in range(model.n_vocab)),
        lambda text: tokenize(model, text),
        tuple(model.end_tokens),
        tuple(model.suppressed_tokens),
    )


def detokenize(model: Model, token: int) -> bytes:
    buffer = ctypes.create_string_buffer(64)
    count = llama().llama_detokenize(
        model.vocab, (ctypes.c_int32 * 1)(token), 1, buffer, len(buffer), False, True
    )
    return buffer.raw[:count]


def tokenize(model: Model, text: bytes) -> list[int]:
    buffer = (ctypes.c_int32 * 64)()
    count = llama().llama_tokenize(model.vocab, text, len(text), buffer, 64, False, False)
    return buffer[:count]


def settings(**values):
    return resolve(Assignment(name, value, FLAG) for name, value in values.items())


class Pair:
    """The real sampler and the oracle, from the same settings."""

    def __init__(self, model, vocabulary, values, seed, context=CONTEXT):
        self.values = values
        self.real = Chain(model, settings(**values), seed, context)
        self.oracle = Reference(settings(**values), seed, vocabulary, context)
        assert self.oracle.stages == self.real.stages, values

    def close(self):
        self.real.close()

    def show(self, tokens):
        self.real.show_prompt(tokens)
        self.oracle.show_prompt(tokens)

    def accept(self, token):
        self.real.accept(token)
        self.oracle.accept(token)

    def draw(self, logits):
        """The real one's candidates and token after all stages; the oracle's."""
        array = as_array(logits)
        llama().llama_sampler_apply(self.real.handle, ctypes.byref(array))
        last = self.oracle.apply(logits)[-1]
        return table(array), drawn(array), Candidates(last.ids, last.logits)

    def compare_stages(self, logits, count):
        """Put the same candidates through both, stage by stage; the token, or None where
        rounding made it another one.
        """
        array = as_array(logits)
        lib = llama()
        for place, (name, stage) in enumerate(self.oracle.chain):
            before = table(array)
            handle = lib.llama_sampler_chain_get(self.real.handle, place)
            lib.llama_sampler_apply(handle, ctypes.byref(array))
            after = table(array)
            if undefined(stage, before):
                count["undefined", name] += 1
                if isinstance(stage, Draw):
                    return None
                continue
            expected = stage.apply(before)
            verdict = judge(name, stage, before, expected, after)
            count[verdict, name] += 1
            assert verdict != "wrong", (name, self.values, stage, before, expected, after)
        token = drawn(array)
        if stage.token == token:
            return token
        one, other = (before.logits[before.ids == each] for each in (token, stage.token))
        assert stage.margin < NEAR or one == other or verdict == "rounded", (self.values, stage)
        count["rounded", name] += 1
        return None


def as_array(logits):
    return candidates((ctypes.c_float * len(logits))(*logits), len(logits))


def table(array) -> Candidates:
    """A copy of the candidates, which may begin anywhere in the array."""
    address = ctypes.addressof(array.data.contents)
    start = (address - array.table.ctypes.data) // array.table.itemsize
    part = array.table[start : start + array.size]
    return Candidates(part["id"].copy(), part["logit"].copy())


def drawn(array) -> int:
    return int(array.data[array.selected].id)


def undefined(stage, before: Candidates) -> bool:
    """Is single precision too coarse here? A probability of 0 makes NaN of the slope that
    Mirostat 1 fits to the best candidates, so that its k is 1, and of typical_p's entropy, so
    that it keeps what it happens to. Of very far logits, DRY's work, top_n_sigma's squares
    overflow.
    """
    logits = before.best_first().logits
    if isinstance(stage, TopNSigma):
        return bool(np.abs(logits[logits > -np.inf]).max() > 1e15)
    if isinstance(stage, Typical | Mirostat):
        last = logits[: stage.m][-1] if isinstance(stage, Mirostat) else logits[-1]
        return bool(logits[0] - last > 87)
    return False


def judge(name, stage, before, expected, after) -> str:
    found = compare(expected, after)
    if found != "wrong":
        return found
    if isinstance(stage, Draw):  # a truncation by mirostat
        return "rounded" if abs(len(expected) - len(after)) <= 1 else "wrong"
    left = [nudged.apply(before) for nudged in nudge(name, stage)]
    if isinstance(stage, Typical | DynamicTemperature):
        left += [with_entropy(stage, before, more) for more in (-1e-6, 1e-6)]
    return "rounded" if any(compare(each, after) != "wrong" for each in left) else "wrong"


def nudge(name, stage):
    """The same stage with a threshold that is a little higher, or lower."""
    field = THRESHOLDS.get(name)
    always = {"random": Always()} if isinstance(stage, Xtc) else {}
    for factor in (1 - NEAR, 1 + NEAR) if field else ():
        yield replace(stage, **{field: getattr(stage, field) * factor}, **always)


def with_entropy(stage, before, more):
    """What the stage leaves where the entropy's sum comes out a little higher, or lower."""
    entropy = truncation._entropy
    with mock.patch.object(truncation, "_entropy", lambda p: max(0.0, entropy(p) + more)):
        return stage.apply(before)


class Always:
    """A random number at which XTC acts."""

    def single(self):
        return 0.0


def compare(expected: Candidates, after: Candidates) -> str:
    """'same' candidates and probabilities; 'tied' where equal logits were exchanged (which
    of the forbidden ones stay behind does not matter).
    """
    expected, after = possible(expected), possible(after)
    if len(expected) != len(after):
        return "wrong"
    ours, theirs = np.argsort(expected.ids), np.argsort(after.ids)
    if np.array_equal(expected.ids[ours], after.ids[theirs]):
        verdict = "same"
    else:  # compare by rank
        ours, theirs = np.argsort(expected.logits), np.argsort(after.logits)
        verdict = "tied"
    p, q = expected.probabilities()[ours], after.probabilities()[theirs]
    logits, others = (  # far out, single precision is coarse
        np.clip(each, -100, 100) for each in (expected.logits[ours], after.logits[theirs])
    )
    close = np.allclose(logits, others, rtol=1e-4, atol=1e-4)
    return verdict if close and np.abs(p - q).max() < NEAR else "wrong"


def possible(left: Candidates) -> Candidates:
    return left.at(left.logits > -np.inf)


BREAKERS = (["\n", ":", '"', "*"], ["the", "a b", ", and"], ["eeee"], ["é—", ""])


def random_settings(random: np.random.Generator) -> dict[str, object]:
    """Every stage is on in some cases and off in others."""

    def some(share, value, otherwise):
        return value if random.random() < share else otherwise

    def real(low, high):
        return float(random.uniform(low, high))

    def whole(low, high):
        return int(random.integers(low, high))

    order = list(SAMPLER_STAGES)
    if random.random() < 0.5:
        rest = random.permutation(order[1:])[: whole(1, len(order))].tolist()
        order = ["logit_bias", *rest]  # elsewhere, llama.cpp forgets that it changes the order
    keys = (str(whole(0, 8)), str(whole(0, 8)), "a b")
    bias = {key: some(0.2, -math.inf, real(-5, 5)) for key in keys}
    return {
        "sampler_order": order,
        "ignore_eos": some(0.1, True, False),
        "logit_bias": some(0.2, bias, {}),
        "temperature": some(0.9, real(0.1, 3), some(0.5, 0.0, 1.0)),
        "dynatemp_range": some(0.2, real(0, 2), 0.0),
        "dynatemp_exponent": real(0.2, 3),
        "top_k": some(0.4, whole(1, 60), 0),
        "top_p": some(0.4, real(0, 1), 1.0),
        "min_p": some(0.4, real(0, 1) ** 3, 0.0),
        "typical_p": some(0.3, real(0, 1), 1.0),
        "top_n_sigma": some(0.2, real(0, 3), -1.0),
        "xtc_probability": some(0.3, some(0.3, 1.0, real(0, 1)), 0.0),
        "xtc_threshold": real(0.001, 0.55),
        "repeat_penalty": some(0.3, real(0.5, 2.5), 1.0),
        "repeat_penalty_growth": some(0.3, "exponential", "once"),
        "repeat_last_n": some(0.5, whole(0, 30), -1),
        "frequency_penalty": some(0.2, real(-2, 2), 0.0),
        "presence_penalty": some(0.2, real(-2, 2), 0.0),
        "dry_multiplier": some(0.3, real(0.1, 5), 0.0),
        "dry_base": some(0.8, real(1, 3), some(0.5, 1.0, 100.0)),
        "dry_allowed_length": whole(0, 4),
        "dry_last_n": some(0.3, whole(1, 30), -1),
        "dry_sequence_breakers": BREAKERS[whole(0, len(BREAKERS))],
        "mirostat": some(0.4, whole(1, 3), 0),
        "mirostat_tau": real(0.5, 8),
        "mirostat_eta": real(0, 1),
        "adaptive_p_target": some(0.3, real(0, 1), -1.0),
        "adaptive_p_decay": real(0, 0.99),
    }


def random_logits(random: np.random.Generator, size: int, ties: float = 0.0) -> list[float]:
    logits = random.normal(0, random.uniform(0.5, 6), size).astype(np.float32)
    if random.random() < ties:
        logits[random.integers(0, size, 3)] = logits[random.integers(0, size)]
    if random.random() < 0.02:
        logits[random.integers(0, size)] += 1000  # certain: there is no entropy
    return logits.tolist()


def random_text(
    random: np.random.Generator, vocabulary: Vocabulary, breakers: list[str]
) -> list[int]:
    """Few different tokens, often the same ones again and again, and now and then a sequence
    breaker, or what might have become one.
    """
    text: list[int] = []
    for _ in range(random.integers(0, 40)):
        if random.random() < 0.15:
            word = breakers[random.integers(0, len(breakers))].encode() * 2
            start, end = sorted(random.integers(0, len(word) + 1, 2))
            text += vocabulary.tokenize(word[start:end])
        else:
            text.append(int(random.integers(0, 8)))
    period = int(40 ** random.random())
    return (text[:period] * 40)[: len(text)]


def at_most_one_in_a_hundred(count: Counter) -> bool:
    """Of what each stage did, as little was decided by rounding or among equal logits."""
    totals: Counter = Counter()
    for (_, name), number in count.items():
        totals[name] += number
    unsure = {name: count["rounded", name] + count["tied", name] for name in totals}
    return all(unsure[name] * 100 <= totals[name] for name in totals)


def pairs(model, vocabulary, seed, number):
    """Random settings, a random text that was seen, and the size of the vocabulary."""
    random = np.random.default_rng(seed)
    for _ in range(number):
        values, chance = random_settings(random), int(random.integers(0, 2**32 - 1))
        with closing(Pair(model, vocabulary, values, chance)) as pair:
            pair.show(random_text(random, vocabulary, values["dry_sequence_breakers"]))
            yield pair, random, int(random.integers(5, 500))


def test_every_stage_keeps_what_the_oracle_keeps(model, vocabulary):
    count: Counter = Counter()
    for pair, random, size in pairs(model, vocabulary, 1, 2200):
        for _ in range(5):
            token = pair.compare_stages(random_logits(random, size, ties=0.02), count)
            if token is None:
                break
            pair.accept(token)
    assert {name for _, name in count} >= {"suppress", *SAMPLER_STAGES, *DRAWS}
    assert sum(count["same", name] for name in DRAWS) >= 10_000
    assert at_most_one_in_a_hundred(count), count
    assert count["undefined", "mirostat"] < 150
    assert count["undefined", "typical_p"] < 500
    assert count["undefined", "top_n_sigma"] < 50


def test_whole_chains_keep_and_draw_the_same(model, vocabulary):
    unsure = {True: 0, False: 0}  # with and without typical_p, see `undefined`
    cases = 0
    for pair, random, size in pairs(model, vocabulary, 2, 500):
        for _ in range(10):
            cases += 1
            logits = random_logits(random, size)
            left, token, expected = pair.draw(logits)
            if pair.oracle.last.token != token or compare(expected, left) == "wrong":
                unsure["typical_p" in pair.oracle.stages] += 1
                break
            pair.accept(token)
    assert cases > 4_000
    assert unsure[True] * 100 <= cases, unsure
    assert unsure[False] * 1000 <= cases, unsure


def test_among_equal_logits_each_stage_keeps_as_many(model, vocabulary):
    count: Counter = Counter()
    for pair, random, size in pairs(model, vocabulary, 3, 200):
        pair.compare_stages(np.round(random_logits(random, size)).tolist(), count)
    assert count["same", "top_k"] and count["tied", "top_k"]


def test_the_built_in_models_answers_are_the_oracles(model, vocabulary, cache):
    """Whole runs of the engine: from the logits that it recorded, the oracle and another real
    chain draw what it drew.
    """
    env = Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, quiet=True)
    random = np.random.default_rng(4)
    drawn = unsure = 0
    with (
        Control() as control,
        opened(env, find_model(BUILTIN, env), settings(), control) as backend,
    ):
        for seed in range(20):
            more = {"seed": seed, "max_tokens": 30, "threads": 1, "penalize_prompt": seed % 2 == 0}
            same = same_answer(backend, model, vocabulary, random_settings(random) | more)
            drawn += len(same)
            unsure += not all(same)
    assert drawn > 300
    assert unsure <= 1


def same_answer(backend, model, vocabulary, values) -> list[bool]:
    """Let the model answer; for each token until they differ, did the oracle draw the same?"""
    messages = (Message("user", "What is top-k, and what is top-p?"),)
    request = Request(messages, settings(**values), record=True)
    (_, started), *_, (_, finished) = backend.answer([request])
    same: list[bool] = []
    with (
        closing(finished.trace) as trace,
        closing(Pair(model, vocabulary, values, started.seed, started.context)) as pair,
    ):
        if values["penalize_prompt"]:
            pair.show(list(started.tokens))
        for view in trace.views(model.n_vocab, lambda _done: None):
            logits = np.zeros(model.n_vocab, dtype=np.float32)
            logits[[token for token, _ in view.candidates]] = view.model.logits
            left, again, expected = pair.draw(logits.tolist())
            assert again == view.id
            drew = pair.oracle.last.token == view.id
            same.append(drew and compare(expected, left) != "wrong")
            if not same[-1]:
                break
            pair.accept(view.id)
    return same
