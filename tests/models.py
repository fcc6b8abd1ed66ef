"""Small GGUF files for tests: random llama models of any shape, and headers of any kind.

`write_llama` goes through the `gguf` package, so that the reader under test is never
checked against a writer of its own making. `encode` writes what no sane writer would.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Type

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CONTROL_TOKENS = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
MERGES = ("t h", "th e", "Ġ the", "i n", "a n", "an d", "Ġ and", "Ġ a", "o n", "e r")
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6

# Where the float16 scales lie in a block of the types that `gguf` cannot quantise to.
SCALE_OFFSETS = {
    Type.Q2_K: (80, 82),
    Type.Q3_K: (108,),
    Type.Q4_K: (0, 2),
    Type.Q5_K: (0, 2),
    Type.Q6_K: (208,),
    Type.IQ4_NL: (0,),
    Type.IQ4_XS: (0,),
}


def write_llama(
    path: Path,
    *,
    layers: int = 2,
    width: int = 64,
    heads: int = 4,
    kv_heads: int = 2,
    feed_forward: int = 128,
    context: int = 256,
    vocabulary: int = 300,
    type: str = "F32",
    seed: int = 0,
    chat_template: str | None = CHAT_TEMPLATE,
    metadata: Mapping[str, Any] | None = None,
    tensors: Mapping[str, npt.NDArray[Any] | None] | None = None,
    tensors_per_file: int = 0,
) -> Path:
    """Write a llama model with random weights; return its path (of the first part).

    The tokenizer is byte-level BPE, so any text can be tokenized. Matrices have `type`,
    vectors are F32. `metadata` and `tensors` replace entries, or with None remove them.
    """
    entries: dict[str, Any] = {
        "general.name": "tiny",
        "general.file_type": int(gguf.LlamaFileType[_file_type(type)]),
        "llama.block_count": layers,
        "llama.context_length": context,
        "llama.embedding_length": width,
        "llama.feed_forward_length": feed_forward,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": kv_heads,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": width // heads,
        **byte_level(vocabulary),
        "tokenizer.chat_template": chat_template,
        **(metadata or {}),
    }
    key_width = width // heads * kv_heads
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary, width)}
    for layer in range(layers):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (width,),
            f"blk.{layer}.attn_q.weight": (width, width),
            f"blk.{layer}.attn_k.weight": (key_width, width),
            f"blk.{layer}.attn_v.weight": (key_width, width),
            f"blk.{layer}.attn_output.weight": (width, width),
            f"blk.{layer}.ffn_norm.weight": (width,),
            f"blk.{layer}.ffn_gate.weight": (feed_forward, width),
            f"blk.{layer}.ffn_up.weight": (feed_forward, width),
            f"blk.{layer}.ffn_down.weight": (width, feed_forward),
        }
    shapes |= {"output_norm.weight": (width,), "output.weight": (vocabulary, width)}
    random = np.random.default_rng(seed)
    weights: dict[str, tuple[npt.NDArray[Any] | None, Type | None]] = {
        name: _weights(shape, Type[type], random) for name, shape in shapes.items()
    }
    for name, array in (tensors or {}).items():
        weights[name] = (array, None)
    return write_gguf(path, "llama", entries, weights, tensors_per_file)


def write_mamba(path: Path, *, width: int = 64, vocabulary: int = 300) -> Path:
    """Write a Mamba model of one layer with random weights: its memory is a state, which can
    go on but not back.
    """
    inner, state, rank = 2 * width, 16, 8
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, width),
        "blk.0.attn_norm.weight": (width,),
        "blk.0.ssm_in.weight": (2 * inner, width),
        "blk.0.ssm_conv1d.weight": (inner, 4),
        "blk.0.ssm_conv1d.bias": (inner,),
        "blk.0.ssm_x.weight": (rank + 2 * state, inner),
        "blk.0.ssm_dt.weight": (inner, rank),
        "blk.0.ssm_dt.bias": (inner,),
        "blk.0.ssm_a": (inner, state),
        "blk.0.ssm_d": (inner,),
        "blk.0.ssm_out.weight": (width, inner),
        "output_norm.weight": (width,),
        "output.weight": (vocabulary, width),
    }
    random = np.random.default_rng(0)
    weights: dict[str, tuple[npt.NDArray[Any] | None, Type | None]] = {
        name: _weights(shape, Type.F32, random) for name, shape in shapes.items()
    }
    weights["blk.0.ssm_a"] = (-np.ones((inner, state), np.float32), None)
    metadata = {
        "mamba.block_count": 1,
        "mamba.context_length": 1024,
        "mamba.embedding_length": width,
        "mamba.feed_forward_length": 0,
        "mamba.attention.head_count": 0,
        "mamba.attention.layer_norm_rms_epsilon": 1e-5,
        "mamba.ssm.conv_kernel": 4,
        "mamba.ssm.inner_size": inner,
        "mamba.ssm.state_size": state,
        "mamba.ssm.time_step_rank": rank,
        **byte_level(vocabulary),
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }
    return write_gguf(path, "mamba", metadata, weights)


def write_gguf(
    path: Path,
    architecture: str,
    metadata: Mapping[str, Any],
    tensors: Mapping[str, tuple[npt.NDArray[Any] | None, Type | None]],
    tensors_per_file: int = 0,
) -> Path:
    """Write metadata and tensors, skipping those that are None; return the (first) path."""
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=tensors_per_file)
    for key, value in metadata.items():
        _add(writer, key, value)
        if key == "general.alignment":
            writer.data_alignment = value
    for name, (array, type) in tensors.items():
        if array is not None:
            writer.add_tensor(name, array, raw_dtype=type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = len(writer.tensors)
    return path.with_name(f"{path.stem}-00001-of-{parts:05}.gguf") if parts > 1 else path


def encode(
    metadata: Sequence[tuple[str, int, bytes]] = (),
    tensors: Sequence[tuple[str, Sequence[int], int, int]] = (),
    *,
    data: bytes = b"",
    magic: bytes = b"GGUF",
    version: int = 3,
    counts: tuple[int, int] | None = None,
    alignment: int = 32,
) -> bytes:
    """Any file that starts like a GGUF: (key, type, bytes), (name, shape, type, offset).

    `counts` replaces the true numbers of tensors and of metadata entries.
    """
    written = (len(tensors), len(metadata)) if counts is None else counts
    out = magic + struct.pack("<I2Q", version, *written)
    for key, type, value in metadata:
        out += text(key) + struct.pack("<I", type) + value
    for name, shape, type, offset in tensors:
        out += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, type, offset)
    return out + bytes(-len(out) % alignment) + data


def text(value: str) -> bytes:
    """A string as GGUF writes it."""
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    elif value is not None:
        writer.add_array(key, value)


def _file_type(type: str) -> str:
    medium = {"Q3_K", "Q4_K", "Q5_K"}
    return "ALL_F32" if type == "F32" else f"MOSTLY_{type}{'_M' if type in medium else ''}"


def byte_level(size: int) -> dict[str, Any]:
    """All bytes, a few control tokens and merges, then words up to the wanted size."""
    words = [merge.replace(" ", "") for merge in MERGES]
    tokens = [*CONTROL_TOKENS, *byte_alphabet(), *words]
    tokens += [f"Ġword{number}" for number in range(size - len(tokens))]
    if len(tokens) != size:
        raise ValueError(f"a vocabulary of {size} cannot hold {len(tokens)} tokens")
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [
            CONTROL if token in CONTROL_TOKENS else NORMAL for token in tokens
        ],
        "tokenizer.ggml.merges": list(MERGES),
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.add_bos_token": False,
    }


def sentencepiece(words: Sequence[str] = ("the", "fox", "cat")) -> dict[str, Any]:
    """The metadata of a SentencePiece vocabulary, which puts a space before a text: control tokens,
    bytes, letters, and `words` with and without a space before them, as merges letter by letter.
    """
    grown = [word[:end] for word in words for end in range(2, len(word) + 1)]
    letters = [chr(code) for code in range(0x21, 0x7F)]
    pieces = list(dict.fromkeys(["▁", *letters, *grown, *(f"▁{w}" for w in [*letters, *grown])]))
    control = ["<unk>", "<s>", "</s>", *CONTROL_TOKENS]
    tokens = [*control, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    kinds = [UNKNOWN, *[CONTROL] * (len(control) - 1), *[BYTE] * 256, *[NORMAL] * len(pieces)]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [float(len(token)) for token in tokens],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": None,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_space_prefix": True,
    }


def byte_alphabet() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    stand_ins = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(stand_ins)) for byte in range(256)]


def _weights(
    shape: tuple[int, ...], type: Type, random: np.random.Generator
) -> tuple[npt.NDArray[Any], Type]:
    if len(shape) == 1:
        return np.ones(shape, np.float32), Type.F32
    values = random.standard_normal(shape, np.float32) / np.sqrt(np.float32(shape[-1]))
    if type is Type.F32:
        return values, type
    if type is Type.F16:
        return values.astype(np.float16), type
    if type in SCALE_OFFSETS:
        return _random_blocks(shape, type, random), type
    return gguf.quants.quantize(values, type), type


def _random_blocks(
    shape: tuple[int, ...], type: Type, random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Random quants under one small scale: finite weights, without a quantiser."""
    per_block, size = gguf.GGML_QUANT_SIZES[type]
    rows, columns = shape[0], shape[1] // per_block
    blocks = random.integers(0, 256, (rows, columns, size), np.uint8)
    scale = np.frombuffer(np.float16(1e-3).tobytes(), np.uint8)
    for offset in SCALE_OFFSETS[type]:
        blocks[:, :, offset : offset + 2] = scale
    return blocks.reshape(rows, columns * size)


def write_adapter(directory: Path) -> Path:
    """A small random model, base.gguf, and an adapter for it, whose path this returns."""
    width = 64
    random = np.random.default_rng(1)
    write_llama(directory / "base.gguf", width=width)
    write_gguf(
        directory / "lora.gguf",
        "llama",
        {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 4.0},
        {
            f"blk.0.attn_{part}.weight.lora_{side}": (
                random.standard_normal((4, width) if side == "a" else (width, 4), np.float32),
                None,
            )
            for part in ("q", "output")
            for side in "ab"
        },
    )
    return directory / "lora.gguf"
