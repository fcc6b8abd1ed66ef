"""Tokens by their bytes, and the text that they make together."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import Program

from llmparams_cli.text.spelling import joined, spelled


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b" fox", " fox"),
        ("狐".encode(), "狐"),
        (b"\xe3", "<e3>"),
        (b"\x81\x93", "<81 93>"),
        (b"a\xe3\x81", "a<e3 81>"),
        (b"\xff\n\xfe", "<ff>\n<fe>"),
        (b"", ""),
    ],
)
def test_bytes_that_are_no_character_have_numbers(data: bytes, name: str) -> None:
    assert spelled(data) == name


@given(st.text(), st.lists(st.integers(0, 200)))
def test_tokens_in_a_row_are_the_text_again(text: str, cuts: list[int]) -> None:
    data = text.encode()
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[low:high] for low, high in pairwise(edges)]
    assert joined(map(spelled, pieces)) == text


@given(st.lists(st.binary(max_size=3)))
def test_broken_bytes_stay_named(pieces: list[bytes]) -> None:
    if not re.search(rb"<[0-9a-f ]*>", b"".join(pieces)):
        assert joined(map(spelled, pieces)) == spelled(b"".join(pieces))


def test_two_halves_of_characters_can_be_told_apart(program: Program) -> None:
    flags = ("--raw", "--grammar", 'root ::= "狐狸こん"', "-q")
    document = program.call("explain", "x", *flags, "--json").json
    assert document["text"] == "狐狸こん"
    texts = {token["id"]: token["text"] for token in document["tokens"]}
    assert "\ufffd" not in "".join(texts.values())
    assert len(set(texts.values())) == len(texts)
    for token in document["tokens"]:
        named = [candidate["text"] for candidate in token["candidates"]]
        assert "\ufffd" not in "".join(named) and len(set(named)) == len(named)
    shown = program.call("compare", "x", *flags, "--grid", "max_tokens=2,9").text
    assert "\ufffd" not in shown[shown.index("where they part") :]


def test_marks_of_an_ascii_output_are_no_question_marks(program: Program) -> None:
    flags = ("--seed", "5", "-n", "2", "-q")
    done = program.pipe("explain", "hi", *flags, "--at", "2", PYTHONIOENCODING="ascii")
    assert done.code == 0
    assert "- was removed" in done.text and "?" not in done.text
