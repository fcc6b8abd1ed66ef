r"""Rust's regular expressions, written as they stand in a JSON string.

In JSON some characters are escaped: the expression `a.b` becomes one that also finds `a\"b`.
Every other character is written as itself, so that a text has one spelling only, and a text that
must not be (a name that is taken) cannot come in another.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from llmparams_cli.constraints.matching import matcher

# What JSON does not take as it is.
ESCAPED = [chr(code) for code in range(0x20)] + ['"', "\\"]
NOT_PLAIN = r'["\\\x00-\x1f]'
ANY = "(?s:.)"


def is_empty(terminal: str) -> bool:
    """Whether no text matches a terminal of Lark."""
    from llguidance import LLMatcher

    follower = matcher(LLMatcher.grammar_from_lark(f"start: T\nT: {terminal}"))
    if follower.is_error():
        return "empty" in follower.get_error() or "no match" in follower.get_error().lower()
    # Where no byte can come, the end stands alone in the mask.
    return not follower.is_accepting() and not any(follower.compute_bitmask()[: 256 // 8])


@lru_cache(maxsize=10_000)
def _first_bytes(rust: str) -> frozenset[int]:
    from llguidance import LLMatcher

    mask = matcher(LLMatcher.grammar_from_regex(rust)).compute_bitmask()
    return frozenset(code for code in range(256) if mask[code // 8] >> code % 8 & 1)


@lru_cache(maxsize=10_000)
def quoted(rust: str) -> str:
    """The same expression for the inside of a JSON string."""
    found, place, flags = [], 0, [""]
    while place < len(rust):
        part = _part(rust, place)
        place += len(part)
        if part.startswith("(?"):
            flags.append(flags[-1] + part[2:-1])
            found.append("(?:")
        elif part == "(":
            flags.append(flags[-1])
            found.append("(?:")
        elif part == ")":
            flags.pop()
            found.append(part)
        elif part[0] in "|*+?{":
            found.append(part)
        else:
            found.append(_quoted_atom(part, flags[-1]))
    return "".join(found)


def _part(rust: str, place: int) -> str:
    """One character, class, opening of a group or count that begins here."""
    char = rust[place]
    if char == "\\":
        if rust[place + 1] in "xupP" and rust[place + 2 : place + 3] == "{":
            return rust[place : rust.index("}", place) + 1]
        length = {"x": 4, "u": 6, "p": 3, "P": 3}.get(rust[place + 1], 2)
        return rust[place : place + length]
    if char == "[":
        return rust[place : _end_of_class(rust, place)]
    if char == "{":
        return rust[place : rust.index("}", place) + 1]
    if rust.startswith("(?", place):
        return rust[place : rust.index(":", place) + 1]
    return char


def _end_of_class(rust: str, place: int) -> int:
    depth = 0
    while True:
        char = rust[place]
        if char == "\\":
            place += 1
        elif char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
            if not depth:
                return place + 1
        place += 1


@lru_cache(maxsize=10_000)
def _quoted_atom(atom: str, flags: str) -> str:
    plain = atom = re.sub(r"\\.|/", lambda m: "\\/" if m[0] == "/" else m[0], atom)
    kept = "".join(flag for flag in "is" if flag in flags)
    plain = f"(?{kept}:{plain})" if kept else plain
    if atom in ("^", "$"):
        return ""
    codes = _first_bytes(plain)
    special = [char for char in ESCAPED if ord(char) in codes]
    if not special:
        return plain
    spelled = _spelled(special)
    if not codes - {ord(char) for char in ESCAPED}:
        return f"(?:{spelled})"
    if atom == ".":
        raw = r'[^"\\\x00-\x1f]'
    else:
        raw = f"[{atom}--{NOT_PLAIN}]"
        raw = f"(?i:{raw})" if "i" in flags else raw
    return f"(?:{raw}|{spelled})"


def _spelled(special: list[str]) -> str:
    short = [char for char in special if len(json.dumps(char)) == 4]
    others = [char for char in special if len(json.dumps(char)) != 4]
    letters = "".join("\\" + json.dumps(c)[2] if c in '"\\' else json.dumps(c)[2] for c in short)
    codes = "|".join(f"(?i:{ord(char):04x})" for char in others)
    parts = [f"\\\\[{letters}]"] if letters else []
    if len(others) == 27:
        parts.append(r"\\u00(?:0(?:[0-7]|(?i:[bef]))|1(?i:[0-9a-f]))")
    elif codes:
        parts.append(rf"\\u(?:{codes})")
    return "|".join(parts)
