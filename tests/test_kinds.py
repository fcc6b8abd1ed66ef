"""Kinds read, check, show and describe values; the same value passes all four."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llmparams_cli.params.kinds import (
    Biases,
    Choice,
    Floats,
    Grammar,
    JsonSchema,
    Kind,
    Number,
    Switch,
    Text,
    Texts,
    Words,
    did_you_mean,
)
from llmparams_cli.params.table import PARAMS

WORDS = ("alpha", "beta", "gamma")
# Editors and YAML readers use these; JSON has no infinities and no keys but text.
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.sampled_from((*WORDS, "alpha, beta", "auto", "on", "f16", "once")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)
VALUES: list[tuple[Kind, st.SearchStrategy[Any]]] = [
    (Number(), st.floats(allow_nan=False, allow_infinity=False)),
    (Number(low=0, high=1), st.floats(0, 1)),
    (Number(integer=True), st.integers(-(10**30), 10**30)),
    (
        Number(integer=True, low=0, special=(-1,), words=("auto",)),
        st.integers(0, 2**40) | st.sampled_from((-1, "auto")),
    ),
    (Switch(), st.booleans()),
    (Choice(WORDS), st.sampled_from(WORDS)),
    (Text(), st.text()),
    # The word none, for none, is no grammar.
    (Grammar(), st.just("") | st.text().filter(lambda text: text.strip() and text != "none")),
    (Texts(), st.text(min_size=1).map(lambda text: [text])),
    (Words(WORDS), st.lists(st.sampled_from(WORDS), unique=True)),
    (Floats(), st.lists(st.floats(0, 1e300))),
    (
        Biases(),
        st.dictionaries(
            st.text(min_size=1), st.floats(-100, 100) | st.just(-math.inf), min_size=1, max_size=1
        ),
    ),
    (JsonSchema(), st.none() | st.booleans() | st.dictionaries(st.text(), st.integers())),
]


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=lambda item: type(item).__name__)
@settings(deadline=None)
@given(data=st.data())
def test_what_is_shown_reads_back_as_the_same_value(
    kind: Kind, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(values)
    assert kind.check(value) == value
    shown = kind.show(value)
    if isinstance(kind, Texts):  # its flag takes the texts one by one
        shown = json.loads(shown)[0]
    if isinstance(kind, (Grammar, JsonSchema)):  # for people, no grammar is no text
        (shown,) = kind.arguments(value)
    assert kind.parse(shown) == value


@pytest.mark.parametrize("param", PARAMS.values(), ids=lambda param: param.name)
@settings(deadline=None)
@given(value=ANYTHING)
def test_schema_and_check_accept_the_same_values(param: Any, value: Any) -> None:
    assume(not (isinstance(param.kind, Words) and isinstance(value, str)))
    accepted = _accepts(param.kind, value)
    assert Draft202012Validator(param.kind.schema()).is_valid(value) is accepted


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS), unique=True, min_size=1), st.sampled_from([",", " ; "]))
def test_words_may_be_one_text_in_files_too(words: list[str], separator: str) -> None:
    text = separator.join(words)
    assert Words(WORDS).check(text) == words
    assert Draft202012Validator(Words(WORDS).schema()).is_valid(text)
    assert not Draft202012Validator(Words(WORDS).schema()).is_valid(text + "x")


@settings(deadline=None)
@given(
    st.integers(-50, 50), st.integers(-50, 50), st.booleans(), st.booleans(), st.integers(-60, 60)
)
def test_open_ends_exclude_the_bound_and_closed_ends_include_it(
    low: int, high: int, low_open: bool, high_open: bool, value: int
) -> None:
    kind = Number(integer=True, low=low, high=high, low_open=low_open, high_open=high_open)
    inside = (value > low if low_open else value >= low) and (
        value < high if high_open else value <= high
    )
    assert _accepts(kind, value) is inside
    assert Draft202012Validator(kind.schema()).is_valid(value) is inside


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Number(low=0, high=1), "1.5", "1.5 is out of range: from 0 to 1"),
        (Number(low=0, low_open=True), "0", "0 is out of range: above 0"),
        (Number(integer=True, low=1, special=(-1,)), "0", "0 is out of range: -1, or 1 or more"),
        (
            Number(integer=True, low=0, words=("auto", "all")),
            "-1",
            "-1 is out of range: auto, all, or 0 or more",
        ),
        (Number(integer=True), "4.5", "'4.5' is not a whole number"),
        (Number(integer=True), "1e3", "'1e3' is not a whole number"),
        (Number(), "abc", "'abc' is not a number"),
        (Number(words=("auto",)), "", "'' is not a number or 'auto'"),
        (Number(), "nan", "nan is not a finite number"),
        (Number(), "-inf", "-inf is not a finite number"),
        (Switch(), "maybe", "'maybe' is not true or false"),
        (Choice(WORDS), "betta", "'betta' is not one of alpha, beta, gamma; did you mean beta?"),
        (Choice(WORDS), "", "'' is not one of alpha, beta, gamma"),
        (Texts(), "", "an empty text is not allowed here"),
        (
            Words(WORDS),
            "alpha,alfa",
            "'alfa' is not one of alpha, beta, gamma; did you mean alpha?",
        ),
        (Words(WORDS), "alpha;beta;alpha", "'alpha' is named twice"),
        (Floats(), "1,-2", "'1,-2' is not a list of numbers of 0 or more"),
        (Biases(), "the", "'the' is not TOKEN=BIAS, such as 42=-1.5 or ' the'=false"),
        (Biases(), "=1", "'=1' is not TOKEN=BIAS, such as 42=-1.5 or ' the'=false"),
        (Biases(), "42=x", "'x' in '42=x' is not a number or false"),
        (Biases(), "42=200", "token '42': 200 is out of range: from -100 to 100"),
        (
            JsonSchema(),
            "{",
            "not JSON: Expecting property name enclosed in double quotes at line 1 column 2",
        ),
        (JsonSchema(), "[1]", "[1] is not a JSON Schema (an object)"),
        (JsonSchema(), '{"a": 1, "a": 2}', "'a' is given twice in one object: leave one out"),
        (
            JsonSchema(),
            '{"a": 1, "b": 2, "b": 3}',
            "'b' is given twice in one object: leave one out",
        ),
        (JsonSchema(), "[" * 99_999, "nested too deeply"),
    ],
)
def test_an_error_names_the_value_and_what_is_allowed(kind: Kind, text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        kind.parse(text)
    assert str(error.value) == message


@pytest.mark.parametrize("number", [10**400, -(10**400), math.inf, math.nan])
def test_a_number_beyond_floats_is_an_error_like_any_other(number: float) -> None:
    with pytest.raises(ValueError, match="is not a finite number"):
        Number().check(number)


def test_a_truth_value_is_not_a_number() -> None:
    assert not _accepts(Number(), True)
    assert not _accepts(Floats(), [True])
    assert not _accepts(Biases(), {"42": True})


def test_yaml_may_read_on_and_off_as_truth_values() -> None:
    kind = Choice(("auto", "on", "off"))
    assert [kind.check(True), kind.check(False)] == ["on", "off"]
    assert not _accepts(Choice(WORDS), True)


def test_a_whole_number_may_be_written_as_a_float_in_a_file() -> None:
    value = Number(integer=True).check(40.0)
    assert value == 40
    assert isinstance(value, int)


def test_false_forbids_a_token_on_the_command_line_and_in_files() -> None:
    assert Biases().parse(" the=false") == {" the": -math.inf}
    assert Biases().check({42: False}) == {"42": -math.inf}


def test_the_last_equals_sign_separates_a_token_from_its_bias() -> None:
    assert Biases().parse("a=b=2") == {"a=b": 2.0}


def test_a_limit_of_32_bits_holds_but_is_not_explained() -> None:
    kind = PARAMS["top_k"].kind
    assert kind.allowed() == "0 or more"
    assert not _accepts(kind, 2**31)


def test_only_close_words_are_suggested() -> None:
    assert did_you_mean("tempratur", PARAMS) == "; did you mean temperature?"
    assert did_you_mean("zzz", PARAMS) == ""


def _accepts(kind: Kind, value: Any) -> bool:
    try:
        kind.check(value)
    except ValueError:
        return False
    return True
