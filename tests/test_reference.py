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

import numpy as np
import pytest

from llmparams_cli.engine.chain import Sampler, candidates
from llmparams_cli.engine.generate import Engine
from llmparams_cli.engine.interrupt import Interrupt
from llmparams_cli.engine.library import llama
from llmparams_cli.engine.llama import Model
from llmparams_cli.engine.reference import Reference
from llmparams_cli.engine.reference.candidates import Candidates
from llmparams_cli.engine.reference.draws import Draw
from llmparams_cli.engine.reference.history import Vocabulary
from llmparams_cli.engine.reference.truncation import Typical, Xtc
from llmparams_cli.env import Environment
from llmparams_cli.models import builtin
from llmparams_cli.models.resolve import resolve as resolve_model
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.params.table import SAMPLER_STAGES
from llmparams_cli.protocol import Message, Request

FLAG = Origin(Source.FLAG, "--test")
CONTEXT = 64
NEAR = 1e-5
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


OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


class Pair:
    """The real sampler and the oracle, from the same settings."""

    def __init__(self, model, vocabulary, values, seed):
        self.values = values
        self.real = Sampler(model, settings(**values), seed, CONTEXT)
        self.oracle = Reference(settings(**values), seed, vocabulary, CONTEXT)
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
        llama().llama_sampler_apply(self.real.chain, ctypes.byref(array))
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
            handle = lib.llama_sampler_chain_get(self.real.chain, place)
            lib.llama_sampler_apply(handle, ctypes.byref(array))
            after = table(array)
            if isinstance(stage, Typical) and impossible(before):
                count["undefined", name] += 1
                continue
            expected = stage.apply(before)
            verdict = judge(name, stage, before, expected, after)
            count[verdict, name] += 1
            assert verdict != "wrong", (name, self.values, stage, before, expected, after)
        return self._token(stage, drawn(array), table(array), count)

    def _token(self, draw, token, left, count):
        if draw.token == token:
            return token
        tied = left.logits[left.ids == token] == left.logits[left.ids == draw.token]
        assert draw.margin < NEAR or tied.any(), (self.values, draw, token)
        count["rounded", "token"] += 1
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


def impossible(left: Candidates) -> bool:
    """Is there a candidate of probability 0? Of its surprise llama.cpp makes NaN."""
    return bool((left.logits - left.logits.max()).min() < -87)


def judge(name, stage, before, expected, after) -> str:
    found = compare(expected, after)
    if found != "wrong":
        return found
    if isinstance(stage, Draw):  # a truncation by mirostat
        return "rounded" if abs(len(expected) - len(after)) <= 1 else "wrong"
    for nudged in nudge(name, stage):
        if compare(nudged.apply(before), after) != "wrong":
            return "rounded"
    return "wrong"


def nudge(name, stage):
    """The same stage with a threshold that is a little higher, or lower."""
    field = THRESHOLDS.get(name)
    always = {"random": Always()} if isinstance(stage, Xtc) else {}
    for factor in (1 - NEAR, 1 + NEAR) if field else ():
        yield replace(stage, **{field: getattr(stage, field) * factor}, **always)


class Always:
    """A random number at which XTC acts."""

    def single(self):
        return 0.0


def compare(expected: Candidates, after: Candidates) -> str:
    """'same' candidates and probabilities; 'tied' where equal logits were exchanged."""
    if len(expected) != len(after):
        return "wrong"
    ours, theirs = np.argsort(expected.ids), np.argsort(after.ids)
    if np.array_equal(expected.ids[ours], after.ids[theirs]):
        verdict = "same"
    else:  # compare by rank
        ours, theirs = np.argsort(expected.logits), np.argsort(after.logits)
        verdict = "tied"
    p, q = expected.probabilities()[ours], after.probabilities()[theirs]
    close = np.allclose(expected.logits[ours], after.logits[theirs], rtol=1e-3, atol=1e-3)
    return verdict if close and np.abs(p - q).max() < NEAR else "wrong"


BREAKERS = (["\n", ":", '"', "*"], ["the", "a b"], [", and"], ["é—", ""])


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
        rest = random.permutation(order[1:])[: whole(1, len(order))]
        order = ["logit_bias", *map(str, rest)]
    bias = {str(whole(0, 8)): some(0.2, -math.inf, real(-5, 5)) for _ in range(3)}
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
        "dry_base": some(0.8, real(1, 3), 1.0),
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
    return logits.tolist()


def random_text(random: np.random.Generator) -> list[int]:
    """Few different tokens, so that sequences repeat; the breakers' among them."""
    words = random.integers(0, 8, random.integers(0, 40)).tolist()
    return [28 if random.random() < 0.05 else word for word in words]


def report(count: Counter) -> None:
    """Fail where rounding decided more than a hundredth of what any stage did. Equal logits,
    of which the cases have many on purpose, may be exchanged.
    """
    for name in {name for _, name in count} - {"token"}:
        total = sum(n for (_, each), n in count.items() if each == name)
        assert count["rounded", name] <= 0.01 * total, (name, count)
        assert count["tied", name] <= 0.1 * total, (name, count)


def test_every_stage_keeps_what_the_oracle_keeps(model, vocabulary):
    random = np.random.default_rng(1)
    count: Counter = Counter()
    cases = 0
    while cases < 10_000:
        size = int(random.integers(5, 500))
        seed = int(random.integers(0, 2**32 - 1))
        with closing(Pair(model, vocabulary, random_settings(random), seed)) as pair:
            pair.show(random_text(random))
            for _ in range(5):
                cases += 1
                token = pair.compare_stages(random_logits(random, size, ties=0.02), count)
                if token is None:
                    break
                pair.accept(token)
    report(count)
    assert count["rounded", "token"] < cases * 0.001


def test_real_runs_are_drawn_as_the_oracle_draws(vocabulary, cache):
    """The real engine's logits and tokens, under many settings."""
    env = Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, quiet=True)
    found = resolve_model(None, env)
    random = np.random.default_rng(2)
    draws = near = 0
    with Interrupt() as interrupt, Engine(env, found, settings(threads=1), interrupt) as engine:
        for seed in range(20):
            values = {**random_settings(random), "seed": seed, "max_tokens": 30, "threads": 1}
            values["typical_p"] = 1.0  # undefined beside candidates of probability 0
            chosen = settings(**values)
            request = Request((Message("user", "Tell me a story about a bear."),), chosen)
            with engine.recording() as recording:
                started, *_ = engine.generate(request, recording)
                oracle = Reference(chosen, seed, vocabulary, started.context)
                for logits, token in recording.rows():
                    oracle.apply(logits.tolist())
                    draw = oracle.chain[-1][1]
                    draws += 1
                    if draw.token != token:
                        near += 1
                        assert draw.margin < NEAR, (values, draw.token, token, draw.margin)
                        break
                    oracle.accept(token)
    assert draws > 300
    assert near <= draws * 0.01
