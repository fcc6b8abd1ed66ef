"""What llguidance allows is what the grammar says, and a draw within it is an ordinary draw.

The oracle for masks is llama.cpp's own machine, given the same grammar as GBNF.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asked import ends, raw
from asked import settings as set_to
from hypothesis import given, settings
from hypothesis import strategies as st
from models import (
    CONTROL,
    CONTROL_TOKENS,
    NORMAL,
    USER_DEFINED,
    byte_level,
    sentencepiece,
    write_llama,
)

from llmparams_cli.backends.llama.decoding.recording import pointer
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling import grammar, matcher
from llmparams_cli.backends.llama.sampling.candidates import candidates
from llmparams_cli.backends.llama.sampling.chain import GRAMMAR
from llmparams_cli.backends.llama.sampling.grammar import Grammar
from llmparams_cli.backends.llama.sampling.matcher import Engine
from llmparams_cli.backends.llama.sampling.phases import Phases
from llmparams_cli.backends.llama.sampling.sampler import Sampler
from llmparams_cli.constraints.wanted import Constraint, Notation
from llmparams_cli.errors import BackendError, UsageError
from llmparams_cli.models import builtin
from llmparams_cli.text.speech import PLAIN, Phase

ENDLESS = "|".join(f"[a-z]*{chr(97 + place)}[a-z]{{{500 + place}}}" for place in range(20))


@contextmanager
def loaded(path: Path) -> Iterator[Model]:
    params = llama().llama_model_default_params()
    params.vocab_only = path != builtin.PATH
    with closing(Model(path, params)) as model:
        yield model


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with loaded(builtin.PATH) as model:
        yield model


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A SentencePiece vocabulary: bytes beside the letters that they are, blanks before words."""
    metadata = sentencepiece()
    path = tmp_path_factory.mktemp("spm") / "spm.gguf"
    size = len(metadata["tokenizer.ggml.tokens"])
    with loaded(write_llama(path, vocabulary=size, metadata=metadata)) as model:
        yield model


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """Two tokens that end a text, one that is read in every text, one longer than its parts."""
    more = {"<|eot_id|>": CONTROL, "<b>": USER_DEFINED, "ab": NORMAL, "<|x|>": CONTROL}
    metadata = byte_level(300)
    metadata["tokenizer.ggml.tokens"] += [*more]
    metadata["tokenizer.ggml.token_type"] += [*more.values()]
    path = tmp_path_factory.mktemp("odd") / "odd.gguf"
    with loaded(write_llama(path, vocabulary=304, metadata=metadata)) as model:
        yield model


def regex(text: str, origin: str = "test") -> Constraint:
    from llguidance import LLMatcher

    return Constraint(Notation.LLGUIDANCE, LLMatcher.grammar_from_regex(text), origin, "a hint")


def gbnf(rule: str) -> Constraint:
    return Constraint(Notation.GBNF, f"root ::= {rule}", "test", "")


def left(grammar: Grammar, model: Model) -> list[int]:
    """The tokens that may come next, an end among them."""
    ids: list[int] = grammar.left(np.zeros(model.n_vocab, np.float32)).table["id"].tolist()
    return ids


def write(grammar: Grammar, model: Model, text: str) -> None:
    for token in model.tokenize(text, goes_on=True):
        assert grammar.allows(token), model.name(token)
        grammar.accept(token)


# What is allowed


LETTERS = st.text('ab{"é \n', min_size=1, max_size=3)
Both = tuple[str, str]  # GBNF, and a regular expression


def literal(text: str) -> Both:
    quoted = text.replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"', re.escape(text).replace("\\\n", "\\n").replace("\\ ", " ")


def joined(parts: Sequence[Both]) -> Both:
    return f"({' '.join(p[0] for p in parts)})", f"({''.join(p[1] for p in parts)})"


def either(parts: Sequence[Both]) -> Both:
    return f"({' | '.join(p[0] for p in parts)})", f"({'|'.join(p[1] for p in parts)})"


def repeated(part: Both, how: str) -> Both:
    return f"({part[0]}){how}", f"({part[1]}){how}"


