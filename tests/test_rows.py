"""Rows of files and pipes: every format, and what is wrong with one row alone."""

from __future__ import annotations

import csv
import io
import json
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.presets.nodes import Mark, Unreadable
from llmparams_cli.rows import lines, tables, written
from llmparams_cli.rows.asked import asked
from llmparams_cli.rows.row import BadRow, Row, node
from llmparams_cli.rows.source import Source

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(TEXT, VALUES, max_size=4), max_size=5)


def plain(rows):
    return [{name: value.plain() for name, value in row.fields.items()} for row in rows]


def read(reader, data, *more):
    return list(reader(io.BufferedReader(io.BytesIO(data)), *more))


def wishes(**fields):
    return asked(Row(1, 1, {name: node(value, 1) for name, value in fields.items()}), "in.jsonl")


@settings(deadline=None)  # others may be busy on the machine
@given(OBJECTS)
def test_json_lines_come_back(objects):
    data = "".join(json.dumps(each, ensure_ascii=False) + "\n\n" for each in objects)
    rows = read(lines.json_lines, data.encode())
    assert plain(rows) == objects
    assert [row.line for row in rows] == [2 * n + 1 for n in range(len(objects))]


@settings(deadline=None)  # others may be busy on the machine
@given(OBJECTS)
def test_a_list_of_objects_is_rows(objects):
    data = json.dumps(objects, indent=1).encode()
    assert plain(read(lines.json_array, data)) == objects


@settings(deadline=None)  # others may be busy on the machine
@given(st.lists(st.lists(TEXT, min_size=3, max_size=3), max_size=5), st.sampled_from(",;\t"))
def test_tables_come_back(rows, delimiter):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([["id", "a text", "more"], *rows])
    found = read(tables.separated, out.getvalue().encode("utf-8-sig"), "in.csv")
    assert plain(found) == [dict(zip(["id", "a text", "more"], row, strict=True)) for row in rows]


def test_a_text_with_line_breaks_is_one_cell_and_rows_know_their_line():
    data = b'id,prompt\n1,"two\nlines"\n\n2,one\n'
    assert [row.line for row in read(tables.separated, data, "in.csv")] == [2, 5]


@pytest.mark.parametrize(
    ("data", "mark", "reason"),
    [
        (b'{"a": 1}\n{"a": }\n', (2, 7), "not JSON: '}'"),
        (b'{"a": 1}\n[1]\n', (2, 1), "not an object"),
        (b'{"a": 1}\n{"a": 1, "a": 2}\n', (2, 10), "given twice"),
        (b'{"a": 1}\n{"a": "\xff"}\n', (2, 8), "not UTF-8: 0xff"),
        (b'{"a": 1}\n{"a": NaN}\n', (2, 7), "not JSON"),
        (b'{"a": 1}\n' + b'{"a":' * 80 + b"\n", (2, 326), "nested deeper"),
    ],
)
def test_a_wrong_line_is_a_bad_row_at_its_place(data, mark, reason):
    good, bad, last = read(lines.json_lines, data + b'{"a": 3}\n')
    assert isinstance(bad, BadRow) and bad.number == 2
    assert bad.mark == Mark(*mark) and reason in bad.reason
    assert isinstance(good, Row) and plain([last]) == [{"a": 3}] and last.number == 3


def test_a_line_without_an_end_is_given_up_and_the_next_one_read(monkeypatch):
    monkeypatch.setattr(lines, "MOST", 20)
    long, short = read(lines.texts, b"x" * 100 + b"\nshort\n")
    assert isinstance(long, BadRow) and "longer than" in long.reason
    assert plain([short]) == [{"prompt": "short"}] and short.line == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a,b\n1,2,3\n5,6\n", "3 fields, and the header has 2"),
        (b"a,b\n1,\xff\n5,6\n", "b: not UTF-8"),
        (b'a,b\n1,"x"y\n5,6\n', "not CSV"),
    ],
)
def test_a_wrong_line_of_a_table_is_a_bad_row(data, reason):
    bad, good = read(tables.separated, data, "in.csv")
    assert isinstance(bad, BadRow) and reason in bad.reason and bad.mark.line == 2
    assert plain([good]) == [{"a": "5", "b": "6"}]


def test_a_table_may_say_what_divides_it_as_excel_does():
    (row,) = read(tables.separated, b"sep=|\r\na|b,c\r\n1|2;3\r\n", "in.csv")
    assert plain([row]) == [{"a": "1", "b,c": "2;3"}] and row.line == 3


@pytest.mark.parametrize("data", [b"", b"\n", b"a,a\n1,2\n", b"a, a\n1,2\n"])
def test_a_table_without_a_usable_header_is_an_error(data):
    with pytest.raises(UsageError):
        read(tables.separated, data, "in.csv")


def test_parquet_comes_back_and_goes_out(tmp_path):
    pytest.importorskip("pyarrow")
    records = [
        {"id": 1, "text": "a", "usage": {"tokens": 2}, "valid": True, "list": [1, 2]},
        {"id": "x", "text": "b", "usage": {"tokens": 3}},
    ]
    written.write_parquet(tmp_path / "out.parquet", lambda: iter(records))
    with (tmp_path / "out.parquet").open("rb") as file:
        found = plain(tables.parquet(file, "out.parquet"))
    assert found == [
        {"id": "1", "text": "a", "usage.tokens": 2, "valid": True, "list": "[1, 2]"},
        {"id": "x", "text": "b", "usage.tokens": 3, "valid": None, "list": None},
    ]


# Where they come from


def source(tmp_path, data, name="in", format=None):
    (tmp_path / name).write_bytes(data)
    return Source(Environment(directory=tmp_path), name, format)


