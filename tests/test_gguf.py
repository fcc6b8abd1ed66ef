"""The GGUF reader: true to the format, and unmoved by whatever bytes it is given."""

from __future__ import annotations

import ctypes
import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_cpp import _ggml
from models import encode, text, write_gguf, write_llama

from llmparams_cli.errors import ModelError
from llmparams_cli.models.gguf import (
    FILE_TYPES,
    TENSOR_TYPES,
    Array,
    Header,
    read_header,
    read_model,
)

U8, U32, I32, F32, TEXT, ARRAY, U64 = 0, 4, 5, 6, 8, 9, 10
BIG = (1 << 64) - 1


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("gguf") / "tiny.gguf", vocabulary=2000)


def read_bytes(data: bytes) -> Header:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.gguf"
        path.write_bytes(data)
        return read_model(path)


def refusal(data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        read_bytes(data)
    assert caught.value.hint
    return caught.value.message


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def array(type: int, length: int, items: bytes = b"") -> bytes:
    return struct.pack("<IQ", type, length) + items


# What a sound file says


def test_reads_the_same_as_the_reference_reader(model: Path) -> None:
    header, reference = read_header(model), gguf.GGUFReader(model)
    assert header.data_offset == reference.data_offset
    assert [t.name for t in header.tensors] == [t.name for t in reference.tensors]
    for ours, theirs in zip(header.tensors, reference.tensors, strict=True):
        assert ours.type.name == theirs.tensor_type.name
        assert list(ours.shape) == theirs.shape.tolist()
        assert header.data_offset + ours.offset == theirs.data_offset
        assert (ours.bytes, ours.elements) == (theirs.n_bytes, theirs.n_elements)
    for key, field in reference.fields.items():
        if not key.startswith("GGUF."):
            value = header.metadata[key]
            is_list = isinstance(value, (list, Array))
            assert field.contents() == (header.array(key) if is_list else value)


def test_every_type_of_value_is_read() -> None:
    packed = {
        0: "B",
        1: "b",
        2: "H",
        3: "h",
        4: "I",
        5: "i",
        6: "f",
        7: "?",
        10: "Q",
        11: "q",
        12: "d",
    }
    scalars = [(f"k{t}", t, struct.pack(f"<{code}", 1)) for t, code in packed.items()]
    arrays = [
        (f"a{t}", ARRAY, array(t, 2, struct.pack(f"<2{code}", 0, 1))) for t, code in packed.items()
    ]
    texts = [("t", TEXT, text("ä\n")), ("ts", ARRAY, array(TEXT, 2, text("") + text("b")))]
    metadata = read_bytes(encode([*scalars, *arrays, *texts])).metadata
    assert all(metadata[f"k{t}"] == 1 and metadata[f"a{t}"] == [0, 1] for t in packed)
    assert metadata["k7"] is True
    assert (metadata["t"], metadata["ts"]) == ("ä\n", ["", "b"])


def test_describes_the_model(model: Path) -> None:
    header = read_header(model)
    assert (header.architecture, header.name, header.quantization) == ("llama", "tiny", "F32")
    assert (header.block_count, header.embedding_length, header.context_length) == (2, 64, 256)
    assert (header.head_count, header.head_count_kv) == (4, 2)
    assert (header.key_length, header.value_length) == (16, 16)
    assert header.vocabulary_size == 2000
    assert "<|assistant|>" in header.chat_templates["default"]
    assert header.size == model.stat().st_size
    per_layer = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64 + 2 * 64
    assert header.parameters == 2 * 2000 * 64 + 2 * per_layer + 64


def test_an_unnamed_model_has_the_name_of_its_file(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "mine.gguf", metadata={"general.name": None})
    assert read_header(path).name == "mine"


def test_version_2_is_read(model: Path) -> None:
    data = bytearray(model.read_bytes())
    data[4] = 2
    assert read_bytes(bytes(data)).version == 2


def test_long_arrays_stay_in_the_file_until_asked_for(model: Path) -> None:
    header = read_header(model)
    for key in ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type"):
        assert isinstance(header.metadata[key], Array)
        assert len(header.metadata[key]) == len(header.array(key)) == 2000
    assert header.array("tokenizer.ggml.tokens")[:2] == ["<|end|>", "<|system|>"]
    assert header.array("tokenizer.ggml.merges")[0] == "t h"
    assert header.array("no.such.key") == []
    types = header.array("tokenizer.ggml.token_type")
    assert header.small_numbers("tokenizer.ggml.token_type") == bytes(types)
    places = (1999, 0, 7, 2000, -1)
    tokens = header.array("tokenizer.ggml.tokens")
    assert header.items("tokenizer.ggml.tokens", places) == {
        place: tokens[place] for place in (0, 7, 1999)
    }


@pytest.mark.parametrize(
    ("type", "name", "quantized"),
    [
        ("F32", "F32", False),
        ("F16", "F16", False),
        ("BF16", "BF16", False),
        ("Q8_0", "Q8_0", True),
        ("Q4_0", "Q4_0", True),
        ("Q4_K", "Q4_K_M", True),
        ("Q6_K", "Q6_K", True),
    ],
)
def test_names_the_quantisation(tmp_path: Path, type: str, name: str, quantized: bool) -> None:
    path = write_llama(tmp_path / "m.gguf", type=type, width=256, feed_forward=256)
    header = read_header(path)
    assert (header.quantization, header.is_quantized) == (name, quantized)
    assert header.tensor_types()[type].bytes > 0.9 * header.size - header.data_offset


@pytest.mark.parametrize("declared", [None, 1024, "Q4_K_M"])
def test_an_undeclared_quantisation_is_that_of_most_bytes(tmp_path: Path, declared: Any) -> None:
    path = write_llama(tmp_path / "m.gguf", type="Q8_0", metadata={"general.file_type": declared})
    header = read_header(path)
    assert header.quantization == "Q8_0"
    shares = header.tensor_types()
    assert shares["F32"].bytes == 5 * 64 * 4
    assert sum(share.bytes for share in shares.values()) == sum(t.bytes for t in header.tensors)


def test_recommended_sampling_is_found(tmp_path: Path) -> None:
    wanted = {"general.sampling.top_k": 20, "general.sampling.temp": 0.5}
    assert read_header(write_llama(tmp_path / "m.gguf", metadata=wanted)).sampling == wanted


def test_kv_cache_bytes_are_those_of_keys_and_values_in_all_layers(model: Path) -> None:
    header = read_header(model)
    elements = 2 * 2 * 16  # layers, heads, elements in a head
    assert header.kv_bytes_per_token() == elements * 2 + elements * 2
    assert header.kv_bytes_per_token("f32", "f16") == elements * 4 + elements * 2
    assert header.kv_bytes_per_token("q8_0", "q4_0") == elements // 32 * 34 + elements // 32 * 18


def test_kv_cache_bytes_follow_explicit_lengths_and_heads_per_layer(tmp_path: Path) -> None:
    header = read_header(
        write_llama(
            tmp_path / "m.gguf",
            metadata={
                "llama.attention.head_count_kv": [1, 3],
                "llama.attention.key_length": 8,
                "llama.attention.value_length": 4,
            },
        )
    )
    assert header.head_count_kv == 3
    assert header.kv_bytes_per_token() == (1 + 3) * (8 + 4) * 2


def test_heads_for_keys_default_to_all_heads(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "m.gguf", metadata={"llama.attention.head_count_kv": None})
    assert read_header(path).head_count_kv == 4


def test_a_header_without_numbers_says_0(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "m.gguf", "none", {}, {}))
    assert (header.context_length, header.vocabulary_size, header.key_length) == (0, 0, 0)
    assert header.kv_bytes_per_token() == 0
    assert (header.quantization, header.chat_templates, header.parameters) == ("", {}, 0)