RULES = st.recursive(
    LETTERS.map(literal) | st.sampled_from([("[a-c]", "[a-c]"), ("[а-г]", "[а-г]")]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(joined)
        | st.lists(inner, min_size=2, max_size=3).map(either)
        | st.builds(repeated, inner, st.sampled_from(["*", "?", "+", "{0,2}", "{2,3}"]))
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("vocabulary", ["model", "pieces", "odd"])
def test_what_may_follow_is_what_llama_cpp_says(
    vocabulary: str, request: pytest.FixtureRequest
) -> None:
    model: Model = request.getfixturevalue(vocabulary)
    # Not those of `pieces`: llama.cpp takes the names of control tokens for text.
    nameless = {token for token in range(model.n_vocab) if model.is_control(token)}
    nameless -= {*model.end_tokens}

    @settings(max_examples=40, deadline=None, database=None)
    @given(RULES, st.randoms(use_true_random=False))
    def check(rule: Both, chance: random.Random) -> None:
        one, two = grammar.made(model, gbnf(rule[0])), grammar.made(model, regex(rule[1]))
        with closing(one), closing(two):
            for _ in range(8):
                found = left(two, model)
                assert found == [t for t in left(one, model) if t not in nameless], rule
                assert one.is_complete() == two.is_complete()
                for token in [*range(0, model.n_vocab, 7), *found[:20], *model.end_tokens]:
                    assert two.allows(token) == (token in found), model.name(token)
                going = [token for token in found if token not in model.end_tokens]
                if not going:
                    break
                token = chance.choice(going)
                one.accept(token)
                two.accept(token)

    check()


def test_control_tokens_are_no_text(odd: Model) -> None:
    free = grammar.made(odd, regex("(?s:.)*"))
    names = {odd.name(token) for token in left(free, odd)}
    assert not names & {*CONTROL_TOKENS, "<|x|>"} - {"<|end|>"}
    assert {"<b>", "a", "<|eot_id|>", "<|end|>"} <= names
    for token in range(odd.n_vocab):
        assert free.allows(token) == (token in left(free, odd))


def test_tokens_that_are_judged_together_are_judged_alike(pieces: Model) -> None:
    """Those that may stand in a string, of which there may be more or less room."""
    for room in ("*", "{0,40}", "{3}"):
        some = grammar.made(pieces, regex(rf'"[^"\\\x00-\x1f\x7f]{room}"'))
        for text in ('"', "t", "he"):
            write(some, pieces, text)
            found = left(some, pieces)
            allowed = [token for token in range(pieces.n_vocab) if some.allows(token)]
            assert found == allowed
            assert len(found) > 10 or room == "{3}"


def test_every_end_is_allowed_when_the_grammar_accepts(odd: Model) -> None:
    assert len(odd.end_tokens) == 2
    some = grammar.made(odd, regex("ab?"))
    assert not set(odd.end_tokens) & set(left(some, odd))
    write(some, odd, "a")
    assert set(odd.end_tokens) < set(left(some, odd))
    write(some, odd, "b")
    assert left(some, odd) == odd.end_tokens
    some.accept(odd.end_tokens[1])
    assert some.is_complete()


def test_a_character_may_be_written_byte_by_byte(pieces: Model) -> None:
    some = grammar.made(pieces, regex("é"))
    first, second = pieces.tokenize("é", goes_on=True)
    assert [pieces.name(token) for token in left(some, pieces)] == [pieces.name(first)]
    some.accept(first)
    assert not some.is_complete()
    assert left(some, pieces) == [second]


def test_what_is_forced_is_told_and_changes_nothing(model: Model) -> None:
    asked, silent = (grammar.made(model, regex('\\{"name": "(x|y)"\\}')) for _ in range(2))
    assert asked.forced() == b'{"name": "'
    for text in ('{"na', 'me": "', "x", '"}'):
        assert asked.forced().decode().startswith(text) or text == "x"
        assert left(asked, model) == left(silent, model)
        write(asked, model, text)
        write(silent, model, text)
    assert asked.forced() == b""
    assert left(asked, model) == left(silent, model) == model.end_tokens


# How a token is drawn within it


WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "by probability": {"temperature": 1.0},
    "top_p": {"temperature": 1.5, "top_p": 0.5, "top_k": 0},
    "penalties": {"temperature": 1.0, "repeat_penalty": 1.3, "frequency_penalty": 0.5},
    "dry": {"temperature": 1.0, "dry_multiplier": 0.8, "dry_allowed_length": 1},
    "xtc": {"temperature": 1.0, "xtc_probability": 0.5},
    "mirostat": {"temperature": 1.0, "mirostat": 2},
    "bias": {"temperature": 1.0, "logit_bias": {"a": 2.0}},
}


def sampler(model: Model, constraint: Constraint, seed: int = 0, **values: Any) -> Sampler:
    phases = Phases(model, PLAIN, Phase.ANSWER, grammar.made(model, constraint))
    return Sampler(model, set_to(**values), seed, 512, phases)


def rows(model: Model, count: int, seed: int) -> Any:
    """Logits as of a model that does not know what it wants."""
    return np.random.default_rng(seed).normal(0, 3, (count, model.n_vocab)).astype(np.float32)


@pytest.mark.parametrize("values", WAYS.values(), ids=WAYS)
def test_a_draw_is_one_among_all_with_the_others_at_minus_infinity(
    model: Model, values: dict[str, Any]
) -> None:
    """Random numbers, penalties and other memories go the same way, too."""
    for seed in range(4):
        ours = sampler(model, regex("[ab]{1,4}( [ab]{1,4})*"), seed, **values)
        plain = Sampler(model, set_to(**values), seed, 512)
        walked = sampler(model, regex("[ab]{1,4}( [ab]{1,4})*"), seed, **values)
        state = grammar.made(model, regex("[ab]{1,4}( [ab]{1,4})*"))
        with closing(ours), closing(plain), closing(walked):
            for row in rows(model, 12, seed):
                drawn = ours.draw(pointer(row))
                steps, again = walked.walk(pointer(row))
                expected = plain.draw(pointer(row))
                if expected not in left(state, model):
                    table = candidates(pointer(row), model.n_vocab)
                    forbidden = np.setdiff1d(np.arange(model.n_vocab), left(state, model))
                    table.table["logit"][forbidden] = -np.inf
                    expected = plain.chain.draw(table)
                    assert steps[0][0] == GRAMMAR
                    assert steps[0][1]["id"].tolist() == left(state, model)
                assert drawn == again == expected
                if drawn in model.end_tokens:
                    break
                for each in (ours, plain, walked, state):
                    each.accept(drawn)


def test_a_grammar_that_is_complete_ends_the_text(model: Model) -> None:
    with closing(sampler(model, regex("ab"))) as ours:
        for token in model.tokenize("ab", goes_on=True):
            ours.accept(token)
        [row] = rows(model, 1, 0)
        assert ours.draw(pointer(row)) in model.end_tokens


def test_what_the_settings_forbid_is_not_drawn_for_want_of_others(model: Model) -> None:
    [row] = rows(model, 1, 0)
    for text, is_complete in (("ab", True), ("a", False)):
        for temperature in (0.0, 1.0):
            values = {"logit_bias": {"b": -float("inf")}, "temperature": temperature}
            with closing(sampler(model, regex("ab"), ignore_eos=True, **values)) as ours:
                for token in model.tokenize(text, goes_on=True):
                    ours.accept(token)
                assert ours.draw(pointer(row)) is None
                assert ours.walk(pointer(row))[1] is None
                assert ours.is_complete() is is_complete


# Sharing, limits and failures


def test_a_grammar_is_compiled_once_and_its_states_are_apart(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    compile_one = Engine._compile
    monkeypatch.setattr(
        Engine, "_compile", lambda engine, one: compiled.append(one) or compile_one(engine, one)
    )
    first, second = (grammar.made(model, regex("(cat|dog) once")) for _ in range(2))
    write(first, model, "cat")
    write(second, model, "dog o")
    assert [model.piece(token) for token in left(first, model)] != [
        model.piece(token) for token in left(second, model)
    ]
    write(first, model, " once")
    assert first.is_complete() and not second.is_complete()
    for number in range(matcher.KEPT):
        grammar.made(model, regex(f"other {number}"))
    grammar.made(model, regex("(cat|dog) once"))
    assert len(compiled) == matcher.KEPT + 2
    assert len(Engine.of(model)._compiled) == matcher.KEPT


def test_answers_written_together_share_what_was_compiled(
    opener: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Any] = []
    compile_one = Engine._compile
    monkeypatch.setattr(
        Engine, "_compile", lambda engine, one: compiled.append(one) or compile_one(engine, one)
    )
    form = {"type": "array", "items": {"enum": ["red", "grey"]}, "minItems": 3, "maxItems": 3}
    values = {"json_schema": form, "temperature": 2.0, "max_tokens": 150}
    requests = [raw("x", seed=seed, **values) for seed in range(6)]
    finished = ends(opener(slots=3), requests)
    assert {word for each in finished for word in json.loads(each.text)} == {"red", "grey"}
    assert len(compiled) == 1


def test_a_grammar_that_many_answers_shared_is_compiled_anew(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    compile_one = Engine._compile
    monkeypatch.setattr(
        Engine, "_compile", lambda engine, one: compiled.append(one) or compile_one(engine, one)
    )
    monkeypatch.setattr(matcher, "USES", 3)
    for _ in range(7):
        grammar.made(model, regex("a shared one"))
    assert len(compiled) == 3


def test_odd_vocabularies_are_followed(tmp_path: Path) -> None:
    """One with a token that is longer than llguidance takes, and one without an end."""
    metadata = byte_level(301)
    metadata["tokenizer.ggml.tokens"][-1] = "a" * 2000
    with loaded(write_llama(tmp_path / "l.gguf", vocabulary=301, metadata=metadata)) as model:
        some = grammar.made(model, regex("a*"))
        assert 300 not in left(some, model) and len(left(some, model)) > 1
    metadata = byte_level(288)
    with loaded(write_llama(tmp_path / "e.gguf", vocabulary=288, metadata=metadata)) as model:
        model.end_tokens = []
        some = grammar.made(model, regex("ab?"))
        write(some, model, "a")
        assert [model.name(token) for token in left(some, model)] == ["b"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # A bug of llguidance 1.9.1, which a later one may not have.
        ("([à-ÿ])|(é|[à-ÿ])", "test: llguidance breaks down on this grammar: called.*"),
        ("a(b", r"test: invalid regex \"a\(b\".*"),
        ("(" * 5000 + "a" + ")" * 5000, "test: invalid regex.*"),
    ],
)
def test_no_grammar_is_an_error_in_one_line(model: Model, text: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        grammar.made(model, regex(text))
    assert re.fullmatch(reason, caught.value.message)
    assert caught.value.hint == "a hint"


def test_a_grammar_that_becomes_too_complex_is_an_error(model: Model) -> None:
    some = grammar.made(model, regex(ENDLESS))
    [token] = model.tokenize("a", goes_on=True)
    with pytest.raises(BackendError, match="test: the grammar cannot be followed any further: "):
        for _ in range(200):
            left(some, model)
            some.accept(token)
    for _ in range(2):  # it stays one
        with pytest.raises(BackendError):
            left(some, model)
    assert not some.is_complete()
    again = grammar.made(model, regex(ENDLESS))
    assert again.allows(token)
    assert left(again, model)


def test_a_vocabulary_that_cannot_write_it_leaves_no_token(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    metadata = byte_level(300)
    tokens = metadata["tokenizer.ggml.tokens"]
    tokens[tokens.index("q")] = "unwritten"
    path = write_llama(tmp_path_factory.mktemp("no") / "q.gguf", vocabulary=300, metadata=metadata)
    with loaded(path) as model, closing(sampler(model, regex("aq"))) as ours:
        ours.accept(model.tokenize("a")[0])
        [row] = rows(model, 1, 0)
        assert ours.draw(pointer(row)) is None
        assert not ours.is_complete()
        assert ours.draw(pointer(row)) is None
        state = grammar.made(model, regex("aq"))
        state.accept(model.tokenize("a")[0])
        assert left(state, model) == []
        assert not any(map(state.allows, model.end_tokens))
