"""The file of a chat: any beginning of it can be read, and what is wrong is named."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmparams_cli.errors import UsageError
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.presets.document import Placed
from llmparams_cli.protocol import Stop, StopReason, Usage
from llmparams_cli.records.chats.choices import Choices
from llmparams_cli.records.chats.entries import (
    Answered,
    Cleared,
    Configured,
    Dropped,
    Entry,
    Retried,
    Said,
    Undone,
    configured,
    decode,
    encode,
)
from llmparams_cli.records.chats.journal import ChatJournal, parse
from llmparams_cli.records.chats.transcript import Transcript
from llmparams_cli.records.journal import whole_lines

LIVE = Origin(Source.CHAT, "/set")
VALUES = (
    Assignment("temperature", 0.2, Origin(Source.FLAG, "--temperature")),
    Assignment("logit_bias", {"42": float("-inf"), " the": 1.5}, LIVE),
    Assignment("stop", ["\n", "\u202e"], LIVE),
    Assignment("json_schema", {"type": "object"}, LIVE),
)
CHOICES = Choices(("precise",), ("a=b",), None, Placed("Be brief.", LIVE), VALUES, "summarize")
HEADER = configured(CHOICES, "a model", resolve(VALUES))

texts = st.text(st.characters(exclude_categories=["Cs"]))
counts = st.integers(0, 10**6)
said = st.builds(Said, texts, texts)
stops = st.builds(Stop, st.sampled_from(StopReason), texts)
answered = st.builds(Answered, texts, stops, counts, st.builds(Usage, counts, counts, counts))
others: st.SearchStrategy[Any] = st.sampled_from(
    [Retried(), Undone(), Cleared(), HEADER]
) | st.builds(Dropped, st.integers(1, 3), texts)

entry_of_any_kind: st.SearchStrategy[Any] = said | answered | others


@st.composite
def chats(draw: st.DrawFn) -> list[Entry]:
    """Entries in an order that may be."""
    transcript, entries = Transcript(), list[Entry]([HEADER])
    transcript.apply(HEADER)
    for entry in draw(st.lists(entry_of_any_kind, max_size=12)):
        try:
            transcript.apply(entry)
        except ValueError:
            continue
        entries.append(entry)
    return entries


def lines(entries: list[Entry]) -> bytes:
    return b"".join(encode(entry, first=place == 0) for place, entry in enumerate(entries))


def parsed(data: bytes) -> tuple[list[Entry], Transcript]:
    return parse(whole_lines(io.BytesIO(data)), "chat.jsonl")


def test_variables_belong_to_the_presets_that_they_were_given_with() -> None:
    before = Choices(presets=("story",), variables=("hero=fox",))
    assert before.under(Choices()) == before
    assert before.under(Choices(presets=("poem",))).variables == ()
    assert before.under(Choices(variables=("hero=crow",))).variables == ("hero=crow",)


@settings(deadline=None)
@given(entry_of_any_kind)
def test_every_entry_is_read_as_it_was_written(entry: Entry) -> None:
    line = encode(entry)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode(line) == (as_read(entry) if isinstance(entry, Configured) else entry)


def as_read(entry: Configured) -> Configured:
    """JSON has no tuples; what a person reads in it is not read back as such."""
    return decode(encode(entry)) if entry is not HEADER else READ_HEADER  # type: ignore[return-value]


READ_HEADER = decode(encode(HEADER))


def test_choices_survive_the_file() -> None:
    assert isinstance(READ_HEADER, Configured)
    assert READ_HEADER.choices == CHOICES
    assert READ_HEADER.settings == HEADER.settings


@settings(deadline=None)
@given(chats(), st.data())
def test_any_beginning_of_a_file_gives_all_whole_lines(
    entries: list[Entry], data: st.DataObject
) -> None:
    whole = lines(entries)
    cut = data.draw(st.integers(0, len(whole)))
    found, transcript = parsed(whole[:cut])
    count = whole[:cut].count(b"\n")
    expected = Transcript()
    for entry in entries[:count]:
        expected.apply(entry)
    assert transcript.turns == expected.turns
    assert transcript.summary == expected.summary
    assert len(found) == count


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    whole = lines([HEADER]) + data
    try:
        parsed(whole)
    except UsageError as error:
        assert error.message.startswith("chat.jsonl:")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_value_anywhere_is_refused_or_harmless(data: st.DataObject) -> None:
    entry: Any = data.draw(st.sampled_from([HEADER, Said("a", "b"), Dropped(2, "c")]))
    document = json.loads(encode(entry, first=True))
    if not isinstance(entry, Configured):
        document = json.loads(encode(entry))
    target = document
    while True:
        key = data.draw(st.sampled_from(sorted(target)))
        if not isinstance(target[key], dict) or not target[key] or data.draw(st.booleans()):
            break
        target = target[key]
    target[key] = data.draw(json_values)
    try:
        decode(json.dumps(document).encode(), first=isinstance(entry, Configured))
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (b"", "not JSON"),
        (b"[]", "not an object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"kind": "dance"}', "unknown kind 'dance'"),
        (b'{"kind": "message"}', "'text' is missing"),
        (b'{"kind": "message", "text": "\\ud800"}', "not Unicode"),
        (b'{"kind": "message", "text": "\xff"}', "not UTF-8"),
        (b'{"kind": "undo"}', "no turn"),
        (b'{"kind": "out-of-view", "turns": true}', "'turns'"),
        (b'{"kind": "out-of-view", "turns": 4}', "4 turns leave a view of 0"),
        (b'{"kind": "chat"}', "unknown kind 'chat'"),
    ],
)
def test_a_wrong_line_is_named(line: bytes, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(lines([HEADER]) + line + b"\n")
    assert caught.value.message.startswith("chat.jsonl:2: ")
    assert part in caught.value.message


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('{"kind": "message", "text": "x"}', "no chat"),
        ('{"kind": "chat", "format": 3}', "format is 3, and this version reads 1 and 2"),
        ('{"kind": "chat"}', "'format'"),
    ],
)
def test_a_file_of_something_else_is_refused(line: str, part: str) -> None:
    with pytest.raises(UsageError, match=r"^chat\.jsonl:1: ") as caught:
        parsed(line.encode() + b"\n")
    assert part in caught.value.message


def test_a_torn_line_is_cut_off_and_the_chat_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "chats" / "one.jsonl"
    journal = ChatJournal(path)
    journal.record(HEADER)
    journal.record(Said("hi", "hi"))
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind": "answ')
    journal = ChatJournal(path)
    assert journal.torn == 14
    journal.record(Answered("yes", Stop(StopReason.MAX_TOKENS, ""), 1, Usage(1, 1)))
    journal.close()
    assert path.read_bytes().startswith(whole)
    assert parsed(path.read_bytes())[1].turns[0].answer is not None


def test_a_chat_is_locked_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    journal = ChatJournal(path)
    journal.record(HEADER)
    with pytest.raises(UsageError, match="open in another program"):
        ChatJournal(path)
    journal.move(tmp_path / "two.jsonl")
    with pytest.raises(UsageError, match="open in another program"):
        ChatJournal(tmp_path / "two.jsonl")
    journal.close()
    ChatJournal(tmp_path / "two.jsonl").close()
    assert [file.name for file in tmp_path.iterdir()] == ["two.jsonl"]


def test_the_models_view_is_what_was_not_dropped(tmp_path: Path) -> None:
    journal = ChatJournal(None)
    answer = Answered("a", Stop(StopReason.END_OF_GENERATION, ""), 1, Usage(1, 1))
    for entry in (HEADER, Said("1", "one"), answer, Said("2", "two"), Dropped(1, "One was said.")):
        journal.record(entry)
    messages = journal.transcript.messages("Be brief.")
    assert [(m.role, m.content) for m in messages] == [
        ("system", "Be brief.\n\nEarlier: One was said."),
        ("user", "two"),
    ]
    assert len(journal.transcript.turns) == 2