def test_numbers_of_a_wrong_type_count_as_absent(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {"llama.context_length": "many", "llama.block_count": True}
    header = read_header(write_llama(tmp_path / "m.gguf", metadata=wrong))
    assert (header.context_length, header.block_count) == (0, 0)


# The tables


def test_type_sizes_are_those_of_the_library() -> None:
    ggml = _ggml.libggml
    ggml.ggml_blck_size.restype = ctypes.c_int64
    ggml.ggml_type_size.restype = ctypes.c_size_t
    ggml.ggml_type_name.restype = ctypes.c_char_p
    sizes = {}
    for number in range(max(TENSOR_TYPES) + 1):
        if per_block := ggml.ggml_blck_size(number):
            name = ggml.ggml_type_name(number).decode().upper()
            sizes[number] = (name, per_block, ggml.ggml_type_size(number))
    # The library's own names differ in case only.
    assert sizes == {n: (t.name.upper(), *t[1:]) for n, t in TENSOR_TYPES.items()}


def test_file_types_are_those_of_the_gguf_package() -> None:
    theirs = {
        t.value: t.name.removeprefix("MOSTLY_").removeprefix("ALL_") for t in gguf.LlamaFileType
    }
    del theirs[gguf.LlamaFileType.GUESSED]
    assert theirs.items() <= FILE_TYPES.items()


# Split models


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    first = write_llama(tmp_path / "big.gguf", tensors_per_file=8)
    paths = sorted(first.parent.glob("big-*.gguf"))
    assert len(paths) == 3
    return paths


def test_a_split_model_is_read_as_one(parts: list[Path], tmp_path: Path) -> None:
    whole = read_model(write_llama(tmp_path / "whole.gguf"))
    split = read_model(parts[0])
    assert split.paths == tuple(parts)
    assert split.parameters == whole.parameters
    assert {t.name for t in split.tensors} == {t.name for t in whole.tensors}
    assert split.size == sum(path.stat().st_size for path in parts)


def test_a_later_part_names_the_first(parts: list[Path]) -> None:
    with pytest.raises(ModelError, match="is part 3 of 3 of a model") as caught:
        read_model(parts[2])
    assert str(parts[0]) in caught.value.hint


def test_missing_parts_are_named(parts: list[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(ModelError, match=r"1 of its 3 parts are missing: big-00002-of-00003\.gguf"):
        read_model(parts[0])


def test_a_renamed_part_is_refused(parts: list[Path]) -> None:
    renamed = parts[0].rename(parts[0].with_name("renamed.gguf"))
    with pytest.raises(ModelError, match=r"does not end in -00001-of-00003\.gguf"):
        read_model(renamed)


def test_swapped_parts_are_refused(parts: list[Path]) -> None:
    parts[2].write_bytes(parts[1].read_bytes())
    with pytest.raises(ModelError, match="is not part 3 of the model, as its name says"):
        read_model(parts[0])


def test_a_truncated_part_is_named(parts: list[Path]) -> None:
    parts[1].write_bytes(parts[1].read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"big-00002-of-00003\.gguf is truncated"):
        read_model(parts[0])


def test_parts_of_two_models_are_refused(parts: list[Path], tmp_path: Path) -> None:
    other = write_llama(tmp_path / "other.gguf", tensors_per_file=8, layers=1)
    parts[1].write_bytes(other.with_name("other-00002-of-00002.gguf").read_bytes())
    with pytest.raises(ModelError, match="do not belong together"):
        read_model(parts[0])


@pytest.mark.parametrize(("number", "count"), [(3, 3), (0, 1 << 40), (BIG, 2)])
def test_an_impossible_part_number_is_refused(number: int, count: int) -> None:
    numbers = [("split.no", number), ("split.count", count)]
    data = encode([(key, U64, struct.pack("<Q", value)) for key, value in numbers])
    assert "it says that it is part" in refusal(data)


# What is less than a whole file


def test_missing_data_is_measured(model: Path) -> None:
    data = model.read_bytes()
    assert "is truncated: 600.0 kB of 1.4 MB are there" in refusal(data[:600_000])


def test_a_single_missing_byte_is_measured() -> None:
    data = encode(tensors=[("t", (8,), 0, 0)], data=bytes(32))
    assert read_bytes(data).parameters == 8
    short = f"is truncated: {len(data) - 1} of {len(data)} bytes are there"
    assert short in refusal(data[:-1])


def test_only_the_padding_at_the_end_may_be_missing() -> None:
    data = encode(tensors=[("t", (2,), 0, 0)], data=bytes(32))
    assert read_bytes(data[:-24]).parameters == 2
    assert "is truncated" in refusal(data[:-25])


@given(st.data())
def test_a_file_that_ends_early_is_refused(model: Path, data: st.DataObject) -> None:
    whole = model.read_bytes()
    header = read_header(model)
    length = data.draw(st.integers(0, header.data_offset + header.tensors[-1].offset))
    assert refusal(whole[:length])


# What is no sound GGUF


@pytest.mark.parametrize(
    ("data", "phrase"),
    [
        (b"", "is empty"),
        (b"GGU", "is not a GGUF file"),
        (encode(version=1), "has GGUF version 1; versions 2 and 3 can be read"),
        (encode(version=4), "has GGUF version 4"),
        (encode(version=0), "has GGUF version 0"),
        (encode(version=3 << 24), "is a big-endian GGUF file"),
        (encode(counts=(BIG, 0)), "it claims 18446744073709551615 tensors"),
        (encode(counts=(0, 1 << 40)), "it claims 0 tensors and 1099511627776 metadata entries"),
        (encode(counts=(0, 1), alignment=1), "its header goes on past the end of the file"),
        (encode([("", U32, u32(1))]), "the metadata key '' is empty or repeated"),
        (encode([("a", U32, u32(1))] * 2), "the metadata key 'a' is empty or repeated"),
        (encode([("a", 13, u32(1))]), "unknown type 13"),
        (encode([("a", TEXT, struct.pack("<Q", BIG))]), "a text of 18446744073709551615 bytes"),
        (encode([("a", TEXT, struct.pack("<Q", 1 << 20))]), "goes on past the end"),
        (encode([("a", ARRAY, array(U8, BIG))]), "goes on past the end"),
        (encode([("a", ARRAY, array(TEXT, BIG))]), "goes on past the end"),
        (encode([("a", ARRAY, array(TEXT, 2000, b"\xff" * 16000))]), "goes on past the end"),
        (encode([("a", ARRAY, array(TEXT, 2000, text("") * 1999))], alignment=1), "past the end"),
        (encode([("a", ARRAY, array(99, 5000, bytes(5000)))]), "unknown type 99"),
        (encode([("a", ARRAY, array(ARRAY, 1, array(ARRAY, 1)))]), "unknown type 9"),
        (encode([("general.alignment", U32, u32(0))]), "general.alignment is 0, not a power"),
        (encode([("general.alignment", U32, u32(48))]), "general.alignment is 48, not a power"),
        (encode([("general.alignment", TEXT, text("x"))]), "general.alignment is 'x', not"),
        (encode(tensors=[("t", (1,) * 5, 0, 0)]), "tensor 't' has 5 dimensions"),
        (encode(tensors=[("t", (1,), 4, 0)]), "tensor 't' has the unknown type 4"),
        (encode(tensors=[("t", (1 << 32, 1 << 32), 0, 0)]), "tensor 't' has the shape"),
        (encode(tensors=[("t", (33,), 8, 0)]), "tensor 't' has the shape [33] in Q8_0"),
        (encode(tensors=[("t", (8,), 0, 32)]), "tensor 't' is at 32 where 0 is expected"),
        (encode(tensors=[("t", (8,), 0, 0), ("u", (8,), 0, 0)]), "'u' is at 0 where 32 is"),
        (encode(tensors=[("t", (8,), 0, 0), ("t", (8,), 0, 32)]), "there are two tensors 't'"),
        (encode(tensors=[("\x1b[2J", (8,), 4, 0)]), r"tensor '\x1b[2J' has the unknown type"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(data: bytes, phrase: str) -> None:
    message = refusal(data)
    assert phrase in message
    assert "\n" not in message


def test_a_header_of_absurd_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sparse.gguf"
    path.write_bytes(encode([("a", ARRAY, array(U8, 1 << 29))]))
    os.truncate(path, 1 << 30)
    with pytest.raises(ModelError, match=r"its header is longer than 268\.4 MB"):
        read_header(path)


def test_text_that_is_not_utf_8_is_read_all_the_same() -> None:
    data = encode([("general.name", TEXT, struct.pack("<Q", 2) + b"a\xff")])
    assert read_bytes(data).name == "a\N{REPLACEMENT CHARACTER}"


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    assert refusal(data)


@given(st.binary(max_size=400), st.integers(0, 3), st.integers(0, 3))
def test_a_random_header_is_read_or_refused(data: bytes, tensors: int, entries: int) -> None:
    try:
        header = read_bytes(encode(counts=(tensors, entries), alignment=1) + data)
    except ModelError as error:
        assert error.hint
    else:
        assert header.parameters >= 0


@given(st.data(), st.integers(0, 255))
def test_one_wrong_byte_is_survived(model: Path, data: st.DataObject, byte: int) -> None:
    whole = bytearray(model.read_bytes())
    whole[data.draw(st.integers(0, read_header(model).data_offset))] = byte
    try:
        header = read_bytes(bytes(whole))
    except ModelError as error:
        assert error.hint
    else:
        assert header.kv_bytes_per_token() >= 0
        assert header.vocabulary_size >= 0
        assert header.quantization


# What is no regular file


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelError, match="is not a regular file"):
        read_header(tmp_path / "pipe.gguf")


def test_a_device_is_refused() -> None:
    with pytest.raises(ModelError, match="/dev/zero is not a regular file"):
        read_header(Path("/dev/zero"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file or directory"):
        read_header(tmp_path / "nothing.gguf")


def test_no_file_stays_open(model: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    if before is None:
        pytest.skip("no /proc on this system")
    read_header(model)
    refusal(b"GGUF")
    assert len(os.listdir("/proc/self/fd")) == before


def test_zero_sized_tensors_do_not_confuse_the_layout() -> None:
    data = encode(tensors=[("t", (0, 4), 0, 0), ("u", (), 0, 0)], data=np.zeros(8).tobytes())
    assert [tensor.elements for tensor in read_bytes(data).tensors] == [0, 1]
