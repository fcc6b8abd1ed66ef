"""Random models of other shapes than llama's: experts, a sliding window, a recurrent state beside
attention.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Type
from models import _add, _weights, byte_level, write_gguf, write_llama

WIDTH, HEADS, FEED_FORWARD, VOCABULARY, CONTEXT = 64, 2, 128, 300, 4096
Shapes = dict[str, tuple[int, ...]]


def write_experts(path: Path, *, layers: int = 2, experts: int = 4) -> Path:
    """A llama model whose feed-forward parts are `experts`, of which two compute."""
    tensors: dict[str, npt.NDArray[Any] | None] = {}
    for layer in range(layers):
        shapes = {
            "ffn_gate_inp": (experts, WIDTH),
            "ffn_gate_exps": (experts, FEED_FORWARD, WIDTH),
            "ffn_up_exps": (experts, FEED_FORWARD, WIDTH),
            "ffn_down_exps": (experts, WIDTH, FEED_FORWARD),
        }
        for name, shape in shapes.items():
            tensors[f"blk.{layer}.{name}.weight"] = _random(shape)
        for name in ("ffn_gate", "ffn_up", "ffn_down"):
            tensors[f"blk.{layer}.{name}.weight"] = None
    counts = {"llama.expert_count": experts, "llama.expert_used_count": 2}
    return write_llama(
        path, layers=layers, heads=HEADS, context=CONTEXT, metadata=counts, tensors=tensors
    )


def write_windowed(path: Path, *, layers: int = 6, type: str = "F32") -> Path:
    """A model like Gemma 3: five of six layers see a window of tokens, and the output is tied to
    the embedding.
    """
    key = WIDTH // HEADS
    shapes: Shapes = {"token_embd.weight": (VOCABULARY, WIDTH), "output_norm.weight": (WIDTH,)}
    for layer in range(layers):
        shapes |= _attention(layer, kv_heads=1) | _feed_forward(layer)
        shapes |= {
            f"blk.{layer}.attn_q_norm.weight": (key,),
            f"blk.{layer}.attn_k_norm.weight": (key,),
            f"blk.{layer}.post_attention_norm.weight": (WIDTH,),
            f"blk.{layer}.post_ffw_norm.weight": (WIDTH,),
        }
    return _write(
        path,
        "gemma3",
        shapes,
        type,
        **_sizes(layers, 1),
        **{
            "attention.key_length": key,
            "attention.value_length": key,
            "attention.sliding_window": 512,
        },
    )


def write_hybrid(path: Path, *, layers: int = 4) -> Path:
    """A model like Jamba: every second layer has a state in place of attention."""
    inner, state, rank = 2 * WIDTH, 16, 8
    shapes: Shapes = {
        "token_embd.weight": (VOCABULARY, WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (VOCABULARY, WIDTH),
    }
    for layer in range(layers):
        shapes |= _feed_forward(layer)
        if layer % 2:
            shapes |= _attention(layer, kv_heads=1)
            continue
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (WIDTH,),
            f"blk.{layer}.ssm_in.weight": (2 * inner, WIDTH),
            f"blk.{layer}.ssm_conv1d.weight": (inner, 4),
            f"blk.{layer}.ssm_conv1d.bias": (inner,),
            f"blk.{layer}.ssm_x.weight": (rank + 2 * state, inner),
            f"blk.{layer}.ssm_dt_norm.weight": (rank,),
            f"blk.{layer}.ssm_dt.weight": (inner, rank),
            f"blk.{layer}.ssm_dt.bias": (inner,),
            f"blk.{layer}.ssm_b_norm.weight": (state,),
            f"blk.{layer}.ssm_c_norm.weight": (state,),
            f"blk.{layer}.ssm_a": (inner, state),
            f"blk.{layer}.ssm_d": (inner,),
            f"blk.{layer}.ssm_out.weight": (WIDTH, inner),
        }
    heads = [(layer % 2) for layer in range(layers)]
    return _write(
        path,
        "jamba",
        shapes,
        "F32",
        **_sizes(layers, heads),
        **{
            "ssm.conv_kernel": 4,
            "ssm.inner_size": inner,
            "ssm.state_size": state,
            "ssm.time_step_rank": rank,
        },
    )


def write_llama_3_2_1b(path: Path) -> Path:
    """A file of the shapes and types of Llama 3.2 1B in Q4_K_M, with holes in place of weights."""
    layers, width, key, wide, vocabulary = 16, 2048, 512, 8192, 128_256
    writer = gguf.GGUFWriter(path, "llama")
    metadata = {
        "llama.block_count": layers,
        "llama.context_length": 131_072,
        "llama.embedding_length": width,
        "llama.feed_forward_length": wide,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        **byte_level(vocabulary),
    }
    for name, value in metadata.items():
        _add(writer, name, value)
    tensors = {"token_embd": ((vocabulary, width), Type.Q6_K), "output_norm": ((width,), Type.F32)}
    for layer in range(layers):
        has_more = layer < 2 or layer >= 14 or layer % 3 == 1  # bits, as llama.cpp chooses layers
        better = Type.Q6_K if has_more else Type.Q4_K
        parts = {
            "attn_norm": ((width,), Type.F32),
            "attn_q": ((width, width), Type.Q4_K),
            "attn_k": ((key, width), Type.Q4_K),
            "attn_v": ((key, width), better),
            "attn_output": ((width, width), Type.Q4_K),
            "ffn_norm": ((width,), Type.F32),
            "ffn_gate": ((wide, width), Type.Q4_K),
            "ffn_up": ((wide, width), Type.Q4_K),
            "ffn_down": ((width, wide), better),
        }
        tensors |= {f"blk.{layer}.{name}": part for name, part in parts.items()}
    total = 0
    for name, (shape, type) in tensors.items():
        stored = gguf.quant_shape_to_byte_shape(shape, type)
        size = int(np.prod(stored))
        kind = np.dtype(np.uint8)
        writer.add_tensor_info(f"{name}.weight", stored, kind, size, raw_dtype=type)
        total += size
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file):
        write()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 32 + total)
    return path


def _attention(layer: int, kv_heads: int) -> Shapes:
    key = WIDTH // HEADS * kv_heads
    return {
        f"blk.{layer}.attn_norm.weight": (WIDTH,),
        f"blk.{layer}.attn_q.weight": (WIDTH, WIDTH),
        f"blk.{layer}.attn_k.weight": (key, WIDTH),
        f"blk.{layer}.attn_v.weight": (key, WIDTH),
        f"blk.{layer}.attn_output.weight": (WIDTH, WIDTH),
    }


def _feed_forward(layer: int) -> Shapes:
    return {
        f"blk.{layer}.ffn_norm.weight": (WIDTH,),
        f"blk.{layer}.ffn_gate.weight": (FEED_FORWARD, WIDTH),
        f"blk.{layer}.ffn_up.weight": (FEED_FORWARD, WIDTH),
        f"blk.{layer}.ffn_down.weight": (WIDTH, FEED_FORWARD),
    }


def _sizes(layers: int, kv_heads: int | list[int]) -> dict[str, Any]:
    return {
        "block_count": layers,
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.head_count_kv": kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-6,
    }


def _write(path: Path, architecture: str, shapes: Shapes, type: str, **sizes: Any) -> Path:
    random = np.random.default_rng(0)
    weights: dict[str, tuple[npt.NDArray[Any] | None, Type | None]] = {
        name: _weights(shape, Type[type], random) for name, shape in shapes.items()
    }
    for name in weights:
        if name.endswith(("ssm_a", "ssm_conv1d.weight")):  # never quantised; a state must decay
            weights[name] = (-np.ones(shapes[name], np.float32), None)
    metadata = {f"{architecture}.{key}": value for key, value in sizes.items()}
    return write_gguf(path, architecture, metadata | byte_level(VOCABULARY), weights)


def _random(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    values = np.random.default_rng(0).standard_normal(shape, np.float32)
    return values / np.sqrt(np.float32(shape[-1]))
