"""Columns of a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering import Pipe
from rich.cells import cell_len

from llmparams_cli.text.shorten import beginning, ending
from llmparams_cli.text.width import cells, cut, cut_middle, cut_start, pad, wrap

TEXT = st.text(st.sampled_from("ab 狐é…")) | st.text()


@given(TEXT, st.integers(1, 30), st.sampled_from(["utf-8", "ascii"]))
def test_what_is_cut_fits(text: str, width: int, encoding: str) -> None:
    stream = Pipe(encoding).env.stdout
    for shorten in (cut, cut_middle, cut_start):
        short = shorten(text, width, stream)
        assert cells(short) <= width
        assert short == text or cells(text) > width


@pytest.mark.parametrize(
    ("encoding", "start", "middle", "end"),
    [
        ("utf-8", "creative…", "cre…=0.2", "…ture=0.2"),
        ("ascii", "creative~", "cre~=0.2", "~ture=0.2"),
    ],
)
def test_a_mark_tells_what_is_missing(encoding: str, start: str, middle: str, end: str) -> None:
    stream = Pipe(encoding).env.stdout
    name = "creative-chat temperature=0.2"
    assert cut(name, 9, stream) == start
    assert cut_middle(name, 8, stream) == middle
    assert cut_start(name, 9, stream) == end


@given(st.text(), st.integers(4, 30), st.sampled_from(["…", "...", '…"']))
def test_characters_are_counted_with_the_mark(text: str, most: int, mark: str) -> None:
    assert (beginning(text, most, mark) == text) == (len(text) <= most)
    if len(text) > most:
        kept = most - len(mark)
        assert beginning(text, most, mark) == text[:kept] + mark
        assert ending(text, most, mark) == mark + text[-kept:]


def test_wide_characters_take_two_columns() -> None:
    assert cells("狐a") == 3
    assert pad("狐", 4) == "狐  "
    assert pad("狐", 4, right=True) == "  狐"
    assert cut_start("ab狐狸", 4, Pipe().env.stdout) == "… 狸"


@given(st.lists(st.text(st.sampled_from("ab狐"), min_size=1, max_size=9)), st.integers(4, 40))
def test_wrapping_loses_no_word(words: list[str], width: int) -> None:
    lines = wrap("  ".join(words), width, "  ")
    assert " ".join(lines).split() == words
    longest = max(map(cell_len, words), default=0)
    assert all(cells(line) <= max(width, longest + 2) for line in lines)
