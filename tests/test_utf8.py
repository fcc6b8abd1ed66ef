"""Bytes that are no whole characters: how each is shown alone, and what they make together."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import Program

from llmparams_cli.text.safe import spelled
from llmparams_cli.text.utf8 import certain, escaped, joined, whole

JAPANESE = "狐狸こん"
LITERAL = "<e3 81><82>"  # as broken bytes are shown, but written by the model itself


@pytest.mark.parametrize(
    ("data", "shown"),
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
def test_bytes_that_are_no_character_have_numbers(data: bytes, shown: str) -> None:
    assert spelled(escaped(data)) == shown


@given(st.lists(st.binary(max_size=3) | st.sampled_from([b"<e3 81>", b"<", b"e3", b">"])))
def test_tokens_in_a_row_are_the_text_again(pieces: list[bytes]) -> None:
    assert joined(map(escaped, pieces)) == escaped(b"".join(pieces))


@given(st.text(), st.lists(st.integers(0, 200)))
def test_a_text_that_was_cut_anywhere_is_whole_again(text: str, cuts: list[int]) -> None:
    data = text.encode()
    edges = [0, *sorted(cuts), len(data)]
    assert joined(escaped(data[low:high]) for low, high in pairwise(edges)) == text


@given(st.text(), st.characters(min_codepoint=0x80, exclude_categories=["Cs"]))
def test_half_a_character_at_the_end_is_left_out(text: str, last: str) -> None:
    data = (text + last).encode()[:-1]
    assert certain(data) == whole(data) == text
    assert certain(text.encode()) == whole(text.encode()) == text


def forced(text: str) -> tuple[str, ...]:
    """Flags with which the model can answer nothing else."""
    return ("--raw", "--grammar", f'root ::= "{text}"', "-q", "--seed", "1")


def explained(program: Program, text: str) -> Any:
    return program.call("explain", "x", *forced(text), "--json").json


@pytest.mark.parametrize("text", [JAPANESE, LITERAL])
def test_what_stands_before_a_draw_is_the_text_itself(program: Program, text: str) -> None:
    last = str(sum(not token["is_end"] for token in explained(program, f"{text}!")["tokens"]))
    flags = (*forced(f"{text}!"), "--at", last)
    program.call("explain", "x", *flags, "--svg", "plot.svg")
    done = program.call("explain", "x", *flags)
    assert f'after "{text}"\n' in done.text
    svg = (program.place / "plot.svg").read_text()
    assert f'after "{text.replace("<", "&lt;").replace(">", "&gt;")}"' in svg


@pytest.mark.parametrize("text", [JAPANESE, LITERAL])
def test_where_answers_part_the_text_before_is_the_text_itself(program: Program, text: str) -> None:
    count = sum(not token["is_end"] for token in explained(program, f"{text}!")["tokens"])
    flags = (*forced(f"{text}!"), "--grid", f"max_tokens={count},{count - 1}")
    [fork] = program.call("compare", "x", *flags, "--json").json["forks"]
    assert (fork["number"], fork["before"]) == (count, text)
    assert f'after "{text}"\n' in program.call("compare", "x", *flags).text
    program.call("compare", "x", *flags, "--html", "page.html")
    assert f'"before":"{_in_script(text)}"' in (program.place / "page.html").read_text()


def _in_script(text: str) -> str:
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def test_json_has_no_half_surrogates(program: Program) -> None:
    done = program.call("generate", "x", *forced(JAPANESE), "--json", "--logprobs", "1")
    texts = [token["text"] for token in done.json["tokens"]]
    assert b"\\ud" not in done.stdout and any(text.startswith("<") for text in texts)
    explained = program.call("explain", "x", *forced(JAPANESE), "--json")
    assert b"\\ud" not in explained.stdout
    assert [token["text"] for token in explained.json["tokens"]][: len(texts)] == texts
    done = program.call("generate", "x", *forced(JAPANESE), "--receipt", "run.json")
    assert b"\\ud" not in (program.place / "run.json").read_bytes()
    replayed = program.call("replay", "run.json", "--set", "max_tokens=3", "--json")
    assert b"\\ud" not in replayed.stdout


@pytest.mark.parametrize("form", [("--grammar", 'root ::= "狐狸こん"'), ("--regex", "狐狸こん")])
def test_two_halves_of_characters_can_be_told_apart(
    form: tuple[str, ...], program: Program
) -> None:
    flags = ("--raw", *form, "-q")
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
