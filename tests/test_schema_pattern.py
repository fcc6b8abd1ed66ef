"""Regular expressions of ECMA-262 in the syntax that llguidance follows."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_texts import Whole

from llmparams_cli.constraints.matching import is_match
from llmparams_cli.constraints.patterns.pattern import (
    Conditions,
    Malformed,
    MatchesNothing,
    NoCounterpart,
    conditions,
    loosened,
    to_rust,
    whole,
)


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        ("b", ["b", "abc", "b\n"], ["", "a"]),
        ("^b", ["b", "bc"], ["ab", "\nb"]),
        ("b$", ["b", "ab"], ["bc", "b\n"]),
        ("^$", [""], ["a", "\n"]),
        ("(^a$)|(^b$)", ["a", "b"], ["ab", "aa", ""]),
        ("^(a|b$)", ["a", "ax", "b"], ["bx", "xa"]),
        ("a|^b", ["xa", "bx"], ["xb"]),
        ("a?^b", ["b", "bc"], ["ab"]),
        ("b$c?", ["ab"], ["bc"]),
        ("x|a^b", ["x"], ["ab"]),
        ("(a$|^b){2}", ["ba"], ["b", "a", "baa"]),
        ("(?:^)*a", ["xa"], ["x"]),
        ("(^|x)a", ["a", "xa", "yxa"], ["ya"]),
        ("a.b", ['a"b', "a\\b", "a\tb", "aéb", "a😀b"], ["a\nb", "a\rb", "a\u2028b", "ab"]),
        (r"^[\s\S]$", ["\n", "a", "😀"], ["", "ab"]),
        ("^[^]$", ["\n", "a"], [""]),
        ('^[^"]+$', ["a\\\n\x01é"], ['"', 'a"']),
        (r"^[^\\\n]+$", ['a"\x01é'], ["\\", "a\n"]),
        (r"^[^\p{P}]+$", ["a\n"], ['"', "\\"]),
        (r"^(?i:[^\\])$", ['"', "a"], ["\\"]),
        (r"^[\p{Cc}a]$", ["\n", "a"], ['"', "\\"]),
        (r"^\d$", ["7"], ["٣"]),
        (r"^\w+$", ["a_9"], ["é"]),
        (r"^\W$", ["é", "-"], ["a"]),
        (r"^\s$", ["\u00a0", "\ufeff", "\n", " "], ["\u0085", "\u001c", "\u180e"]),
        (r"^[^\d\s]$", ["a"], ["1", " "]),
        (r"^\p{L}+$", ["éß漢"], ["1"]),
        (r"^\p{Script=Greek}$", ["α"], ["a"]),
        (r"^[^\p{L}]$", ["1"], ["é"]),
        (r"^\P{L}$", ["1"], ["é"]),
        (r"^(?<year>\d{4})$", ["2024"], ["24"]),
        (r"^(?P<year>\d{4})$", ["2024"], ["24"]),
        (r"^\ud83d\ude00$", ["😀"], []),
        (r"^[\ud83d\ude00-\ud83d\ude02]$", ["😁"], ["😃"]),
        (r"^\u{1F600}\x41\cJ\0\t$", ["😀A\n\0\t"], []),
        (r"^\/\-\_\.\"$", ['/-_."'], []),
        (r"^a{1$", ["a{1"], ["a"]),
        (r"^]}$", ["]}"], []),
        ("^a{2}b{1,}c{0,1}$", ["aab", "aabbc"], ["ab", "aabcc"]),
        ("^a{,2}$", ["", "aa"], ["aaa"]),
        ("^a+?b*?c??$", ["aabc", "a"], ["b"]),
        ("(?i)^yes$", ["YES", "yes", "yeſ"], ["no"]),
        ("(?i)^YES$", ["YES", "yes", "yeſ"], ["no"]),
        (r"^\ca\cZ$", ["\x01\x1a"], ["!\x1a"]),
        ("^(?i:a)b$", ["ab", "Ab"], ["AB"]),
        ("^(?i)a(?-i:b)$", ["Ab"], ["aB"]),
        (r"^(?i:[^])$", ["a", "\n"], [""]),
        (r"^(?i:[^\s\S]|a)$", ["A"], ["b"]),
        ("^(?i:[^a])$", ["b"], ["a", "A"]),
        (r"^(?i:\w\W)$", ["\u212aé"], ["a\u212a"]),
        ("^(?s:.)$", ["\n"], []),
        (r"\Aab\Z", ["ab"], ["abc", "ab\n"]),
        ("^[a-]-[]$|^[\\w-.]$", ["-", ".", "a"], ["a-"]),
        ("", ["", "a"], []),
        ("a|", ["", "b"], []),
    ],
)
def test_the_texts_in_which_a_pattern_is_found(
    pattern: str, found: list[str], missed: list[str]
) -> None:
    expression = Whole(to_rust(pattern))
    assert [text for text in found if not expression.matches(text)] == []
    assert [text for text in missed if expression.matches(text)] == []


@pytest.mark.parametrize(
    ("pattern", "matched", "others"),
    [
        ("b", ["b"], ["ab", "bc", ""]),
        ("^b$", ["b"], ["ab"]),
        ("a|bc", ["a", "bc"], ["ac", "abc"]),
    ],
)
def test_a_whole_answer(pattern: str, matched: list[str], others: list[str]) -> None:
    expression = Whole(whole(pattern))
    assert all(map(expression.matches, matched))
    assert not any(map(expression.matches, others))


def holds(pattern: str, text: str, read: Callable[[str], Conditions] = conditions) -> bool:
    found = read(pattern)
    every, never = ([Whole(part) for part in parts] for parts in (found.every, found.never))
    return all(part.matches(text) for part in every) and not any(
        part.matches(text) for part in never
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "^(?!no)[a-z]+$",
        "^(?!no$|yes$)[a-z]*",
        "^(?=.*[0-9])(?=.*[a-z])(?!.* ).{3,}$",
        "^(?!.*b)^(a|x)",
        "^(?!a^b)a",
        "^((?!no)(?!yes).)*$",
        "^(?:(?!no$)[a-z]){2,3}$",
        "ab|^b",
    ],
)
def test_lookahead_at_the_start_is_a_condition(pattern: str) -> None:
    texts = [
        "",
        "a",
        "no",
        "nod",
        "yes",
        "eyes",
        "ano",
        "a1",
        "a1x",
        "1xa b",
        "x",
        "b",
        "ab",
        "xyz",
    ]
    found = [text for text in texts if holds(pattern, text)]
    assert found == [text for text in texts if re.search(pattern, text)]
    assert 0 < len(found) < len(texts)


@pytest.mark.parametrize(
    "pattern", ["(?!a)b", "^(?!a)b|c", "^b(?!a)", "^((?!a)b|c)*$", "^(?:(?!a)..)*$", "^((?!a?).)*$"]
)
def test_lookahead_elsewhere_is_refused(pattern: str) -> None:
    with pytest.raises(NoCounterpart, match="lookahead"):
        conditions(pattern)


@pytest.mark.parametrize("pattern", ["^([a-z]{1,50}-){1,50}$", "^a{1,5000}$", "^(a{9}){9,99}$"])
def test_large_repetitions_are_followed(pattern: str) -> None:
    expression = Whole(to_rust(pattern))
    for text in ("ab-", "a" * 81, "a" * 5000, "a" * 5001, "a-" * 50, "a-" * 51):
        assert expression.matches(text) == bool(re.search(pattern, text)), text[:9]


@pytest.mark.parametrize(
    ("pattern", "error", "words"),
    [
        (r"(?=a)b", NoCounterpart, "lookahead ((?=…)"),
        (r"(?<!a)b", NoCounterpart, "lookbehind ((?<!…)"),
        (r"(a)\1", NoCounterpart, r"a reference to a group (\1)"),
        (r"a\bb", NoCounterpart, r"a word boundary (\b)"),
        ("(?m)^a$", NoCounterpart, "the flag m"),
        ("a{1000000}", NoCounterpart, "more than 100,000 repetitions"),
        ("(" * 60 + ")" * 60, NoCounterpart, "more than 50 groups within each other"),
        ("a" * 30_000, NoCounterpart, "its 30,000 characters are too many"),
        (r"\S" * 1_000, NoCounterpart, "it is too large"),
        (r"^(\w{1,200}\s?){1,300}$", NoCounterpart, "are too many to count"),
        (r"(?i)\P{Lu}", NoCounterpart, r"\P{Lu} without regard to case"),
        (r"\u{110000}", Malformed, "needs four hexadecimal digits"),
        (r"\01", Malformed, "is a number in base 8"),
        ("a^b", MatchesNothing, "no text matches it"),
        ("[]", MatchesNothing, "no text matches it"),
        ("a{5,3}", Malformed, "'{5,3}' at character 2 has its numbers in the wrong order"),
        ("(a", Malformed, "'(a' at character 1 is not closed"),
        ("a)", Malformed, "')' at character 2 closes no group"),
        ("[a", Malformed, "'[a' at character 1 is not closed"),
        ("[z-a]", Malformed, "'z-a]' at character 2 is a range in the wrong order"),
        ("*a", Malformed, "'*a' at character 1 repeats nothing"),
        ("a**", Malformed, "'*' at character 3 repeats a repetition"),
        ("a\\", Malformed, "'\\\\' at character 2 ends too early"),
        (r"\p{Nonsense}", Malformed, "names no property of Unicode"),
    ],
)
def test_what_cannot_be_followed(pattern: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)) as raised:
        to_rust(pattern)
    assert type(raised.value) is error


ATOMS = st.sampled_from(["a", "b", "^", "$", "[ab]", "[^a]", ".", "(?:)", r"\n"])
# Python repeats an empty match no further than ECMA-262 does: the texts found are the same.
PATTERNS = st.recursive(
    ATOMS,
    lambda part: st.one_of(
        st.lists(part, min_size=1, max_size=3).map("".join),
        st.lists(part, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.builds(
            "(?:{}){}".format,
            part,
            st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{2,}", "{1,3}", "{0}"]),
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(PATTERNS, st.lists(st.text("ab\n", max_size=5), min_size=1, max_size=20))
def test_the_same_texts_as_pythons_engine_finds(pattern: str, texts: list[str]) -> None:
    python = re.compile(pattern.replace("$", r"\Z"))
    try:
        expression = Whole(to_rust(pattern))
    except MatchesNothing:
        assert not any(map(python.search, texts))
        return
    for text in texts:
        assert expression.matches(text) == bool(python.search(text)), text


@pytest.mark.parametrize(
    ("pattern", "texts", "others"),
    [
        (
            r"^(?:\d{1,3}|(?=[\d.]{1,5}$)\d{1,3}\.\d{1,2})$",
            ["12", "1.25"],
            ["lecture", "1.", "1234"],
        ),
        (r"^a\b-\Bb$", ["a-b"], ["ab"]),
        (r"^a(?!x)(?<=a)[a-z]$", ["ab"], ["a1"]),
        (r"^(?!no)\bx", ["x", "xy"], ["no", "yx"]),
    ],
)
def test_without_what_cannot_be_followed_the_rest_is(pattern, texts, others):
    with pytest.raises(NoCounterpart):
        conditions(pattern)
    assert [text for text in (*texts, *others) if holds(pattern, text, loosened)] == texts


def test_what_must_not_stand_there_is_not_loosened():
    with pytest.raises(NoCounterpart, match="lookahead"):
        loosened("^(?!a(?=b))x")


def test_a_text_matches_as_a_whole_or_not_at_all() -> None:
    assert is_match("ab?", "a") and is_match("ab?", "ab")
    assert not is_match("ab", "a") and not is_match("a", "ab")
