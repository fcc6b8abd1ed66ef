r"""Regular expressions of ECMA-262, as JSON Schemas have them, in Python's words."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

# Where they differ: escapes, classes, the end of a text, and named groups.
PLACES = re.compile(
    r"\\u\{(?P<code>[0-9a-fA-F]+)\}|\\(?P<sign>[pP])\{(?P<property>[^}]*)\}|\\c(?P<control>[A-Za-z])"
    r"|\\k<(?P<reference>[^>]*)>|(?P<named>\(\?<)(?![=!])|(?P<empty>\[\])|(?P<any>\[\^\])"
    r"|(?P<escape>\\.)|(?P<doubled>--|&&|~~|\|\|)|(?P<open>\[)|(?P<close>\])|(?P<end>\$)",
    re.DOTALL,
)
SPACE = r" \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\t-\r"  # of ECMA-262's \s
# By the escape: outside of a class, and within one, where each ends in a range: what follows it, as
# in [\w-.], is then no range of its own.
ESCAPES = {
    r"\d": ("[0-9]", "0-9"),
    r"\D": ("[^0-9]", ""),
    r"\w": ("[0-9A-Za-z_]", "_0-9A-Za-z"),
    r"\W": ("[^0-9A-Za-z_]", ""),
    r"\s": (f"[{SPACE}]", SPACE),
    r"\S": (f"[^{SPACE}]", ""),
}
FLAGS = re.compile(r"\(\?([is]+)\)")  # at the start they hold for all of it, as in other dialects
ASCII = re.compile(r"\\[bBDWS]")  # what means ASCII here and stays as it is
NAMES = {  # long names of the categories that people write
    "letter": "L", "lowercase_letter": "Ll", "uppercase_letter": "Lu", "number": "N",
    "decimal_number": "Nd", "punctuation": "P", "symbol": "S", "separator": "Z", "mark": "M",
    "lowercase": "Ll", "uppercase": "Lu", "alphabetic": "L",
    "digit": "Nd", "punct": "P",
}  # fmt: skip


class Unreadable(ValueError):
    """An expression that cannot be said in Python's words."""


@cache
def in_python(pattern: str) -> str:
    """The same expression for `re`. Raises Unreadable."""
    flags = FLAGS.match(pattern)
    # With `a`, Python knows no upper and lower case of letters beyond ASCII.
    own = f"?{flags[1]}{'a' if ASCII.search(pattern) else 'u'}:" if flags else "?:"
    found = f"(?a:({own}{_translated(pattern[flags.end() if flags else 0 :])}))"
    try:
        re.compile(found)
    except (re.error, RecursionError, OverflowError) as error:
        raise Unreadable(f"the pattern {pattern!r}: {error}") from error
    return found


def _translated(pattern: str) -> str:
    in_class = False

    def place(found: re.Match[str]) -> str:
        nonlocal in_class
        kind = found.lastgroup
        if kind == "open" and not in_class:
            in_class = True
        elif kind == "close":
            in_class = False
        elif in_class and kind == "doubled":  # for Python perhaps a set operation, one day
            return f"{found[0][0]}\\{found[0][1]}"
        elif in_class and kind in ("empty", "open"):
            in_class = kind == "open"
            return "\\[" + "]" * (kind == "empty")
        elif in_class and kind in ("end", "named", "any"):
            in_class = kind != "any"
            return found[0].replace("[", "\\[")
        else:
            return _said(found, kind or "", in_class)
        return found[0]

    return PLACES.sub(place, pattern)


def _said(found: re.Match[str], kind: str, in_class: bool) -> str:
    text = found[0]
    if kind == "code":
        return f"\\U{int(found[kind], 16):08x}"
    if kind == "property":
        inner = _category(found[kind])
        if found["sign"] == "p":
            return inner if in_class else f"[{inner}]"
        if not in_class:
            return f"[^{inner}]"
    if kind == "control":
        return f"\\x{ord(found[kind].upper()) - 64:02x}"
    if kind == "escape":
        outside, within = ESCAPES.get(text, (text, text))
        if within or not in_class:
            return _escape(within if in_class else outside)
        return text  # a negated set within a class, which Python knows for ASCII
    simple = {"named": "(?P<", "empty": "(?!)", "any": "(?s:.)", "end": r"\Z"}
    return f"(?P={found['reference']})" if kind == "reference" else simple.get(kind, text)


def _escape(text: str) -> str:
    """Escapes of letters that Python does not know stand for the letters themselves."""
    is_plain = len(text) == 2 and text[0] == "\\" and text[1].isalpha()
    return text[1] if is_plain and text[1] not in "bBdDsSwWtnvfrxu" else text


@cache
def _category(name: str) -> str:
    """The characters of a general category, for a class."""
    wanted = name.rpartition("=")[2]
    wanted = NAMES.get(wanted.lower(), wanted)
    every = [unicodedata.category(chr(code)) for code in range(sys.maxunicode + 1)]
    if not wanted or not any(category.startswith(wanted) for category in set(every)):
        raise Unreadable(f"the property {name} of characters is not known here")
    ranges, start = [], None
    for code, category in enumerate([*every, ""]):
        if category.startswith(wanted):
            start = code if start is None else start
        elif start is not None:
            ranges.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = None
    return "".join(ranges)
