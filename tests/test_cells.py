"""Columns of a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering import Pipe
from rich.cells import cell_len

from llmparams_cli.text.width import cells, cut, ending, pad, squeeze, wrap

TEXT = st.text(st.sampled_from("ab 狐é…")) | st.text()


@given(TEXT, st.integers(1, 30), st.sampled_from(["utf-8", "ascii"]))
def test_what_is_cut_fits(text: str, width: int, encoding: str) -> None:
    env = Pipe(encoding).env
    for shorten in (cut, squeeze):
        short = shorten(env, env.stdout, text, width)
        assert cells(short) <= width
        assert short == text or cells(text) > width
    assert cells(ending(text, width)) <= width


@pytest.mark.parametrize(
    ("encoding", "start", "middle"),
    [("utf-8", "creative…", "cre…=0.2"), ("ascii", "creative~", "cre~=0.2")],
)
def test_a_mark_tells_what_is_missing(encoding: str, start: str, middle: str) -> None:
    env = Pipe(encoding).env
    name = "creative-chat temperature=0.2"
    assert cut(env, env.stdout, name, 9) == start
    assert squeeze(env, env.stdout, name, 8) == middle


def test_wide_characters_take_two_columns() -> None:
    assert cells("狐a") == 3
    assert pad("狐", 4) == "狐  "
    assert pad("狐", 4, right=True) == "  狐"
    assert ending("ab狐狸", 3) == " 狸"


@given(st.lists(st.text(st.sampled_from("ab狐"), min_size=1, max_size=9)), st.integers(4, 40))
def test_wrapping_loses_no_word(words: list[str], width: int) -> None:
    lines = wrap("  ".join(words), width, "  ")
    assert " ".join(lines).split() == words
    longest = max(map(cell_len, words), default=0)
    assert all(cells(line) <= max(width, longest + 2) for line in lines)
