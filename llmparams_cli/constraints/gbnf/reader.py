"""Reads GBNF, llama.cpp's notation for grammars (its grammars/README.md), as llama.cpp does.

What its reader (llama_grammar_parser) refuses is refused here, with the line, the rule and a cure,
and before it could fill the memory: {5,3} has it count down from the largest number.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache

from llmparams_cli.constraints.gbnf.rules import (
    ROOT,
    Characters,
    Fault,
    Grammar,
    Rule,
    Sequence,
    Token,
)

MOST_REPETITIONS = 2000  # llama.cpp's MAX_REPETITION_THRESHOLD
MOST_BRACKETS = 1000  # open at once; llama.cpp's recursive reader overflows at some 10,000
MOST_ELEMENTS = 2_000_000  # characters and references, once repetitions are written out
MOST_RULES = 200_000  # with those that llama.cpp makes of groups and repetitions

NO_TEXT = re.compile(r"[\0\ud800-\udfff]")
BLANK = re.compile(r"(?:[ \t]+|#[^\r\n]*)*")
BLANK_OR_LINE_END = re.compile(r"(?:[ \t\r\n]+|#[^\r\n]*)*")
HEAD = re.compile(rf"([A-Za-z0-9-]+){BLANK.pattern}::={BLANK_OR_LINE_END.pattern}")
NAME = re.compile(r"[A-Za-z0-9-]+")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
CLASS = re.compile(r"\[(\^?)((?:[^\]\\]|\\.)*)\]", re.DOTALL)
CHARACTER = re.compile(
    r'\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([trn\\"\[\]-]))|([^\\])',
    re.DOTALL,
)
NUMBERED_TOKEN = re.compile(r"<\[([0-9]+)\]>")
NAMED_TOKEN = re.compile(r"<[^>]*>")
NUMBER = re.compile(r"[0-9]+")
SIMPLE = {"t": "\t", "r": "\r", "n": "\n"}
ANY = Characters((), is_negated=True)
REPEATED = {"*": (0, None), "+": (1, None), "?": (0, 1)}

ESCAPES = r"the escapes are \n, \r, \t, \\, \", \[, \], \-, \xHH, \uHHHH and \UHHHHHHHH"
CLASSES = {"d": "[0-9]", "w": "[A-Za-z0-9_]", "s": r"[ \t\r\n]", "b": r"\x08", "f": r"\x0C"}
OTHER_SIGNS = {
    "'": "literals stand in double quotes",
    "|": "end the line before with |, or put brackets around all alternatives",
    ";": "a rule ends with its line, without ;",
    "/": "comments begin with #",
    "_": "names consist of letters, digits and -",
    "=": "a rule is written name ::= …",
    ":": "a rule is written name ::= …",
    ",": "what follows one another stands side by side, without commas",
    ")": "a bracket is closed that was not opened",
}


@lru_cache(maxsize=4)  # asked for again for every answer
def read(text: str) -> Grammar:
    """The grammar's rules; raises Fault. Whether they can be followed `checks` tells.

    The byte order mark of other editors is none of its text.
    """
    return _Reader(text.removeprefix("\ufeff")).read()


@dataclass(slots=True)
class _Open:
    """A rule or a group while it is read; the fields are named as in llama.cpp."""

    rule: int
    offset: int
    symbols_before: int
    alternatives: list[Sequence]
    last: int = 0  # where the last item begins in the last alternative
    repeated: int = 1  # n_prev_rules: what the last item multiplies with when it is repeated


class _Singles(dict[int, Characters]):
    """What a literal consists of: one object for each character."""

    def __missing__(self, code: int) -> Characters:
        self[code] = Characters(((code, code),))
        return self[code]


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.numbers: dict[str, int] = {}
        self.referred: dict[int, tuple[int, str]] = {}  # the first reference: where, from which
        self.rules: list[Rule | None] = []
        self.tokens: list[Token] = []
        self.notes: list[str] = []
        self.elements = 0
        self.single = _Singles()
        self.name = ""
        self.open: list[_Open] = []

    def read(self) -> Grammar:
        if found := NO_TEXT.search(self.text):
            raise self._fault("this is not text", "grammars are UTF-8", found.start())
        self._skip(nested=True)
        while self.at < len(self.text):
            self._rule()
        rules, root = self._complete(), self._root()
        return Grammar(self.text, rules, root, self.tokens, self.notes, followed=self.text)

    def _fault(self, reason: str, cure: str = "", at: int | None = None) -> Fault:
        return Fault(self.text, self.at if at is None else at, self.name, reason, cure)

    def _note(self, text: str, at: int) -> None:
        self.notes.append(str(self._fault(text, at=at)))

    def _complete(self) -> list[Rule]:
        names = [name for name, number in self.numbers.items() if self.rules[number] is not None]
        for name, number in self.numbers.items():
            if self.rules[number] is None:
                at, self.name = self.referred[number]
                near = difflib.get_close_matches(name, names[:10_000], 1)
                cure = f"the nearest is '{near[0]}'" if near else f"define it: {name} ::= …"
                raise self._fault(f"there is no rule '{name}'", cure, at)
        return [rule for rule in self.rules if rule is not None]

    def _root(self) -> int:
        if ROOT not in self.numbers:
            first = next(iter(self.numbers), "")
            cure = f"rename '{first}' if the text begins there" if first else "root ::= …"
            raise Fault(
                self.text, 0, "", "the rule 'root', where every text begins, is missing", cure
            )
        return self.numbers[ROOT]

    def _skip(self, nested: bool) -> None:
        if self._next() not in " \t#\r\n":
            return  # as nearly always: the expression takes its time
        found = (BLANK_OR_LINE_END if nested else BLANK).match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    # Rules.

    def _rule(self) -> None:
        self.name = ""
        head = HEAD.match(self.text, self.at)
        if not head:
            raise self._no_head()
        begin, self.name, self.at = self.at, head.group(1), head.end()
        self.open = [_Open(self._number(self.name), begin, 0, [[]])]
        self._alternatives()
        if self.text.startswith("\r\n", self.at):
            self.at += 2
        elif self._next() in ("\r", "\n"):
            self.at += 1
        elif self._next():
            raise self._unexpected("the end of the line")
        self._define(self.open.pop())
        self._skip(nested=True)

    def _no_head(self) -> Fault:
        name = NAME.match(self.text, self.at)
        if not name:
            return self._unexpected("a rule's name")
        self.at = name.end()
        self._skip(nested=False)
        return self._unexpected(f"::= behind the name '{name.group()}'")

    def _unexpected(self, expected: str) -> Fault:
        sign = self._next()
        reason = f"{expected} is expected, not {sign}" if sign else f"{expected} is expected"
        if self.text.startswith("\ufeff", self.at):
            return self._fault("a byte order mark in the midst of the text", "remove it")
        return self._fault(reason, OTHER_SIGNS.get(sign, "a rule is written name ::= …"))

    def _number(self, name: str) -> int:
        """The number of a named rule, new if it has none (get_symbol_id)."""
        if name not in self.numbers:
            self.numbers[name] = self._new()
        return self.numbers[name]

    def _new(self) -> int:
        """The number of a new rule (generate_symbol_id)."""
        if len(self.rules) >= MOST_RULES:
            raise self._fault(
                f"more than {MOST_RULES:,} rules, once groups and repetitions are written out",
                "use fewer or smaller repetitions",
            )
        self.rules.append(None)
        return len(self.rules) - 1

    def _define(self, done: _Open) -> None:
        if self.rules[done.rule] is not None:
            self._note("this rule was defined before, and the last definition counts", done.offset)
        self.rules[done.rule] = Rule(self.name, done.offset, done.alternatives)

    def _alternatives(self) -> None:
        """The items up to the end of the rule, at whatever depth of brackets."""
        while True:
            sign = self._next()
            if sign == "|":
                self.at += 1
                self._skip(nested=True)
                self.open[-1].alternatives.append([])
                self.open[-1].last = 0
                self.open[-1].repeated = 1
            elif sign == "(":
                self._open_group()
            elif len(self.open) > 1 and sign == ")":
                self._close_group()
            elif not self._item(sign):
                break
        if len(self.open) > 1:
            if not self._next():
                raise self._fault("this bracket is never closed", "add )", self.open[-1].offset)
            raise self._unexpected(")")

    def _open_group(self) -> None:
        if len(self.open) > MOST_BRACKETS:
            raise self._fault(
                f"more than {MOST_BRACKETS:,} brackets are open at a time",
                "write repetitions with * or {m,n}",
            )
        before, begin = len(self.rules), self.at
        self.at += 1
        self._skip(nested=True)
        self.open.append(_Open(self._new(), begin, before, [[]]))

    def _close_group(self) -> None:
        group = self.open.pop()
        self._define(group)
        self.at += 1
        self._add([group.rule], 1, max(1, len(self.rules) - group.symbols_before))

    # Items.

    def _item(self, sign: str) -> bool:
        """Read an item or a repetition; False if there is none."""
        if sign.isalnum() and self._reference():
            return True
        if sign == '"':
            self._literal()
        elif sign == "[":
            self._class()
        elif sign and sign in "<!":
            self._token()
        elif sign == ".":
            self.at += 1
            self._add([ANY], 1)
        elif sign in REPEATED:
            self._repeat(self.at, *REPEATED[sign], end=self.at + 1)
        elif sign == "{":
            self._counted()
        elif not self._reference():
            return False
        return True

    def _reference(self) -> bool:
        found = NAME.match(self.text, self.at)
        if found:
            number = self._number(found.group())
            if number not in self.referred:
                self.referred[number] = self.at, self.name
            self.at = found.end()
            self._add([number], 1)
        return found is not None

    def _add(self, item: Sequence, size: int, repeated: int = 1) -> None:
        """Append an item and go on behind the blanks that follow it."""
        now = self.open[-1]
        now.last, now.repeated = len(now.alternatives[-1]), repeated
        self._count(size)
        now.alternatives[-1] += item
        self._skip(nested=len(self.open) > 1)

    def _count(self, size: int) -> None:
        self.elements += size
        if self.elements > MOST_ELEMENTS:
            raise self._fault(
                f"more than {MOST_ELEMENTS:,} characters and references, once repetitions are "
                "written out",
                "use fewer or smaller repetitions",
            )

    def _literal(self) -> None:
        found = LITERAL.match(self.text, self.at)
        if not found:
            raise self._fault("this literal is never closed", 'add "')
        begin, content = found.start(1), found.group(1)
        codes = self._codes(begin, found.end(1)) if "\\" in content else [*map(ord, content)]
        item: Sequence = [self.single[code] for code in codes]
        if "\\" in content and any(self.single[code].first is None for code in {*codes}):
            raise self._fault("no text contains one of these characters", "there is no \\x00")
        self.at = found.end()
        self._add(item, len(item))

    def _codes(self, begin: int, end: int) -> list[int]:
        """The code points of what is written between two offsets of a literal."""
        codes = []
        while begin < end:
            code, begin = self._character(begin, end)
            codes.append(code)
        return codes

    def _character(self, begin: int, end: int) -> tuple[int, int]:
        found = CHARACTER.match(self.text, begin, end)
        if not found:
            raise self._unknown_escape(begin)
        two, four, eight, simple, plain = found.groups()
        if plain or simple:
            return ord(plain or SIMPLE.get(simple, simple)), found.end()
        return int(two or four or eight, 16), found.end()

    def _unknown_escape(self, at: int) -> Fault:
        letter = self.text[at + 1 : at + 2]
        if letter in ("x", "u", "U"):
            count = {"x": 2, "u": 4, "U": 8}[letter]
            return self._fault(f"\\{letter} needs {count} hexadecimal digits", ESCAPES, at)
        cure = f"write {CLASSES[letter]}" if letter in CLASSES else ESCAPES
        return self._fault(f"there is no escape \\{letter}", cure, at)

    def _class(self) -> None:
        found = CLASS.match(self.text, self.at)
        if not found:
            raise self._fault("this class is never closed", "add ]")
        at, end = found.span(2)
        ranges = []
        while at < end:
            low, at = self._character(at, end)
            high = low
            # A - at the end of the class is a character like any other.
            if self.text[at] == "-" and at + 1 < end:
                high, at = self._character(at + 1, end)
            ranges.append((low, high))
        # An empty class, negated or not, is an empty text to llama.cpp.
        item: Sequence = [Characters(tuple(ranges), bool(found.group(1)))] if ranges else []
        if item and item[0].first is None:  # type: ignore[union-attr]
            raise self._fault(f"{found.group()} admits no character", "ranges go from low to high")
        self.at = found.end()
        self._add(item, sum(1 if low == high else 2 for low, high in ranges))

    def _token(self) -> None:
        begin = self.at
        is_negated = self._next() == "!"
        self.at += is_negated
        if self._next() != "<":
            raise self._fault("! is followed by a token: !<think>", "classes are negated by [^…]")
        numbered = self.text.startswith("<[", self.at)
        found = (NUMBERED_TOKEN if numbered else NAMED_TOKEN).match(self.text, self.at)
        if not found:
            cure = "tokens are written <think> or, by their number, <[1000]>"
            raise self._fault("this token is not complete", cure)
        if numbered and int(found.group(1).lstrip("0")[:11] or 0) >= 2**32:
            raise self._fault("there is no token of so large a number")
        self.at = found.end()
        self.tokens.append(Token(found.group(), is_negated, begin, self.name))
        self._add([self.tokens[-1]], 1)

    # Repetitions.

    def _counted(self) -> None:
        """{n}, {n,} or {n,m}."""
        begin, nested = self.at, len(self.open) > 1
        self.at += 1
        self._skip(nested)
        least = self._integer()
        most: int | None = least
        if least is None:
            raise self._fault("a repetition is written {n}, {n,} or {n,m}", "", begin)
        if self._next() == ",":
            self.at += 1
            self._skip(nested)
            most = self._integer()
        if self._next() != "}":
            raise self._fault("a repetition is written {n}, {n,} or {n,m}", "", begin)
        self._repeat(begin, least, most, end=self.at + 1)

    def _integer(self) -> int | None:
        found = NUMBER.match(self.text, self.at)
        if not found:
            return None
        self.at = found.end()
        self._skip(nested=len(self.open) > 1)
        digits = found.group().lstrip("0") or "0"
        return int(digits) if len(digits) < 6 else 10**6  # beyond every limit

    def _repeat(self, begin: int, least: int, most: int | None, end: int) -> None:
        """Repeat the last item as llama.cpp does: `least` times it, and rules for the rest."""
        written = self.text[begin:end]
        now = self.open[-1]
        item = now.alternatives[-1][now.last :]
        if not item:
            raise self._fault(f"{written} repeats nothing", "it follows what it repeats", begin)
        if most is not None and most < least:
            swapped = f"{{{most},{least}}}"
            raise self._fault(f"{written} ends before it begins", f"write {swapped}", begin)
        if least > MOST_REPETITIONS:
            reason = f"{written}: llama.cpp repeats at most {MOST_REPETITIONS:,} times"
            raise self._fault(reason, "give a part of the repetitions a rule of its own", begin)
        if most is not None and most > MOST_REPETITIONS:
            limit = f"llama.cpp counts up to {MOST_REPETITIONS:,}"
            self._note(f"{limit}, and reads {written} as {{{least},}}, without an end", begin)
            most = None
        now.repeated *= most or least or 1
        if now.repeated > MOST_REPETITIONS:
            raise self._fault(
                f"{written} repeats what is repeated already, {now.repeated:,} times in all; "
                f"llama.cpp's limit is {MOST_REPETITIONS:,}",
                "give the repeated part a rule of its own, or use * or +",
                begin,
            )
        self._write_out(now, item, least, most, begin)
        self.at = end
        self._skip(nested=len(self.open) > 1)

    def _write_out(
        self, now: _Open, item: Sequence, least: int, most: int | None, begin: int
    ) -> None:
        optional = 1 if most is None else most - least
        size = sum(1 if isinstance(element, int) else element.size for element in item)
        self._count(size * max(0, least - 1) + (size + 3) * optional)
        sequence = now.alternatives[-1]
        if least == 0:
            del sequence[now.last :]
        else:
            sequence += item * (least - 1)
        follow: int | None = None
        for _ in range(optional):
            number = self._new()
            follow = number if most is None else follow
            again = [*item] if follow is None else [*item, follow]
            self.rules[number] = Rule(self.name, begin, [again, []])
            follow = number
        if follow is not None:
            sequence.append(follow)
