"""The formats of JSON Schema: which texts they admit."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta, timezone

import pytest
from whole_texts import Whole

from llmparams_cli.constraints.patterns.formats import FORMATS

# Texts that a format admits, and others.
CASES: dict[str, tuple[list[str], list[str]]] = {
    "date": (
        ["2024-12-31", "2024-02-29", "2000-02-29", "1999-01-29"],
        [
            "2023-02-29",
            "1900-02-29",
            "2024-04-31",
            "2024-00-10",
            "2024-13-01",
            "24-01-01",
            "2024-1-1",
        ],
    ),
    "time": (
        ["12:30:00+02:00", "08:30:06.283185Z", "23:59:60Z", "15:59:60-08:00", "01:29:60+01:30"],
        ["24:00:00Z", "12:00:00", "22:59:60Z", "23:59:60+01:00", "12:00:00+24:00", "1:2:3Z"],
    ),
    "date-time": (
        [
            "2024-05-06T23:30:00+02:00",
            "2024-05-31t08:30:00.5z",
            "1998-12-31T23:59:60Z",
            "1998-12-31T15:59:60.1-08:00",
            "1999-01-01T00:59:60+01:00",
        ],
        [
            "2024-02-30T00:00:00Z",
            "2024-05-06 23:30:00Z",
            "2024-05-06T23:30:00",
            "1998-12-31T22:59:60Z",
            "1998-12-30T23:59:60Z",
            "1998-12-31T00:59:60+01:00",
        ],
    ),
    "duration": (
        ["P4DT12H30M5S", "P1Y2M3D", "PT1H", "P2W"],
        ["P", "PT", "P1YT", "P1D2H", "P2W1D", "1D"],
    ),
    "email": (
        ["a.b+c@example.com", '"a b\\""@example.com', "a@[127.0.0.1]", "a@[IPv6:::1]", "a@b"],
        ["a", "@b", "a@", ".a@b", "a..b@c", "a@b_c", "a@[300.0.0.1]", "a b@c", "é@b"],
    ),
    "idn-email": (["é@example.com", '"é ü"@example.com'], ["é", "é@", "é é@b"]),
    "hostname": (
        ["a", "a-b.example.com", "a--b", "1.2", "a" * 63 + ".b", ".".join(["a" * 63] * 3)],
        ["", "-a", "a-", "a.", "a..b", "a_b", "a" * 64, "xn--x", "é", ".".join(["a" * 63] * 4)],
    ),
    "idn-hostname": (["a.b"], ["xn--x", "〮a"]),
    "ipv4": (["0.0.0.0", "255.249.199.99"], ["256.0.0.0", "1.2.3", "01.2.3.4", "1.2.3.4.5"]),
    "ipv6": (
        [
            "::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7:8",
            "::ffff:192.0.2.1",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
        ],
        [
            ":",
            ":::",
            "1::2::3",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "::12345",
            "1:2:3:4:5:6:7:1.2.3.4",
        ],
    ),
    "uuid": (["2eb8aa08-aa98-11ea-b4aa-73b441d16380"], ["2eb8aa08aa9811eab4aa73b441d16380"]),
    "uri": (
        ["http://u:p@h.com:80/p%20a?q#f", "urn:x", "mailto:a@b", "http://[::1]/", "a:", "a:/b"],
        ["//h/p", "/p", "http://h/p a", "http://[h]/", "1:a", "a:%2", 'a:"', "a:\\", "a:é"],
    ),
    "uri-reference": (
        ["//h/p", "/p", "p?q", "#f", "", "./a:b", "a:b"],
        ["\\a", "1:b", "#a#b", "é"],
    ),
    "iri": (["http://ƒøø.ßår/?∂=é#é", "a:b"], ["é", "a: b", "a:\ud7ff\ufffe"]),
    "iri-reference": (["é", "//é", "#é", ""], ["é é", "é\\"]),
    "uri-template": (
        ["", "a/{b:3}{?c,d*}", "{+a.b}", "a😀"],
        ["{", "}", "{}", "{a:0}", "{a,}", "a b", "{a..b}", "%2"],
    ),
    "json-pointer": (["", "/", "/a/0", "/~0~1", '/"\\'], ["a", "/~", "/~2", "#/a"]),
    "relative-json-pointer": (["0", "10#", "1/a"], ["", "01", "-1", "0##", "/a", "0/~"]),
    "regex": (
        ["", "^[a-z0-9_]+$", r"\d{3}|\.", "(a|b)*?", r"[^\]]"],
        ["(", "[", "*", "a**", r"\a", "\\", "a)", "^*", "[z-a]"],
    ),
}


def test_all_have_cases() -> None:
    assert CASES.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", CASES)
def test_what_a_format_admits(name: str) -> None:
    expression = Whole(FORMATS[name].regex, FORMATS[name].longest)
    admitted, others = CASES[name]
    assert [text for text in admitted if not expression.matches(text)] == []
    assert [text for text in others if expression.matches(text)] == []


@pytest.mark.parametrize("year", [1900, 2000, 2023, 2024, 2100])
def test_all_days_of_a_year_and_no_others(year: int) -> None:
    expression = Whole(FORMATS["date"].regex)
    for month in range(14):
        last = monthrange(year, month)[1] if 1 <= month <= 12 else 0
        for day in range(33):
            text = f"{year}-{month:02}-{day:02}"
            assert expression.matches(text) == (1 <= day <= last), text


@pytest.mark.parametrize("minutes", range(-14 * 60, 15 * 60, 15))
def test_a_leap_second_on_every_clock(minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    local = datetime(2016, 12, 31, 23, 59, tzinfo=timezone.utc).astimezone(zone).isoformat()
    leap = f"{local[:17]}60{local[19:]}"
    expression = Whole(FORMATS["date-time"].regex)
    assert expression.matches(leap)
    assert expression.matches(local)
    assert not expression.matches(f"{leap[:14]}58{leap[16:]}")
    assert Whole(FORMATS["time"].regex).matches(leap[11:])


def test_what_is_left_out_is_said() -> None:
    told = {name for name, given in FORMATS.items() if given.narrower}
    assert told == {"hostname", "idn-hostname", "idn-email", "regex"}
    assert not Whole(FORMATS["hostname"].regex).matches("xn--9n2bp8q")
