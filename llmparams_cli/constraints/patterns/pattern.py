r"""Reads regular expressions of ECMA-262, as JSON Schemas have them, and writes them in the syntax
that llguidance follows (Rust's), for the whole text.

Read is the syntax with the `u` flag; where that knows none, the older reading is taken (`\-`, `{`)
or what people who write other dialects mean (`(?i)` at the start, `(?P<name>…)`, `\A`, `\Z`).
What no automaton can follow (back references) and what has no counterpart is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from llmparams_cli.constraints.patterns import pieces
from llmparams_cli.constraints.patterns.characters import (
    DIGIT,
    FOLDED_WORD,
    LINE_ENDS,
    SPACE,
    WORD,
    Characters,
    complement,
)
from llmparams_cli.constraints.patterns.pieces import Pieces

DEEPEST = 50  # groups within groups: Rust's parser refuses 250 levels of its own
LONGEST_PATTERN = 20_000  # characters
LONGEST = 100_000  # characters of an expression
MOST = 100_000  # a number in braces

LONG_TEXT = 200  # characters on which repetitions within each other are tried
NESTED = re.compile(r"\)\{(\d+,)?\d{2,}\}")  # of a group, ten times and more

CLASSES = {"d": DIGIT, "w": WORD, "s": SPACE}
CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D, "0": 0x00}
BRACES = re.compile(r"\{(\d+)(,(\d*))?\}|\{,(\d+)\}")
NAME = re.compile(r"P?<([^\W\d][\w$]*)>")
MODIFIERS = re.compile(r"(?=[a-zA-Z-])([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])")
PROPERTY = re.compile(r"\{(\^?)([A-Za-z_]+(?:=[A-Za-z_]+)?)\}|([A-Z])")
# Of these the opposite set depends on what ECMA-262 does with upper and lower case.
CASED = re.compile(r"(?i)(.*=)?(L[ult]|LC|.*case.*_letter|lowercase|uppercase|lower|upper)$")


class NoCounterpart(ValueError):
    """A grammar cannot follow this expression; says why."""


class MatchesNothing(NoCounterpart):
    """A regular expression (`a^b`) that no text matches."""


class Malformed(NoCounterpart):
    """This is no regular expression; says where and why."""


@dataclass(frozen=True)
class Conditions:
    """Expressions for whole texts: a text matches all of `every` and none of `never`."""

    every: tuple[str, ...]
    never: tuple[str, ...] = ()


def conditions(pattern: str) -> Conditions:
    """For all texts in which ECMA-262 finds `pattern`, and for no others. Lookahead at the start
    of the text becomes a condition of its own.
    """
    return _conditions(_Reader(pattern).read_looking_ahead())


def loosened(pattern: str) -> Conditions:
    """The same without the assertions that have no counterpart: for more texts, but not for all."""
    return _conditions(_Reader(pattern, leaves_out=True).read_looking_ahead())


def _conditions(found: _Looked) -> Conditions:
    every = [_checked(pieces.searched(part)) for part in found.every]
    never = filter(None, map(pieces.searched, found.never))
    return Conditions(tuple(every), tuple(map(_checked, never)))


def to_rust(pattern: str) -> str:
    """The same as one expression."""
    return _checked(pieces.searched(_Reader(pattern).read()))


def whole(pattern: str) -> str:
    """For all texts that match `pattern` from the first character to the last."""
    return _checked(pieces.whole(_Reader(pattern).read()))


def _checked(expression: str | None) -> str:
    if expression is None:
        raise MatchesNothing("no text matches it")
    if len(expression) > LONGEST:
        raise NoCounterpart("it is too large")
    if NESTED.search(expression) and not _is_counted(expression):
        raise NoCounterpart("repetitions within each other are too many to count")
    return expression


@lru_cache(maxsize=1_000)
def _is_counted(expression: str) -> bool:
    """Whether llguidance can keep count of repetitions, on a long text of one letter."""
    import llguidance

    from llmparams_cli.constraints.matching import matcher

    follower = matcher(llguidance.LLMatcher.grammar_from_regex(expression))
    for _ in range(LONG_TEXT):
        mask = follower.compute_bitmask() if not follower.is_error() else None
        if mask is None or follower.is_error():
            return False
        allowed = [code for code in range(128) if mask[code // 8] >> code % 8 & 1]
        if not allowed:
            break
        follower.consume_token(ord("a") if ord("a") in allowed else allowed[-1])
    return not follower.is_error()


@dataclass(frozen=True)
class _Flags:
    ignore_case: bool = False
    dot_all: bool = False


@dataclass(frozen=True)
class _Looked:
    """Parts that must be found in a text, and parts that must not."""

    every: tuple[Pieces, ...]
    never: tuple[Pieces, ...] = ()


class _Reader:
    """One pass over a pattern, from the left to the right."""

    def __init__(self, pattern: str, *, leaves_out: bool = False) -> None:
        if len(pattern) > LONGEST_PATTERN:
            raise NoCounterpart(f"its {len(pattern):,} characters are too many")
        self._pattern, self._at, self._depth = pattern, 0, 0
        self._flags = _Flags()
        self._leaves_out = leaves_out  # may assertions be taken for held?

    def read(self) -> Pieces:
        result = self._alternatives()
        if self._at < len(self._pattern):
            raise self._malformed("closes no group")
        return result

    def read_looking_ahead(self) -> _Looked:
        """With lookahead at the start of the text, which holds for the whole of it."""
        begins = self._take("^")
        tempered = self._tempered() if begins else None
        if tempered:
            return tempered
        every: list[Pieces] = []
        never: list[Pieces] = []
        while begins and (sign := self._looking_ahead()):
            inner = self._looked(self._at - len(sign), is_barred=sign == "(?!")
            inner = pieces.joined(pieces.START, inner)
            (every if sign == "(?=" else never).append(inner)
            self._take("^")
        if not every and not never:
            self._at = 0
            return _Looked((self.read(),))
        rest = pieces.joined(pieces.START, self._sequence())
        if self._is_next("|"):
            raise NoCounterpart("lookahead in one of several alternatives")
        if self._at < len(self._pattern):
            raise self._malformed("closes no group")
        return _Looked((*every, rest), tuple(never))

    def _looking_ahead(self) -> str:
        return next((sign for sign in ("(?=", "(?!") if self._take(sign)), "")

    def _tempered(self) -> _Looked | None:
        """Of `^((?!no).)*$`: what may not stand anywhere, and the rest."""
        begin = self._at
        never = []
        if self._take("(?:") or (self._take("(") and not self._is_next("?:")):
            while self._take("(?!"):
                never.append(self._looked(begin, is_barred=True))
        atom = self._pattern[self._at : self._at + 1]
        if never and atom and atom not in "()|^$*+?" and not any(map(Pieces.is_nullable, never)):
            self._at += 1
            body = self._one(self._set(atom, self._at - 1))
            limits = self._quantifier() if self._take(")") else None
            if limits and self._take("$") and self._at == len(self._pattern):
                body = pieces.joined(pieces.START, pieces.repeated(body, *limits))
                return _Looked((pieces.joined(body, pieces.END),), tuple(never))
        self._at = begin
        return None

    def _looked(self, begin: int, *, is_barred: bool) -> Pieces:
        """What is looked for. Nothing of what must not be there can be left out."""
        outer, self._leaves_out = self._leaves_out, self._leaves_out and not is_barred
        result = self._closed(begin)
        self._leaves_out = outer
        return result

    def _closed(self, begin: int) -> Pieces:
        """What stands up to the parenthesis that closes the group."""
        result = self._alternatives()
        if not self._take(")"):
            raise self._malformed("is not closed", begin)
        return result

    # What stands next

    def _is_next(self, text: str) -> bool:
        return self._pattern.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        found = self._is_next(text)
        if found:
            self._at += len(text)
        return found

    def _match(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        found = expression.match(self._pattern, self._at)
        if found:
            self._at = found.end()
        return found

    def _character(self) -> str:
        if self._at == len(self._pattern):
            raise self._malformed("ends too early", self._at - 1)
        self._at += 1
        return self._pattern[self._at - 1]

    def _malformed(self, reason: str, at: int | None = None) -> Malformed:
        at = self._at if at is None else at
        return Malformed(f"{self._pattern[at : at + 8]!r} at character {at + 1} {reason}")

    # Groups

    def _alternatives(self) -> Pieces:
        flags = self._flags  # flags set within end with the group
        result = self._sequence()
        while self._take("|"):
            result = pieces.either(result, self._sequence())
        self._flags = flags
        return result

    def _sequence(self) -> Pieces:
        result = pieces.NO_TEXT
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            result = pieces.joined(result, self._term())
        return result

    def _term(self) -> Pieces:
        begin = self._at
        character = self._character()
        if character in ASSERTIONS:
            return self._unrepeatable(ASSERTIONS[character])
        if character == "\\" and self._pattern[self._at : self._at + 1] in ASSERTING:
            return self._unrepeatable(self._asserting(begin))
        if character in "*+?" or (character == "{" and BRACES.match(self._pattern, begin)):
            raise self._malformed("repeats nothing", begin)
        if character == "(":
            return self._quantified(self._group(begin))
        return self._quantified(self._one(self._set(character, begin)))

    def _one(self, characters: Characters) -> Pieces:
        text = replace(characters, ignore_case=self._flags.ignore_case).to_rust()
        return pieces.NOTHING if text is None else pieces.character(text)

    def _unrepeatable(self, assertion: Pieces) -> Pieces:
        if self._quantifier() is not None:
            raise self._malformed("repeats an anchor", self._at - 1)
        return assertion

    def _asserting(self, begin: int) -> Pieces:
        found = ASSERTING[self._character()]
        if found is None and not self._leaves_out:
            raise NoCounterpart(f"a word boundary ({self._pattern[begin : self._at]})")
        return found or pieces.NO_TEXT

    def _group(self, begin: int) -> Pieces:
        self._depth += 1
        if self._depth > DEEPEST:
            raise NoCounterpart(f"more than {DEEPEST} groups within each other")
        outer = self._flags
        if self._take("?") and not self._opening(begin):
            self._depth -= 1
            return pieces.NO_TEXT
        result = self._closed(begin)
        self._depth -= 1
        self._flags = outer
        return result

    def _opening(self, begin: int) -> bool:
        """What follows `(?`; False for what has ended: flags that hold for the rest of the group
        around, or a look at what stands beside, where that may be left out.
        """
        for looking in LOOKING:
            if self._take(looking):
                if self._leaves_out:
                    self._closed(begin)
                    return False
                kind = "lookbehind" if looking[0] == "<" else "lookahead"
                raise NoCounterpart(f"{kind} ({self._pattern[begin : self._at]}…)")
        if self._take(":") or self._match(NAME):
            return True
        if self._is_next("P=") or self._is_next("P>"):
            raise NoCounterpart("a reference to a group")
        modifiers = self._match(MODIFIERS)
        if modifiers is None:
            raise self._malformed("begins no group that ECMA-262 knows", begin)
        self._set_flags(modifiers[1], True)
        self._set_flags(modifiers[2] or "", False)
        return modifiers[3] == ":"

    def _set_flags(self, letters: str, value: bool) -> None:
        for letter in letters:
            if letter == "i":
                self._flags = replace(self._flags, ignore_case=value)
            elif letter == "s":
                self._flags = replace(self._flags, dot_all=value)
            elif letter == "m" and value:
                raise NoCounterpart("the flag m: ^ and $ at every line")
            elif letter not in "mu":
                raise NoCounterpart(f"the flag {letter}")

    # Repetitions

    def _quantified(self, part: Pieces) -> Pieces:
        limits = self._quantifier()
        if limits is None:
            return part
        if self._quantifier() is not None:
            raise self._malformed("repeats a repetition", self._at - 1)
        return pieces.repeated(part, *limits)

    def _quantifier(self) -> tuple[int, int | None] | None:
        limits = self._limits()
        if limits is not None:
            self._take("?")  # lazy: the same texts
        return limits

    def _limits(self) -> tuple[int, int | None] | None:
        for sign, limits in SIGNS.items():
            if self._take(sign):
                return limits
        begin = self._at
        braces = self._match(BRACES)
        if braces is None:
            return None
        fewest, most = _numbers(braces)
        if most is not None and most < fewest:
            raise self._malformed("has its numbers in the wrong order", begin)
        if max(fewest, most or 0) > MOST:
            raise NoCounterpart(f"more than {MOST:,} repetitions ({braces[0]})")
        return fewest, most

    # Characters

    def _set(self, character: str, begin: int) -> Characters:
        if character == ".":
            return Characters(() if self._flags.dot_all else LINE_ENDS, negated=True)
        if character == "[":
            return self._class(begin)
        if character == "\\":
            return self._escape(begin, in_class=False)
        return _single(ord(character))

    def _class(self, begin: int) -> Characters:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        properties: list[str] = []
        while not self._take("]"):
            if self._at == len(self._pattern):
                raise self._malformed("is not closed", begin)
            at = self._at
            item = self._member()
            if self._is_next("-") and not self._is_next("-]"):
                self._at += 1
                ranges += self._span(item, at)
                continue
            ranges += item.ranges if not item.negated else ()
            properties += item.properties
        return Characters(tuple(ranges), tuple(properties), negated)

    def _member(self) -> Characters:
        begin = self._at
        character = self._character()
        if character != "\\":
            return _single(ord(character))
        return self._escape(begin, in_class=True)

    def _span(self, first: Characters, begin: int) -> list[tuple[int, int]]:
        if self._at == len(self._pattern):
            raise self._malformed("is not closed", begin)
        last = self._member()
        low, high = first.code(), last.code()
        if low is None or high is None:  # [\w-x]: the older reading takes the hyphen as it stands
            if first.properties or last.properties:
                raise self._malformed("is a range of sets", begin)
            return [*first.ranges, (0x2D, 0x2D), *last.ranges]
        if low > high:
            raise self._malformed("is a range in the wrong order", begin)
        return [(low, high)]

    def _escape(self, begin: int, *, in_class: bool) -> Characters:
        letter = self._character()
        if letter.lower() in CLASSES:
            return self._shorthand(letter)
        if letter in "pP":
            return self._property(letter, begin)
        if letter == "b" and in_class:
            return _single(0x08)
        if letter == "0" and self._pattern[self._at : self._at + 1].isdigit():
            raise self._malformed("is a number in base 8, which ECMA-262 no longer has", begin)
        if letter in CONTROLS:
            return _single(CONTROLS[letter])
        if letter in ESCAPES:
            return _single(ESCAPES[letter](self, begin))
        if letter.isdigit() or letter == "k":
            raise NoCounterpart(f"a reference to a group (\\{letter})")
        if letter.isascii() and letter.isalpha():
            raise self._malformed("is no escape of ECMA-262", begin)
        return _single(ord(letter))

    def _shorthand(self, letter: str) -> Characters:
        ranges = CLASSES[letter.lower()]
        if letter == "W" and self._flags.ignore_case:
            ranges = FOLDED_WORD
        return Characters(ranges if letter.islower() else complement(ranges))

    def _property(self, letter: str, begin: int) -> Characters:
        found = self._match(PROPERTY)
        if found is None:
            raise self._malformed("names no property", begin)
        name = found[2] or found[3]
        is_negated = (letter == "P") != bool(found[1])
        if is_negated and self._flags.ignore_case and CASED.match(name):
            raise NoCounterpart(f"\\P{{{name}}} without regard to case")
        if not _is_property(name):
            raise self._malformed("names no property of Unicode", begin)
        return Characters(properties=(f"\\{'P' if is_negated else 'p'}{{{name}}}",))

    def _hexadecimal(self, begin: int) -> int:
        found = self._match(re.compile(r"[0-9a-fA-F]{2}"))
        if found is None:
            raise self._malformed("needs two hexadecimal digits", begin)
        return int(found[0], 16)

    def _unicode(self, begin: int) -> int:
        found = self._match(re.compile(r"\{([0-9a-fA-F]+)\}|([0-9a-fA-F]{4})"))
        code = int(found[1] or found[2], 16) if found else None
        if found is None or code is None or code > 0x10FFFF:
            raise self._malformed("needs four hexadecimal digits, or some in braces", begin)
        if 0xD800 <= code < 0xDC00 and found[2]:
            low = self._match(re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})"))
            if low:
                return 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        return code

    def _control(self, begin: int) -> int:
        letter = self._pattern[self._at : self._at + 1]
        if not (letter.isascii() and letter.isalpha()):
            raise self._malformed("needs a letter", begin)
        self._at += 1
        return ord(letter) % 32


LOOKING = ("<=", "<!", "=", "!")
ASSERTIONS = {"^": pieces.START, "$": pieces.END}
ASSERTING: dict[str, Pieces | None] = {
    "A": pieces.START,
    "Z": pieces.END,
    "z": pieces.END,
    "b": None,
    "B": None,
}
SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
ESCAPES: dict[str, Callable[[_Reader, int], int]] = {
    "x": _Reader._hexadecimal,
    "u": _Reader._unicode,
    "c": _Reader._control,
}


def _numbers(braces: re.Match[str]) -> tuple[int, int | None]:
    """Of `{3}`, `{3,}`, `{3,5}` and `{,5}`, which ECMA-262 does not have but cannot mean else."""
    fewest, comma, most, alone = braces.groups()
    if alone:
        return 0, int(alone[:9])
    low = int(fewest[:9])
    if not comma:
        return low, low
    return low, int(most[:9]) if most else None


def _single(code: int) -> Characters:
    return Characters(((code, code),))


def _is_property(name: str) -> bool:
    """Whether Rust's tables have this property."""
    import llguidance

    grammar = llguidance.LLMatcher.grammar_from_regex(f"\\p{{{name}}}")
    return not llguidance.LLMatcher.validate_grammar(grammar)
