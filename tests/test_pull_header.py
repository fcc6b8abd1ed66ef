"""The header of a model on the Hub, without its weights."""

import struct

import pytest
from hub_server import cut, everything, instead, page, status
from models import encode, text, write_llama

from llmparams_cli.download import peek
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.models.gguf import read_model
from llmparams_cli.models.reference import HubName

NAME = HubName("owner", "repo", "Q4_0")


@pytest.fixture
def blocks():
    """The bytes that each sparse file took on the disk."""
    return []


@pytest.fixture
def look(hub, blocks):
    """Reads the header of owner/repo:Q4_0 from the server."""

    def read():
        with peek.header_only(NAME, Environment(variables=hub.variables())) as path:
            blocks.append(path.stat().st_blocks * 512)
            return read_model(path)

    return read


def test_the_header_is_read_and_the_weights_stay_there(hub, look, tmp_path, monkeypatch):
    monkeypatch.setattr(peek, "FIRST", 1 << 12)
    path = write_llama(tmp_path / "m-Q4_0.gguf", width=256, feed_forward=2048)
    there = read_model(path)
    hub.add("owner/repo", {path.name: path.read_bytes()})
    header = look()
    assert (header.tensors, header.metadata) == (there.tensors, there.metadata)
    assert header.size == there.size > 1_000_000
    assert header.path.name == path.name
    assert not header.path.exists()
    wanted = [request.headers["range"] for request in hub.asked()]
    assert wanted == ["bytes=0-4095", "bytes=4096-8191"]
    assert hub.sent == 1 << 13


def test_a_long_header_takes_as_much_as_it_needs_and_not_more(hub, look, blocks):
    tokens = b"".join(text(f"token {number}") for number in range(262_144))
    array = struct.pack("<IQ", 8, 262_144) + tokens
    metadata = [
        ("general.architecture", 8, text("llama")),
        ("tokenizer.ggml.tokens", 9, array),
        ("general.name", 8, text("large")),
    ]
    weights = 40_000_000
    model = encode(metadata, [("output.weight", [weights // 4], 0, 0)], data=bytes(weights))
    hub.add("owner/repo", {"large-Q4_0.gguf": model})
    header = look()
    assert (header.name, header.vocabulary_size, header.size) == ("large", 262_144, len(model))
    assert hub.sent == 8 << 20  # 1 + 1 + 2 + 4
    assert blocks[0] <= 9 << 20  # the rest is a hole


def test_a_header_without_end_is_given_up(hub, look, monkeypatch):
    monkeypatch.setattr(peek, "MOST", 1 << 16)
    monkeypatch.setattr(peek, "FIRST", 1 << 14)
    long = ("general.architecture", 8, text("x" * (1 << 20)))
    hub.add("owner/repo", {"long-Q4_0.gguf": encode([long], [("a", [1], 0, 0)], data=bytes(4))})
    with pytest.raises(ModelError, match=r"^long-Q4_0.gguf is damaged: its header is longer than"):
        look()
    assert hub.sent == 1 << 16


def test_a_server_that_ignores_ranges_is_stopped(hub, look, gguf):
    model = gguf + bytes(64 << 20)
    hub.add("owner/repo", {"a-Q4_0.gguf": model})
    hub.faults += [everything()]
    assert look().size == len(model)
    assert hub.sent < 32 << 20


def test_all_headers_of_a_split_model_are_read(hub, look, tmp_path, monkeypatch):
    monkeypatch.setattr(peek, "LATER_PART", 1 << 9)
    first = write_llama(tmp_path / "big-Q4_0.gguf", width=256, tensors_per_file=8)
    there = read_model(first)
    hub.add("owner/repo", {path.name: path.read_bytes() for path in tmp_path.glob("*-of-*")})
    header = look()
    assert header.tensors == there.tensors
    assert len(header.paths) == len(there.paths) > 2
    assert header.size == there.size


def test_more_parts_than_may_be_read_are_given_up(hub, look, tmp_path, monkeypatch):
    monkeypatch.setattr(peek, "MOST", 1 << 14)
    write_llama(tmp_path / "big-Q4_0.gguf", width=256, tensors_per_file=1)
    hub.add("owner/repo", {path.name: path.read_bytes() for path in tmp_path.glob("*-of-*")})
    with pytest.raises(ModelError, match=r"the headers of all parts are longer than 16.4 kB"):
        look()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (page, "a web page comes instead of a-Q4_0.gguf"),
        (instead(b"<html>" * 9999), "is 60.0 kB on the server, not"),
        (status(503), "answers 503"),
        (cut(100), "connection to 127.0.0.1:.* was lost"),
        (status(404, **{"X-Error-Code": "EntryNotFound"}), "does not have this file any more"),
    ],
)
def test_what_does_not_come_ends_in_one_line(hub, look, gguf, fault, words):
    hub.add("owner/repo", {"a-Q4_0.gguf": gguf})
    hub.faults += [fault]
    with pytest.raises(ModelError, match=words):
        look()


def test_a_quantisation_that_is_not_there_names_those_that_are(hub, look, gguf):
    hub.add("owner/repo", {"a-Q8_0.gguf": gguf})
    with pytest.raises(ModelError, match="owner/repo has no Q4_0") as caught:
        look()
    assert caught.value.hint == "there are: Q8_0"