def all_of(rows):
    found = []
    try:
        while True:
            found.append(rows.next(10))
    except StopIteration:
        return found
    finally:
        rows.close()
        rows._thread.join(10)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("in", b'\xef\xbb\xbf{"prompt": "Hi"}\n'),
        ("in.jsonl", b'{"prompt": "Hi"}'),
        ("in.json", b'[\n {"prompt": "Hi"}\n]'),
        ("in.csv", b"prompt\r\nHi\r\n"),
        ("in.tsv", b"prompt\tx\nHi\t\n"),
        ("in.txt", b"Hi\n"),
        ("in", b"Hi\r\n"),
    ],
)
def test_the_name_or_the_beginning_tells_the_format(name, data, tmp_path):
    (row,) = all_of(source(tmp_path, data, name))
    assert row.fields["prompt"].value == "Hi"


@pytest.mark.parametrize("data", ["one\n".encode("utf-16"), b"GGUF\x03\x00\x00\x00"])
def test_what_is_no_text_is_told_as_a_whole(data, tmp_path):
    with pytest.raises(UsageError, match="zero bytes"):
        all_of(source(tmp_path, data))


def test_a_format_that_is_named_counts(tmp_path):
    (row,) = all_of(source(tmp_path, b'{"prompt": "Hi"}\n', "in.jsonl", "lines"))
    assert row.fields["prompt"].value == '{"prompt": "Hi"}'


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_what_is_no_file_is_told(name, tmp_path):
    with pytest.raises(UsageError):
        Source(Environment(directory=tmp_path), name, None)


def test_nobody_waits_for_a_pipe_that_has_nothing_to_say(tmp_path):
    reader, writer = os.pipe()
    with os.fdopen(reader) as stdin, os.fdopen(writer, "wb", 0) as out:
        rows = Source(Environment(stdin=stdin), "-", None)
        assert rows.next(0) is None
        out.write(b"one\n")
        first = rows.next(10)
        assert isinstance(first, Row) and rows.next(0.01) is None and rows.total is None
        out.close()
        assert all_of(rows) == []


def test_a_file_is_read_no_further_than_there_is_room(tmp_path):
    rows = source(tmp_path, b"line\n" * 100_000)
    rows.next(10)
    assert rows._read < 100_000
    total, is_certain = rows.total
    assert not is_certain and 0.9 < total / 100_000 < 1.1
    rows.close()
    rows._thread.join(10)
    assert not rows._thread.is_alive() and threading.active_count() < 50


def test_the_number_of_rows_is_known_once_all_are_read(tmp_path):
    rows = source(tmp_path, b"one\n\ntwo\n")
    assert len(all_of(rows)) == 2 and rows.total == (2, True)


# What a row asks for


def test_fields_without_a_meaning_are_variables():
    found = wishes(prompt="Hi", stars=5, kind=True, empty="", tags=["a", {"b": 1}], none=None)
    tags = json.loads(found.variables["tags"])
    assert tags == ["a", {"b": 1}] and found.prompt == "Hi"
    assert {k: v for k, v in found.variables.items() if k != "tags"} == {
        "stars": "5",
        "kind": "true",
        "empty": "",
    }


def test_values_of_a_row_are_checked_like_those_of_a_preset():
    found = wishes(
        prompt="Hi",
        seed="7",
        parameters={"temperature": 0.5, "thinking.temperature": 1, "top-k": "3"},
        schema='{"type": "object"}',
    )
    assert {a.label: a.value for a in found.assignments} == {
        "temperature": 0.5,
        "thinking.temperature": 1.0,
        "top_k": 3,
        "json_schema": {"type": "object"},
        "seed": 7,
    }


def test_a_table_has_a_column_for_a_parameter():
    found = wishes(prompt="Hi", **{"parameters.temperature": "0.25", "parameters.top_k": ""})
    assert [(a.name, a.value) for a in found.assignments] == [("temperature", 0.25)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, "exclude each other"),
        ({"prompt": 5}, "prompt: not text"),
        ({"messages": []}, "not a list of messages"),
        ({"messages": [{"role": "tool", "content": "b"}]}, "the role 'tool'"),
        ({"messages": [{"role": "user"}]}, "no content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only text"),
        ({"prompt": "a", "parameters": {"temprature": 1}}, "did you mean temperature?"),
        ({"prompt": "a", "parameters": {"temperature": "hot"}}, "temperature: 'hot'"),
        ({"prompt": "a", "parameters": {"context": 9}}, "the same for all rows"),
        ({"prompt": "a", "parameters": {"lora": ["x.gguf"]}}, "the same for all rows"),
        ({"prompt": "a", "parameters": [1]}, "parameters: not"),
        ({"prompt": "a", "preset": "../secret"}, "not a path"),
        ({"prompt": "a", "preset": "secret.yaml"}, "not a path"),
        ({"prompt": "a", "id": 1.5}, "neither text nor"),
        ({"prompt": "a", "expect": {"contain": "x"}}, "did you mean contains"),
        ({"prompt": "a", "expect": {"command": "rm -rf /"}}, "unknown key 'command'"),
        ({"prompt": "a", "schema": "{"}, "not JSON"),
    ],
)
def test_a_row_that_asks_for_something_else_is_refused(fields, reason):
    with pytest.raises(Unreadable) as error:
        wishes(**fields)
    assert reason in error.value.reason


def test_no_file_is_read_for_a_row(tmp_path):
    (tmp_path / "secret").write_text("root ::= [a]")
    with pytest.raises(Unreadable):
        wishes(prompt="a", parameters={"json_schema": f"@{tmp_path / 'secret'}"})
    found = wishes(prompt="a", parameters={"grammar": f"@{tmp_path / 'secret'}"})
    assert found.assignments[0].value.startswith("@")
