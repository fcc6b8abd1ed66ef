"""What a model says cannot act on a terminal, and JSON keeps its meaning."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.text.safe import encodable, escape_json, one_line, printable, shell_word

ANY_TEXT = st.text(st.characters())  # surrogates included
# What the program can meet: UTF-8, and the bytes of an argument or a path that are not.
REAL_TEXT = st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))
CONTROLS = st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))
# Bidi_Control in Unicode's PropList.txt.
REORDERING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def is_unsafe(char: str) -> bool:
    """Controls, surrogates, separators of lines (Zl) and paragraphs (Zp), and directions."""
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in REORDERING


@given(ANY_TEXT | CONTROLS)
def test_printable_text_has_no_control_character_but_newline_and_tab(text: str) -> None:
    assert not any(is_unsafe(char) and char not in "\n\t" for char in printable(text))


@given(ANY_TEXT | CONTROLS)
def test_one_line_has_no_control_character_at_all(text: str) -> None:
    assert not any(is_unsafe(char) for char in one_line(text))


@given(ANY_TEXT)
def test_printable_keeps_text_that_is_safe(text: str) -> None:
    safe = "".join(char for char in text if char in "\n\t" or not is_unsafe(char))
    assert printable(safe) == safe


@given(ANY_TEXT, ANY_TEXT)
def test_printable_gives_the_same_however_the_text_is_cut(first: str, second: str) -> None:
    assert printable(first) + printable(second) == printable(first + second)


def test_printable_shows_what_it_replaces() -> None:
    assert printable("\x1b[31m\r\x9b\x7f\u202e\udc80") == "<1b>[31m<0d><9b><7f><202e><dc80>"


def test_what_has_no_picture_is_shown_and_what_joins_letters_stays() -> None:
    marks = "".join(map(chr, range(0x2000, 0x2070))) + "\u061c\x85"
    assert not [char for char in printable(marks) if is_unsafe(char)]
    assert one_line("\u200f\u2028\u2029") == "<200f><2028><2029>"
    for text in ("👩\u200d💻", "می\u200cخواهم", "שלום", "a\u00a0b"):
        assert printable(text) == text


def test_a_word_for_a_shell_is_quoted_as_it_needs_to_be() -> None:
    assert shell_word("a b\n") == "'a b\n'"
    assert shell_word("\x1b'\\\u202e\udcff") == r"$'\x1b\'\\\u202e\xff'"


def test_one_line_shows_newlines_and_tabs() -> None:
    assert one_line("a\nb\tc\x00") == "a\\nb\\tc<00>"


@given(REAL_TEXT)
def test_escaping_leaves_the_meaning_of_json(text: str) -> None:
    document = escape_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(document) == {text: [text]}
    assert not any(is_unsafe(char) for char in document)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "shift_jis", "utf-8"])
@given(text=ANY_TEXT)
def test_every_text_can_be_written_after_encodable(encoding: str, text: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding, newline="")
    stream.write(encodable(text, stream))
    stream.flush()


@given(st.text(st.characters(max_codepoint=255)))
def test_encodable_keeps_what_the_stream_can_write(text: str) -> None:
    assert encodable(text, io.TextIOWrapper(io.BytesIO(), "latin-1")) == text
