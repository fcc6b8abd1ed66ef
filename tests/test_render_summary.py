"""The statistics and how they are folded into rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.protocol import Stop, StopReason
from llmparams_cli.render.summary import fold, per_second, stop_text

ITEMS = st.lists(st.text(min_size=1, max_size=20))


@given(ITEMS, st.integers(0, 4), st.integers(1, 60))
def test_folding_keeps_all_items_in_their_order(items: list[str], gap: int, width: int) -> None:
    assert [item for row in fold(items, gap, width) for item in row] == items


@given(ITEMS, st.integers(0, 4), st.integers(1, 60))
def test_a_row_fits_or_is_one_item_and_none_could_take_the_next(
    items: list[str], gap: int, width: int
) -> None:
    rows = fold(items, gap, width)
    lengths = [len((" " * gap).join(row)) for row in rows]
    assert all(length <= width or len(row) == 1 for row, length in zip(rows, lengths, strict=True))
    for length, following in zip(lengths, rows[1:], strict=False):
        assert length + gap + len(following[0]) > width


def test_a_stop_sequence_is_quoted_for_it_may_be_invisible() -> None:
    assert stop_text(Stop(StopReason.STOP_SEQUENCE, "\n ")) == 'stop-sequence ("\\n ")'
    assert stop_text(Stop(StopReason.MAX_TOKENS, "3 tokens")) == "max-tokens (3 tokens)"
    assert stop_text(Stop(StopReason.INTERRUPTED, "")) == "interrupted"


def test_a_speed_without_time_or_count_is_unknown() -> None:
    assert per_second(10, 2.0) == 5.0
    assert per_second(10, 0.0) is None
    assert per_second(0, 2.0) is None
