"""The formats of JSON Schema as expressions in Rust's syntax, for the whole text.

Dates are days that exist. A leap second stands where UTC can have one, on clocks that are a
multiple of a quarter of an hour ahead or behind, as all are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """`longest`: the most characters of a text, where the expression cannot say so. `narrower`:
    which valid texts the expression leaves out.
    """

    regex: str
    longest: int | None = None
    narrower: str = ""


def _any(*options: str) -> str:
    return f"(?:{'|'.join(options)})"


# RFC 3339: dates, times and durations
_LEAP_YEAR = _any(
    "[0-9]{2}" + _any("0[48]", "[2468][048]", "[13579][26]"),
    _any("[02468][048]", "[13579][26]") + "00",
)
_DAYS = _any(
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
    "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)",
    "02-(?:0[1-9]|1[0-9]|2[0-8])",
)
_DATE = _any(f"[0-9]{{4}}-{_DAYS}", f"{_LEAP_YEAR}-02-29")
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_FRACTION = r"(?:\.[0-9]+)?"
_TIME = rf"{_CLOCK}:[0-5][0-9]{_FRACTION}(?:[Zz]|[+\-]{_CLOCK})"
_MINUTES = 24 * 60


def _leap_seconds(sign: str) -> str:
    """23:59:60 of UTC, on the clocks ahead of it (+) or behind (-)."""
    options = []
    for minutes in range(15, _MINUTES, 15):
        last = (_MINUTES - 1 + (minutes if sign == "+" else -minutes)) % _MINUTES
        zone = f"{minutes // 60:02}:{minutes % 60:02}"
        options.append(rf"{last // 60:02}:{last % 60:02}:60{_FRACTION}\{sign}{zone}")
    return _any(*options)


_LEAP_AHEAD = _leap_seconds("+")
_LEAP_AT_NIGHT = _any(rf"23:59:60{_FRACTION}(?:[Zz]|[+\-]00:00)", _leap_seconds("-"))
_DATE_TIME = _any(
    f"{_DATE}[Tt]{_TIME}",
    f"[0-9]{{4}}-(?:06-30|12-31)[Tt]{_LEAP_AT_NIGHT}",
    f"[0-9]{{4}}-(?:07-01|01-01)[Tt]{_LEAP_AHEAD}",  # there it is the day after
)
_OF_MINUTES = "[0-9]+M(?:[0-9]+S)?"
_OF_HOURS = f"T{_any(f'[0-9]+H(?:{_OF_MINUTES})?', _OF_MINUTES, '[0-9]+S')}"
_OF_MONTHS = "[0-9]+M(?:[0-9]+D)?"
_OF_YEARS = _any(f"[0-9]+Y(?:{_OF_MONTHS})?", _OF_MONTHS, "[0-9]+D")
_DURATION = f"P{_any(f'{_OF_YEARS}(?:{_OF_HOURS})?', _OF_HOURS, '[0-9]+W')}"

# Hosts and mail
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_GROUP = "[0-9A-Fa-f]{1,4}"
_LAST_GROUPS = _any(f"{_GROUP}:{_GROUP}", _IPV4)


def _ipv6() -> str:
    options = [f"(?:{_GROUP}:){{6}}{_LAST_GROUPS}"]
    for before in range(8):  # groups before `::`
        head = f"(?:{_GROUP}(?::{_GROUP}){{0,{before - 1}}})?" if before else ""
        tail = {6: _GROUP, 7: ""}.get(before, f"(?:{_GROUP}:){{{5 - before}}}{_LAST_GROUPS}")
        options.append(f"{head}::{tail}")
    return _any(*options)


_IPV6 = _ipv6()
_ALNUM = "[A-Za-z0-9]"
_LABEL = f"{_ALNUM}(?:[A-Za-z0-9\\-]{{0,61}}{_ALNUM})?"
# Not with hyphens as third and fourth character, which are kept for encoded names (xn--).
_PLAIN_LABEL = (
    f"{_ALNUM}(?:{_ALNUM}?|[A-Za-z0-9\\-](?:{_ALNUM}(?:[A-Za-z0-9\\-]{{0,59}}{_ALNUM})?"
    f"|\\-{_ALNUM}(?:[A-Za-z0-9\\-]{{0,58}}{_ALNUM})?))"
)
_HOST = rf"{_PLAIN_LABEL}(?:\.{_PLAIN_LABEL})*"
_ATOM = r"[A-Za-z0-9!\#$%\&'*+\-/=?\^_`{|}\~]+"
_QUOTED = r'"(?:[ !\#-Z\x{5B}\]-\~]|\\[ -\~])*"'
_DOMAIN = _any(rf"{_LABEL}(?:\.{_LABEL})*", rf"\[(?:{_IPV4}|[Ii][Pp][Vv]6:{_IPV6})\]")
_EMAIL = rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})@{_DOMAIN}"
_BEYOND_ASCII = r"\x{80}-\x{10FFFF}"
_IDN_ATOM = _ATOM.replace("[", f"[{_BEYOND_ASCII}", 1)
_IDN_QUOTED = _QUOTED.replace("[", f"[{_BEYOND_ASCII}")
_IDN_EMAIL = rf"(?:{_IDN_ATOM}(?:\.{_IDN_ATOM})*|{_IDN_QUOTED})@{_DOMAIN}"

# RFC 3986 and 3987: addresses
_OTHER_SCRIPTS = (
    r"\x{A0}-\x{D7FF}\x{F900}-\x{FDCF}\x{FDF0}-\x{FFEF}"
    + "".join(rf"\x{{{plane:X}0000}}-\x{{{plane:X}FFFD}}" for plane in range(1, 14))
    + r"\x{E1000}-\x{EFFFD}"
)
_PRIVATE = r"\x{E000}-\x{F8FF}\x{F0000}-\x{FFFFD}\x{100000}-\x{10FFFD}"
_PERCENT = "%[0-9A-Fa-f]{2}"


def _address(letters: str, in_query: str, *, is_reference: bool) -> str:
    def some(also: str, more: str = "") -> str:
        return rf"(?:[A-Za-z0-9\-._\~!$\&'()*+,;={also}{letters}{more}]|{_PERCENT})"

    future = r"[Vv][0-9A-Fa-f]+\.[A-Za-z0-9\-._\~!$\&'()*+,;=:]+"
    host = _any(rf"\[(?:{_IPV6}|{future})\]", f"{some('')}*")
    authority = f"(?:{some(':')}*@)?{host}(?::[0-9]*)?"
    segment, follow = some(":@"), f"(?:/{some(':@')}*)*"
    after = rf"(?:\?{some(':@/?', in_query)}*)?(?:\#{some(':@/?')}*)?"
    absolute = f"/(?:{segment}+{follow})?"
    full = rf"[A-Za-z][A-Za-z0-9+\-.]*:(?://{authority}{follow}|{absolute}|{segment}+{follow}|)"
    if not is_reference:
        return full + after
    relative = f"//{authority}{follow}|{absolute}|{some('@')}+{follow}|"
    return f"(?:{full}|{relative}){after}"


_LITERAL = rf"(?:[!\#$\&'-;=?-\[\]_a-z\~{_OTHER_SCRIPTS}{_PRIVATE}]|{_PERCENT})"
_VARIABLE = rf"(?:[A-Za-z0-9_]|{_PERCENT})(?:\.?(?:[A-Za-z0-9_]|{_PERCENT}))*"
_WITH_MODIFIER = rf"{_VARIABLE}(?:\*|:[1-9][0-9]{{0,3}})?"
_TEMPLATE = rf"(?:{_LITERAL}|\{{[+\#./;?\&=,!@|]?{_WITH_MODIFIER}(?:,{_WITH_MODIFIER})*\}})*"

_POINTER = r"(?:/(?:[^/\~]|\~[01])*)*"

# Regular expressions, as far as one can describe another
_ESCAPE = r"\\[dDwWsSfnrtv\^$\\.*+?()\[\]{}|/]"
_MEMBER = rf"(?:0-9|a-z|A-Z|[^\[\]\\\^\-]|{_ESCAPE})"
_ONE = rf"(?:[^\\.*+?()\[\]{{}}|\^$]|\.|{_ESCAPE}|\[\^?{_MEMBER}+\])"
_TIMES = r"(?:(?:[*+?]|\{(?:[0-9]|[1-9][0-9]),?\})\??)?"
_TERM = rf"(?:{_ONE}{_TIMES}|\^|\$|\\[bB])"
_REGEX = rf"(?:{_TERM}|\||\((?:\?:)?(?:{_TERM}|\|)*\){_TIMES})*"

_ENCODED = "names of other scripts and their encoded form (xn--…)"
FORMATS: dict[str, Format] = {
    "date": Format(_DATE),
    "time": Format(_any(_TIME, _LEAP_AT_NIGHT, _LEAP_AHEAD)),
    "date-time": Format(_DATE_TIME),
    "duration": Format(_DURATION),
    "email": Format(_EMAIL),
    "idn-email": Format(_IDN_EMAIL, narrower="domains of other scripts"),
    "hostname": Format(_HOST, longest=253, narrower="encoded names of other scripts (xn--…)"),
    "idn-hostname": Format(_HOST, longest=253, narrower=_ENCODED),
    "ipv4": Format(_IPV4),
    "ipv6": Format(_IPV6),
    "uuid": Format("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "uri": Format(_address("", "", is_reference=False)),
    "uri-reference": Format(_address("", "", is_reference=True)),
    "iri": Format(_address(_OTHER_SCRIPTS, _PRIVATE, is_reference=False)),
    "iri-reference": Format(_address(_OTHER_SCRIPTS, _PRIVATE, is_reference=True)),
    "uri-template": Format(_TEMPLATE),
    "json-pointer": Format(_POINTER),
    "relative-json-pointer": Format(rf"(?:0|[1-9][0-9]*)(?:\#|{_POINTER})"),
    "regex": Format(_REGEX, narrower="groups within groups, lookaround and rare escapes"),
}
