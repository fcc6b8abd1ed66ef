"""Examples to learn from: JSON lines in every form, plain texts, folders."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.errors import UsageError
from llmparams_cli.protocol import Message
from llmparams_cli.training.records import Data, Record, read_data, records_of

USER, ANSWER = Message("user", "Hi"), Message("assistant", "Hello.")


def line(**item):
    return json.dumps(item)


def read(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return read_data(path, name)


def refused(tmp_path, name, text):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, name, text)
    assert caught.value.hint and "\n" not in caught.value.message
    return caught.value.message


def turns(names, *texts):
    return [dict(zip(names, text.split(": "), strict=True)) for text in texts]


OPENAI, SHAREGPT = ("role", "content"), ("from", "value")
SYSTEM = Message("system", "S")
THOUGHTFUL = {"role": "assistant", "content": "Hello.", "reasoning_content": "Hm"}


@pytest.mark.parametrize(
    ("item", "messages"),
    [
        ({"messages": turns(OPENAI, "user: Hi", "assistant: Hello.")}, (USER, ANSWER)),
        ({"messages": turns(OPENAI, "system: ", "assistant: Hello.")}, (ANSWER,)),
        ({"messages": turns(OPENAI, "developer: S", "assistant: Hello.")}, (SYSTEM, ANSWER)),
        ({"messages": [THOUGHTFUL]}, (Message("assistant", "Hello.", "Hm"),)),
        ({"prompt": "Hi", "completion": "Hello."}, (USER, ANSWER)),
        ({"system": "S", "prompt": "Hi", "completion": "Hello."}, (SYSTEM, USER, ANSWER)),
        ({"id": 7, "text": "T", "prompt": "Hi", "completion": "Hello."}, (USER, ANSWER)),
        ({"instruction": "Hi", "output": "Hello."}, (USER, ANSWER)),
        ({"instruction": "Hi", "input": "", "output": "Hello."}, (USER, ANSWER)),
        (
            {"instruction": "Add", "input": "1 2", "output": "Hello."},
            (Message("user", "Add\n\n1 2"), ANSWER),
        ),
        ({"conversations": turns(SHAREGPT, "human: Hi", "gpt: Hello.")}, (USER, ANSWER)),
        (
            {"system": "S", "conversations": turns(SHAREGPT, "User: Hi", "gpt: Hello.")},
            (SYSTEM, USER, ANSWER),
        ),
        (
            {"system": "T", "messages": turns(OPENAI, "system: S", "assistant: Hello.")},
            (SYSTEM, ANSWER),
        ),
    ],
)
def test_a_line_may_have_any_form(tmp_path, item, messages):
    assert read(tmp_path, "a.jsonl", line(**item)) == Data(
        (Record("a.jsonl:1", messages=messages),)
    )


def test_lines_of_all_forms_share_a_file_and_are_counted_with_empty_ones(tmp_path):
    text = "\n".join([line(text="one"), "", line(prompt="Hi", completion="Hello."), "  "])
    first, second = read(tmp_path, "a.jsonl", text).train
    assert first == Record("a.jsonl:1", "one")
    assert second == Record("a.jsonl:3", messages=(USER, ANSWER))


@pytest.mark.parametrize("text", ["a\u2028b\x85c\x0bd", "a\r\nb", "a\0b", "x" * 10_000_000, "🦊"])
def test_texts_stay_what_they_are(tmp_path, text):
    raw = b"\xef\xbb\xbf" + line(text=text).encode() + b"\r\n" + line(text="two").encode() + b"\r\n"
    first, second = read(tmp_path, "a.jsonl", raw).train
    assert (first.text, second.text) == (text, "two")


def test_half_a_character_becomes_the_replacement_character(tmp_path):
    text = '{"text": "a\\ud800b \\ud83e\\udd8a"}'
    assert read(tmp_path, "a.jsonl", text).train[0].text == "a\ufffdb 🦊"


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ('{"text": "a"', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("9" * 5000, "not JSON"),
        ('"text"', "not an object"),
        ("{}", "it has nothing"),
        (line(promt="a", completion="b"), "it has promt, completion"),
        (line(text=""), '"text" is empty'),
        (line(text=" \n"), '"text" is empty'),
        (line(text=["a"]), '"text" is no text'),
        (line(prompt="a", completion=None), '"completion" is no text'),
        (line(prompt="a", completion=" "), '"completion" is empty'),
        (line(messages=[]), '"messages" is no list of messages'),
        (line(messages="Hi"), '"messages" is no list of messages'),
        (line(messages=[{"role": "user"}]), "message 1: it needs role and content"),
        (line(messages=["Hi"]), "message 1: it needs role and content"),
        (line(messages=[{"role": "tool", "content": "1"}]), "message 1: the role 'tool'"),
        (line(messages=[{"role": None, "content": "1"}]), "message 1: the role None"),
        (line(messages=[{"role": "user", "content": None}]), 'message 1: "content" is no text'),
        (line(messages=[{"role": "user", "content": "a"}]), "no message is the assistant's"),
        (line(conversations=[{"from": "gpt"}]), "message 1: it needs from and value"),
        (line(**{f"key{n}": 1 for n in range(99)}), "it has key0, key1"),
    ],
)
def test_a_bad_line_is_named(tmp_path, second, what):
    message = refused(tmp_path, "a.jsonl", f"{line(text='one')}\n{second}\n")
    assert message.startswith("a.jsonl:2") and what in message and len(message) < 200


def test_a_broken_first_line_is_no_plain_text(tmp_path):
    assert refused(tmp_path, "a.jsonl", "null\n").startswith("a.jsonl:1: not an object")
    assert refused(tmp_path, "a.jsonl", "text: a\n").startswith("a.jsonl:1: not JSON")


def test_an_array_of_examples(tmp_path):
    text = json.dumps([{"text": "one"}, {"text": "two"}], indent=1)
    assert [each.text for each in read(tmp_path, "a.json", text).train] == ["one", "two"]
    assert [each.text for each in records_of(text, "-")] == ["one", "two"]
    assert refused(tmp_path, "a.json", '[{"text": "a"}, 7]').startswith("a.json: item 2")


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.TXT", "a"])
@pytest.mark.parametrize("text", ["One\n\ntwo.\n", "[1] A footnote.\n", "{braces} are prose\n"])
def test_a_plain_text_is_a_document_whatever_it_begins_with(tmp_path, name, text):
    assert read(tmp_path, name, text).train == (Record(name, text.strip("\n")),)


def test_a_name_tells_a_text_that_is_json(tmp_path):
    assert read(tmp_path, "a.txt", line(text="one")).train == (Record("a.txt", line(text="one")),)
    assert read(tmp_path, "a", line(text="one")).train == (Record("a:1", "one"),)


def test_documents_of_a_text_are_told_by_lines_of_their_own(tmp_path):
    text = "One.\n<|endoftext|>\n\nTwo <|endoftext|> goes on.\n <|endoftext|>\n\n<|endoftext|>\n \n"
    found = read(tmp_path, "a.txt", text).train
    assert [each.text for each in found] == ["One.", "Two <|endoftext|> goes on."]


def test_what_has_no_name_is_recognised():
    assert records_of(f"\n {line(text='one')}\n", "-") == (Record("-:2", "one"),)
    assert records_of("{ is a brace\n", "-") == (Record("-", "{ is a brace"),)


def test_a_folder_as_mlx_lm_has_it(tmp_path):
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.jsonl").write_text(line(text=name))
    (tmp_path / "train.txt").write_text("another")
    (tmp_path / "README.md").write_text("About.")
    data = read_data(tmp_path, "d")
    assert data == Data(
        (Record("d/train.jsonl:1", "train"),), (Record("d/valid.jsonl:1", "valid"),)
    )
    (tmp_path / "valid.jsonl").unlink()
    assert read_data(tmp_path, "d").valid is None
    (tmp_path / "valid.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"^d/valid\.jsonl: no examples"):
        read_data(tmp_path, "d")
    (tmp_path / "train.jsonl").unlink()
    (tmp_path / "train.txt").unlink()
    with pytest.raises(UsageError, match=r"it has valid\.jsonl, and nothing to learn from"):
        read_data(tmp_path, "d")


def test_a_folder_without_such_names(tmp_path):
    (tmp_path / "b.txt").write_text("Text b.")
    (tmp_path / "a.txt").write_text("Text a.")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "._a.txt").write_bytes(b"\xff")
    (tmp_path / "sub.txt").mkdir()
    assert [each.text for each in read_data(tmp_path, "d").train] == ["Text a.", "Text b."]
    (tmp_path / "z.jsonl").write_text(line(text="line"))
    assert read_data(tmp_path, "d").train == (Record("d/z.jsonl:1", "line"),)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"^x: there is no such file"):
        read_data(tmp_path / "x", "x")
    with pytest.raises(UsageError, match=r"^d: no examples"):
        read_data(tmp_path, "d")
    assert "not UTF-8: byte 1 (line 1)" in refused(tmp_path, "a.txt", b"a\xff")
    assert refused(tmp_path, "a.jsonl", "\n \n").startswith("a.jsonl: no examples")
    with pytest.raises(UsageError, match=r"^standard input: no examples"):
        records_of("", "standard input")


SCALARS = st.sampled_from((None, True, 7, "", " ", "user", "gpt", "\ud800", "a\nb"))
TURN = st.dictionaries(st.sampled_from((*OPENAI, *SHAREGPT)), SCALARS, max_size=4)
KEYS = st.sampled_from(
    ("text", "messages", "conversations", "prompt", "completion", "system", "instruction", "output")
)


@given(st.dictionaries(KEYS, SCALARS | TURN | st.lists(SCALARS | TURN, max_size=3), max_size=5))
def test_any_object_is_an_example_or_refused_in_a_line(item):
    try:
        [record] = records_of(
            json.dumps([item]).replace("{", '{"id":0,', 1).replace(",}", "}"), "a"
        )
    except UsageError as error:
        assert error.message.startswith("a: item 1") and "\n" not in error.message
        return
    texts = [record.text, *(message.content for message in record.messages)]
    assert "".join(texts).strip()
    for text in texts:
        text.encode()


@given(st.lists(st.text(string.ascii_letters + " {}[]\n", min_size=1), max_size=5))
def test_documents_come_back_from_a_text(documents):
    kept = [text.strip("\n") for text in documents if text.strip()]
    text = "\n<|endoftext|>\n".join(documents)
    if kept:
        found = records_of("\n<|endoftext|>\n" + text, "a")
        assert [record.text for record in found] == kept
