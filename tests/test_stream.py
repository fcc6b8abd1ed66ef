"""Streams of requests: what is looked at ahead, how large the context is made, what waits."""

from __future__ import annotations

from itertools import takewhile

from asked import LONG, SHORT, calls, ends, ids, raw
from hypothesis import given, settings
from hypothesis import strategies as st

from llmparams_cli.backends.llama.decoding.pieces import shared
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.errors import ContextOverflow
from llmparams_cli.protocol import Failed, numbered

LONGER = LONG * 2
SAME_BEGINNING = st.lists(st.integers(0, 2), max_size=200)


@settings(deadline=None)  # others may be busy on the machine
@given(SAME_BEGINNING, st.lists(st.integers(0, 2), max_size=90), st.lists(st.integers(0, 2)))
def test_the_beginning_that_two_texts_share(beginning, one, other):
    one, other = [*beginning, *one], (*beginning, *other)
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    assert shared(one, other) == len([*pairs])


def test_where_nobody_waits_no_number_is_taken():
    found = list(numbered(["a", None, None, "b", "c"]))
    assert [each for each in found if each[1]] == [(0, "a"), (1, "b"), (2, "c")]


def made(monkeypatch):
    """The sizes of a sequence in every context that is made from here on."""
    sizes = []
    init = Context.__init__

    def watched(self, model, params, size):
        init(self, model, params, size)
        sizes.append(self.sequence_size)

    monkeypatch.setattr(Context, "__init__", watched)
    return sizes


def test_the_context_is_as_large_as_those_need_that_wait(opener, monkeypatch):
    sizes = made(monkeypatch)
    backend = opener(slots=2)
    ends(backend, iter([raw(SHORT), raw(SHORT, max_tokens=300)]))
    assert sizes == [512]


def test_a_later_one_that_needs_more_gets_a_larger_context(opener, monkeypatch):
    """And in the place where it stands: those after it wait for it."""
    alone = [ids(each) for each in ends(opener(), [raw(SHORT), raw(LONGER), raw("a fox saw")])]
    sizes = made(monkeypatch)

    def arriving():
        yield raw(SHORT)
        yield None  # so that the next one is not looked at
        yield raw(LONGER)
        yield raw("a fox saw")

    assert [ids(each) for each in ends(opener(slots=2), arriving())] == alone
    assert sizes == [256, 512]


def test_an_answer_without_a_limit_has_all_of_the_context(opener, monkeypatch):
    sizes = made(monkeypatch)
    backend = opener(slots=2)
    ends(backend, iter([raw(SHORT, max_tokens=-1, stop=["."]), raw(SHORT)]))
    assert sizes == [backend.context(raw(SHORT).settings)]


def test_other_settings_of_the_context_make_another_one(opener):
    backend = opener(slots=2)
    first, second, third = ends(
        backend, iter([raw(SHORT), raw(LONGER, context=256), raw(SHORT, context=256)])
    )
    assert isinstance(second, Failed) and isinstance(second.error, ContextOverflow)
    assert ids(first) == ids(third)


def test_one_that_fails_leaves_the_others_as_they_are(opener):
    backend = opener(slots=2)
    wrong = raw(SHORT, grammar='root ::= "x"', logit_bias={"x": float("-inf")})
    first, second, third = ends(backend, iter([raw(SHORT), wrong, raw(SHORT)]))
    assert isinstance(second, Failed) and ids(first) == ids(third)


def test_what_all_begin_with_is_read_once(opener, monkeypatch):
    """Also by those that come when the first one has left."""
    backend = opener(slots=2)
    texts = [LONG + f" {name} saw a fox" for name in ("a cat", "a dog", "an owl", "a pig")]
    seen = calls(monkeypatch)
    ends(backend, iter([raw(text) for text in texts]))
    whole = len(backend.encode(LONG)) // 64 * 64
    assert sum(len([place for _, place, _ in call if place < whole]) for call in seen) == whole
