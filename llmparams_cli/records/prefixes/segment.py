"""A segment: a file with the state of one block of a prompt, checked before it is used.

    magic | length of the header | header (JSON) | tokens | data | CRC-32 of all before it

The tokens are those of the whole prompt up to the end of the block, on all of which its state
depends. The header says in which scope that holds: the model, its settings, the machine.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

MAGIC = b"llmparams prefix 1\n"
LENGTH = struct.Struct("<I")
NUMBERS = ("block", "tokens", "bytes")
KEYS = {"model": str, "path": str, "facts": dict, "layout": list, **dict.fromkeys(NUMBERS, int)}
MOST_HEADER = 1 << 20  # bytes
TOKEN = "i"  # of `array`: as wide as llama.cpp's


class Damaged(ValueError):
    """Not a whole segment; nobody can use it."""


class Other(ValueError):
    """A segment of another prompt or scope."""


@dataclass(frozen=True)
class Scope:
    """In what a state holds: `facts` is everything that decides its bits. `model` and `path` name
    the model to people.
    """

    model: str
    path: str
    facts: Mapping[str, Any]

    @cached_property
    def id(self) -> str:
        return _digest(json.dumps(self.facts, sort_keys=True).encode())


class Segment(NamedTuple):
    """What was read: how the data is laid out, and the data."""

    layout: list[Any]
    data: memoryview


def names(scope: Scope, tokens: Sequence[int], block: int) -> Iterator[str]:
    """The names of the files of a prompt's whole blocks, each made of all tokens up to its end."""
    name = scope.id
    for end in range(block, len(tokens) + 1, block):
        name = _digest(name.encode() + array(TOKEN, tokens[end - block : end]).tobytes())
        yield name


def written(
    scope: Scope, tokens: Sequence[int], block: int, layout: list[Any], data: Iterable[memoryview]
) -> bytes:
    """The bytes of a segment: of the last `block` of these tokens."""
    pieces = list(data)
    header = json.dumps(
        {
            "model": scope.model,
            "path": scope.path,
            "facts": scope.facts,
            "layout": layout,
            "block": block,
            "tokens": len(tokens),
            "bytes": sum(piece.nbytes for piece in pieces),
        }
    ).encode()
    known = array(TOKEN, tokens).tobytes()
    whole = b"".join((MAGIC, LENGTH.pack(len(header)), header, known, *pieces))
    return whole + LENGTH.pack(zlib.crc32(whole))


def read(path: Path, scope: Scope, tokens: Sequence[int]) -> Segment:
    """The segment in a file, if it is whole and of these tokens in this scope; otherwise raises
    OSError, `Damaged` or `Other`.
    """
    whole = path.read_bytes()
    checked = memoryview(whole)[: -LENGTH.size]
    if whole[-LENGTH.size :] != LENGTH.pack(zlib.crc32(checked)):
        raise Damaged("its checksum is wrong")
    file = io.BytesIO(whole)
    header = _checked(file, scope, tokens)
    data = checked[file.tell() :]
    if header["bytes"] != len(data):
        raise Damaged("its length is wrong")
    return Segment(header["layout"], data)


def is_of(path: Path, scope: Scope, tokens: Sequence[int]) -> bool:
    """Does a file hold the segment of these tokens, as its first bytes say?"""
    try:
        with path.open("rb") as file:
            _checked(file, scope, tokens)
    except (OSError, ValueError):
        return False
    return True


def header_of(file: BinaryIO) -> dict[str, Any]:
    """The header of an open file, which is left at its tokens."""
    start = file.read(len(MAGIC) + LENGTH.size)
    if len(start) < len(MAGIC) + LENGTH.size or not start.startswith(MAGIC):
        raise Damaged("another kind of file")
    (length,) = LENGTH.unpack(start[len(MAGIC) :])
    try:
        header = json.loads(file.read(min(length, MOST_HEADER)))
    except ValueError as error:
        raise Damaged("its header is no JSON") from error
    if not isinstance(header, dict) or any(
        not isinstance(header.get(key), kind) for key, kind in KEYS.items()
    ):
        raise Damaged("its header lacks something")
    return header


def _checked(file: BinaryIO, scope: Scope, tokens: Sequence[int]) -> dict[str, Any]:
    header = header_of(file)
    known = array(TOKEN, tokens).tobytes()
    if header["facts"] != scope.facts or header["tokens"] != len(tokens):
        raise Other("made in another scope")
    if file.read(len(known)) != known:
        raise Other("made of other tokens")
    return header


def _digest(data: bytes) -> str:
    import hashlib

    return hashlib.blake2b(data, digest_size=16).hexdigest()
