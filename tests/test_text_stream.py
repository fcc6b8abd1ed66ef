"""Text appears only when it is certain, and then exactly."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.text.stream import TextStream

texts = st.text(alphabet=st.sampled_from("abé漢😀.\n"), max_size=40)
stops = st.lists(st.text(alphabet="ab.é", min_size=1, max_size=4), max_size=3)


def run(stream: TextStream[int], chunks: list[bytes]) -> str:
    shown = []
    for number, chunk in enumerate(chunks):
        shown += stream.feed(chunk, number)
        if stream.matched is not None:
            break
    else:
        shown += stream.finish(len(chunks))
    return "".join(text for text, _ in shown)


def chop(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


@given(texts, stops, st.lists(st.integers(min_value=0), max_size=10))
def test_the_same_text_comes_out_however_tokens_cut_it(text, stops, cuts):
    stream: TextStream[int] = TextStream(stops)
    shown = run(stream, chop(text.encode(), cuts))
    if not any(stop in text for stop in stops):
        assert (shown, stream.matched) == (text, None)
    else:
        ends = {stop: text.find(stop) + len(stop) for stop in stops if stop in text}
        first = min(ends, key=lambda stop: (ends[stop], -len(stop)))
        assert (shown, stream.matched) == (text[: ends[first] - len(first)], first)


@given(texts, st.lists(st.integers(min_value=0), max_size=10))
def test_no_replacement_character_for_a_character_split_over_tokens(text, cuts):
    assert "\ufffd" not in run(TextStream(), chop(text.encode(), cuts))


def test_half_a_character_at_the_end_becomes_one_replacement_character():
    assert run(TextStream(), ["né".encode()[:-1]]) == "n\ufffd"


def test_text_is_held_back_only_as_far_as_a_stop_sequence_might_begin():
    stream: TextStream[int] = TextStream(["END."])
    assert stream.feed(b"the E", 0) == [("the ", 0)]
    assert stream.feed(b"N", 1) == []
    assert stream.feed(b"ough", 2) == [("E", 0), ("N", 1), ("ough", 2)]
    assert stream.matched is None


def test_of_two_stop_sequences_the_first_to_be_complete_wins():
    stream: TextStream[int] = TextStream(["c", "ab"])
    assert stream.feed(b"xabc", 0) == [("x", 0)]
    assert stream.matched == "ab"


def test_of_stop_sequences_that_end_together_the_longest_wins():
    for order in itertools.permutations(["b", "xab", "ab"]):
        for cuts in ([], [2], [1, 3], [1, 2, 3, 4]):
            stream: TextStream[int] = TextStream(order)
            assert run(stream, chop(b"<xab>", cuts)) == "<"
            assert stream.matched == "xab"
