"""Documents as rows: nothing is lost, nothing is learned twice, nothing held out is learned."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.errors import UsageError
from llmparams_cli.training.rows import Document, Rows, batches, held_out, rows_of
from llmparams_cli.training.trainer import Row


def document(*tokens: int, whole: bool = False, asked: int = 0) -> Document:
    """A document whose first tokens (one at least) are not learned."""
    learned = np.arange(len(tokens)) >= max(1, asked)
    return Document(Row(np.array(tokens, np.int32), learned), whole)


def shown(rows: Rows) -> list[tuple[list[int], list[int]]]:
    """Of each row its tokens, and those that are learned."""
    return [(row.tokens.tolist(), row.tokens[row.learned].tolist()) for row in rows.rows]


def test_a_long_text_goes_on_with_the_last_token_of_the_row_before():
    assert shown(rows_of([document(*range(10))], 4)) == [
        ([0, 1, 2, 3, 4], [1, 2, 3, 4]),
        ([4, 5, 6, 7, 8], [5, 6, 7, 8]),
        ([8, 9], [9]),
    ]
    assert shown(rows_of([document(*range(9)), document(1, 2)], 4))[1:] == [
        ([4, 5, 6, 7, 8], [5, 6, 7, 8]),
        ([1, 2], [2]),
    ]
    parts = [document(1, 2), document(*range(7)), document(3, 4)]
    assert [tokens for tokens, _ in shown(rows_of(parts, 4))] == [
        [1, 2],
        [0, 1, 2, 3, 4],
        [4, 5, 6, 3, 4],
    ]


def test_short_texts_share_a_row_and_none_is_predicted_from_another():
    texts = [document(1, 2), document(3, 4, 5), document(6, 7, 8)]
    assert shown(rows_of(texts, 4)) == [([1, 2, 3, 4, 5], [2, 4, 5]), ([6, 7, 8], [7, 8])]


def test_a_conversation_has_a_row_of_its_own_and_is_cut_at_its_end():
    found = rows_of(
        [
            document(1, 2, 3, whole=True),
            document(1, 2, 3, 4, 5, whole=True),
            document(1, 2, 3, 4, 5, 6, whole=True),
            document(1, 2, 3, 4, 5, 6, whole=True, asked=5),
            document(1, 2, whole=True, asked=2),
        ],
        4,
    )
    assert [tokens for tokens, _ in shown(found)] == [[1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]
    assert (found.cut, found.dropped, found.tokens) == (2, 2, 10)


def test_what_has_nothing_to_learn_makes_no_row():
    assert rows_of([], 4).rows == rows_of([document(1), document()], 4).rows == ()
    assert shown(rows_of([document(1), document(2, 3)], 4)) == [([1, 2, 3], [3])]


TEXTS = st.lists(
    st.builds(
        lambda tokens, asked, whole: document(*tokens, asked=asked, whole=whole),
        st.lists(st.integers(0, 9), min_size=1, max_size=20),
        st.integers(0, 9),
        st.booleans(),
    ),
    max_size=8,
)


@given(TEXTS, st.integers(1, 9))
def test_of_texts_every_token_is_learned_once_and_from_what_was_before(documents, size):
    """But for the ends of conversations that are too long."""
    found = rows_of(documents, size)
    learned = sum(
        each.row.learned[: size + 1].sum() if each.whole else each.row.count for each in documents
    )
    assert found.tokens == learned
    for row in found.rows:
        assert 2 <= len(row.tokens) <= size + 1 and row.count and not row.learned[0]
        assert len(row.tokens) == len(row.learned)
    # As the tokens of all texts in a row, but for the one that a row repeats.
    texts = [token for each in documents if not each.whole for token in each.row.tokens.tolist()]
    kept = sum(len(row.tokens) for row in rows_of([d for d in documents if not d.whole], size).rows)
    assert kept <= len(texts) + len(texts) // size + 1


@given(st.integers(2, 40), st.floats(0.01, 0.9), st.integers(0, 2**40))
def test_documents_are_held_out_whole(count, share, seed):
    names = [str(number) for number in range(count)]
    train, valid = held_out(names, share, seed)
    assert sorted([*train, *valid]) == sorted(names) and train and valid
    assert abs(len(valid) - share * count) <= 1
    assert [*train] == [name for name in names if name in train]
    assert held_out(names, share, seed) == (train, valid)


def test_what_is_held_out_depends_on_the_seed():
    assert len({tuple(held_out(range(100), 0.1, seed)[1]) for seed in range(9)}) == 9
    assert held_out([1, 2], 0, 0) == ([1, 2], [])
    with pytest.raises(UsageError, match="none can be held out") as caught:
        held_out(["one"], 0.1, 0)
    assert "--hold-back 0" in caught.value.hint


@given(st.integers(1, 50), st.integers(1, 12), st.integers(0, 5), st.integers(0, 2**40))
def test_each_epoch_has_each_row_once(count, size, epoch, seed):
    found = batches(count, size, epoch, seed)
    assert sorted(number for batch in found for number in batch) == [*range(count)]
    assert [len(batch) for batch in found[:-1]] == [size] * (len(found) - 1)
    assert 1 <= len(found[-1]) <= size
    assert found == batches(count, size, epoch, seed)


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {str(batches(30, 4, epoch, seed)) for epoch in range(5) for seed in range(5)}
    assert len(orders) == 25


def test_many_short_texts_take_no_time():
    documents = [document(1, 2)] * 20_000
    began = time.perf_counter()
    assert len(rows_of(documents, 8191).rows) == 5
    assert time.perf_counter() - began < 2
