"""Text appears only when it is certain, and then exactly."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.templates.marks import marks_of
from llmparams_cli.text.speech import PLAIN, Marks, Phase, Speech

texts = st.text(alphabet=st.sampled_from("abé漢😀.\n"), max_size=40)
stops = st.lists(st.text(alphabet="ab.é", min_size=1, max_size=4), max_size=3)


def run(speech: Speech[int], chunks: list[bytes]) -> str:
    shown = []
    for number, chunk in enumerate(chunks):
        shown += speech.feed(chunk, number)
        if speech.matched is not None:
            break
    else:
        shown += speech.finish(len(chunks))
    return "".join(text for text, *_ in shown)


def chop(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


@given(texts, stops, st.lists(st.integers(min_value=0), max_size=10))
def test_the_same_text_comes_out_however_tokens_cut_it(text, stops, cuts):
    speech: Speech[int] = Speech(stops)
    shown = run(speech, chop(text.encode(), cuts))
    if not any(stop in text for stop in stops):
        assert (shown, speech.matched) == (text, None)
    else:
        ends = {stop: text.find(stop) + len(stop) for stop in stops if stop in text}
        first = min(ends, key=lambda stop: (ends[stop], -len(stop)))
        assert (shown, speech.matched) == (text[: ends[first] - len(first)], first)


@given(texts, st.lists(st.integers(min_value=0), max_size=10))
def test_no_replacement_character_for_a_character_split_over_tokens(text, cuts):
    assert "\ufffd" not in run(Speech(), chop(text.encode(), cuts))


def test_half_a_character_at_the_end_becomes_one_replacement_character():
    assert run(Speech(), ["né".encode()[:-1]]) == "n\ufffd"


def test_text_is_held_back_only_as_far_as_a_stop_sequence_might_begin():
    speech: Speech[int] = Speech(["END."])
    assert speech.feed(b"the E", 0) == [("the ", 0, False)]
    assert speech.feed(b"N", 1) == []
    assert speech.feed(b"ough", 2) == [("E", 0, False), ("N", 1, False), ("ough", 2, False)]
    assert speech.matched is None


def test_of_two_stop_sequences_the_first_to_be_complete_wins():
    speech: Speech[int] = Speech(["c", "ab"])
    assert speech.feed(b"xabc", 0) == [("x", 0, False)]
    assert speech.matched == "ab"


def test_of_stop_sequences_that_end_together_the_longest_wins():
    for order in itertools.permutations(["b", "xab", "ab"]):
        for cuts in ([], [2], [1, 3], [1, 2, 3, 4]):
            speech: Speech[int] = Speech(order)
            assert run(speech, chop(b"<xab>", cuts)) == "<"
            assert speech.matched == "xab"


THINK = Marks(("<think>",), ("</think>",))
TURN = "<|start|>assistant"
HARMONY = marks_of("<|channel|>analysis<|message|>")
cut_points = st.lists(st.integers(min_value=0), max_size=10)


def split(text: str, marks: Marks, phase: Phase, cuts: Sequence[int] = ()) -> tuple[str, str]:
    """(thought, said) of a text that comes in these pieces."""
    speech: Speech[int] = Speech((), marks, phase)
    parts = []
    for number, chunk in enumerate(chop(text.encode(), list(cuts))):
        parts += speech.feed(chunk, number)
    parts += speech.finish(-1)
    thought, said = (
        "".join(t for t, _, is_thought in parts if is_thought == kind) for kind in (1, 0)
    )
    return thought, said


CASES = [
    (THINK, Phase.START, "<think>\nOne.\n\nTwo.\n</think>\n\nHi.", ("One.\n\nTwo.", "Hi.")),
    (THINK, Phase.START, "\n <think>One.</think>Hi.", ("One.", "Hi.")),
    (THINK, Phase.START, "<think>\n\n</think>\n\nHi.", ("", "Hi.")),
    (THINK, Phase.START, " Hi. <think>x</think>", ("", " Hi. <think>x</think>")),
    (THINK, Phase.START, "<thin", ("", "<thin")),
    (THINK, Phase.START, "<think>One.</think><thi", ("One.", "")),
    (HARMONY, Phase.START, "<|channel|>anal", ("", "")),
    (THINK, Phase.START, "<think>One.</thi", ("One.</thi", "")),
    (THINK, Phase.THINKING, "\nOne.\n</think>\n\nHi.\n", ("One.", "Hi.\n")),
    (THINK, Phase.THINKING, "One. \n", ("One.", "")),
    (THINK, Phase.THINKING, "One.</think>\n\n", ("One.", "")),
    (THINK, Phase.THINKING, "A</think><think>B</think>C", ("AB", "C")),
    (PLAIN, Phase.START, "<think>One.</think>Hi.", ("", "<think>One.</think>Hi.")),
    (
        HARMONY,
        Phase.START,
        f"<|channel|>analysis<|message|>One.<|end|>{TURN}<|channel|>final<|message|>Hi.",
        ("One.", "Hi."),
    ),
    (HARMONY, Phase.START, "<|channel|>final<|message|>Hi.", ("", "Hi.")),
    (HARMONY, Phase.START, "<|channel|>final<|message|>Hi.<|end|>", ("", "Hi.")),
    (HARMONY, Phase.START, "<|channel|>analysis<|message|>One.", ("One.", "")),
]


@pytest.mark.parametrize(("marks", "phase", "text", "wanted"), CASES)
@given(cuts=cut_points)
def test_thoughts_are_told_from_the_answer_however_it_is_cut(marks, phase, text, wanted, cuts):
    assert split(text, marks, phase, cuts) == wanted


def test_stop_sequences_count_in_the_answer_alone():
    speech: Speech[int] = Speech(["."], THINK)
    assert speech.feed(b"<think>One. Two.</think>\nHi. There", 0) == [
        ("One. Two.", 0, True),
        ("Hi", 0, False),
    ]
    assert speech.matched == "."


def test_a_closing_mark_can_be_a_stop_sequence():
    speech: Speech[int] = Speech(["</think>"], THINK)
    assert speech.feed(b"<think>One.</think>Hi.", 0) == [("One.", 0, True)]
    assert speech.matched == "</think>"


def test_a_stop_sequence_of_blanks_ends_an_answer_that_begins_with_it():
    speech: Speech[int] = Speech(["\n"], THINK)
    speech.feed(b"\n", 0)
    assert speech.matched == "\n"


@pytest.mark.parametrize(
    ("marks", "prompt", "phase"),
    [
        (THINK, "<|Assistant|><think>\n", Phase.THINKING),
        (THINK, "<|Assistant|><think>\n\n</think>\n\n", Phase.START),
        (THINK, "<|Assistant|>", Phase.START),
        (PLAIN, "<think>", Phase.START),
        (Marks(("<|channel>thought\n",), ("<channel|>",)), "<|channel>thought\n", Phase.THINKING),
    ],
)
def test_a_prompt_may_open_the_thoughts(marks, prompt, phase):
    assert marks.first_phase(prompt) is phase


def test_a_blank_begins_no_mark():
    """A grammar leaves marks free: with blanks it could be put off for ever."""
    speech: Speech[int] = Speech((), THINK)
    assert speech.may_go_on("<thi") and not speech.may_go_on("\n") and not speech.may_go_on("x")


@pytest.mark.parametrize("pieces", [["<think>"], ["<", "think", ">"], ["<thi", "nk>"]])
@pytest.mark.parametrize("stop", ["<", "think", "k>"])
def test_no_stop_sequence_counts_within_a_mark(pieces, stop):
    speech: Speech[int] = Speech([stop], THINK)
    parts = [
        part for piece in [*pieces, "One.</think>Hi."] for part in speech.feed(piece.encode(), 0)
    ]
    assert "".join(text for text, _, is_thought in parts if not is_thought) == "Hi."
    assert speech.matched is None


def test_an_opening_mark_can_be_a_stop_sequence():
    speech: Speech[int] = Speech(["<think>"], THINK)
    assert speech.feed(b"<think>One.", 0) == []
    assert speech.matched == "<think>"


def test_a_text_may_close_the_thoughts_and_begin_the_answer():
    speech: Speech[int] = Speech((), THINK, Phase.THINKING)
    speech.feed(b"One.</think", 0)
    assert (
        speech.says_behind(">{") and not speech.says_behind(">\n") and not speech.says_behind("{")
    )
