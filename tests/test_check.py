"""Models that would end the process inside llama.cpp are refused before they get there.

Each of these was seen to raise a signal in llama.cpp, or to be of no use for text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import write_gguf, write_llama
from shapes import write_hybrid

from llmparams_cli.errors import ModelError
from llmparams_cli.models.check import check
from llmparams_cli.models.gguf import read_model

ONES = np.ones(64, np.float32)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        check(read_model(path))
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("type", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K", "IQ4_XS"])
def test_sound_models_pass(tmp_path: Path, type: str) -> None:
    path = write_llama(tmp_path / "m.gguf", type=type, width=256, feed_forward=256)
    check(read_model(path))


@pytest.mark.parametrize(
    "metadata",
    [
        {"llama.expert_count": 8, "llama.expert_used_count": 2},
        {"llama.expert_count": 8, "llama.expert_used_count": [2, 3]},
        {
            "llama.expert_count": 8,
            "llama.expert_used_count": 2,
            "llama.expert_group_count": 4,
            "llama.expert_group_used_count": 2,
        },
        {"llama.attention.head_count_kv": [0, 2]},
        {"llama.attention.head_count_kv": None},
        {"llama.rope.scaling.type": "yarn"},
        {"general.alignment": 64},
        {"general.type": "model"},
        {"llama.attention.causal": True},
    ],
    ids=str,
)
def test_what_sound_models_may_say_passes(tmp_path: Path, metadata: dict[str, Any]) -> None:
    check(read_model(write_llama(tmp_path / "m.gguf", metadata=metadata)))


@pytest.mark.parametrize(
    ("metadata", "phrase"),
    [
        ({"llama.block_count": 0}, "llama.block_count is 0, expected 1 to 512"),
        ({"llama.block_count": None}, "llama.block_count is 0"),
        ({"llama.block_count": 513}, "llama.block_count is 513, expected 1 to 512"),
        ({"llama.context_length": 0}, "llama.context_length is 0, expected at least 1"),
        ({"llama.embedding_length": 0}, "llama.embedding_length is 0"),
        ({"llama.attention.head_count": 0}, "llama.attention.head_count is 0, expected 1 to 64"),
        ({"llama.attention.head_count": 65}, "llama.attention.head_count is 65"),
        ({"llama.attention.head_count_kv": 0}, "llama.attention.head_count_kv is 0"),
        ({"llama.attention.head_count_kv": (1 << 31) + 2}, "is 2147483650, expected 1 to 4"),
        ({"llama.attention.key_length": 1 << 31}, "llama.attention.key_length is 2147483648"),
        ({"llama.attention.value_length": 0}, "llama.attention.value_length is 0"),
        ({"llama.nextn_predict_layers": 3}, "llama.nextn_predict_layers is 3, expected 0 to 2"),
        ({"llama.expert_count": 8}, "llama.expert_used_count is 0, expected 1 to 8"),
        ({"llama.expert_count": 1025}, "llama.expert_count is 1025, expected 0 to 1024"),
        ({"llama.expert_used_count": 2}, "llama.expert_used_count is 2, expected 0 to 0"),
        ({"llama.expert_group_count": 1}, "llama.expert_group_count is 1, expected 0 to 0"),
        (
            {
                "llama.expert_count": 8,
                "llama.expert_used_count": 2,
                "llama.expert_group_count": 3,
                "llama.expert_group_used_count": 2,
            },
            "8 experts cannot form 3 equal groups",
        ),
        (
            {
                "llama.expert_count": 8,
                "llama.expert_used_count": 2,
                "llama.expert_group_count": 4,
            },
            "llama.expert_group_used_count is 0, expected 1 to 3",
        ),
        ({"llama.attention.layer_norm_rms_epsilon": -1.0}, "epsilon is -1.0"),
        ({"llama.attention.layer_norm_rms_epsilon": float("nan")}, "epsilon is nan"),
        ({"llama.rope.scaling.type": "dynamic"}, "llama.rope.scaling.type is 'dynamic', not one"),
        ({"general.alignment": 8}, "general.alignment is 8, less than 32"),
        ({"tokenizer.ggml.model": "none"}, "has no tokenizer"),
        ({"llama.attention.causal": False}, "does not generate text from left to right"),
    ],
    ids=str,
)
def test_unsound_metadata_is_refused(tmp_path: Path, metadata: dict[str, Any], phrase: str) -> None:
    assert phrase in refusal(write_llama(tmp_path / "m.gguf", metadata=metadata))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("output_norm.weight", ONES.astype(np.float16)),
        ("blk.0.attn_norm.weight", ONES.astype(np.float16)),
        ("blk.0.attn_q.bias", ONES.astype(np.float16)),
        ("blk.0.attn_q.weight", np.ones((64, 64), np.int8)),
        ("blk.0.attn_q.weight", np.ones((64, 64), np.int32)),
        ("token_embd.weight", np.ones((300, 64), np.float64)),
    ],
)
def test_weights_that_llama_cpp_cannot_compute_with_are_refused(
    tmp_path: Path, name: str, array: np.ndarray[Any, Any]
) -> None:
    message = refusal(write_llama(tmp_path / "m.gguf", tensors={name: array}))
    assert f"llama.cpp cannot compute with {name!r} in" in message


def test_a_table_of_indices_may_hold_integers(tmp_path: Path) -> None:
    table = {"blk.0.ffn_gate_tid2eid.weight": np.ones((300, 2), np.int32)}
    check(read_model(write_llama(tmp_path / "m.gguf", tensors=table)))


def test_a_model_without_attention_needs_no_heads(tmp_path: Path) -> None:
    metadata = {
        "mamba.block_count": 2,
        "mamba.context_length": 64,
        "mamba.embedding_length": 64,
        "mamba.attention.head_count": 0,
    }
    tensors = {"token_embd.weight": (np.ones((300, 64), np.float32), None)}
    check(read_model(write_gguf(tmp_path / "m.gguf", "mamba", metadata, tensors)))


def test_a_vocabulary_alone_is_refused(tmp_path: Path) -> None:
    metadata = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ["a", "b"]}
    path = write_gguf(tmp_path / "vocab.gguf", "llama", metadata, {})
    assert "is a vocabulary without weights" in refusal(path)


@pytest.mark.parametrize(
    ("architecture", "metadata", "phrase"),
    [
        ("llama", {"general.type": "adapter"}, "is not a language model but a LoRA adapter"),
        ("llama", {"general.type": "mmproj"}, "part of a multimodal model"),
        ("clip", {}, "part of a multimodal model"),
        ("", {"general.type": "imatrix"}, "an importance matrix"),
        ("controlvector", {}, "a control vector"),
        ("t5", {}, "an encoder-decoder model"),
        ("", {}, "general.architecture is missing"),
    ],
)
def test_files_that_are_no_language_models_are_refused_by_name(
    tmp_path: Path, architecture: str, metadata: dict[str, Any], phrase: str
) -> None:
    tensors = {"a": (ONES, None)}
    path = write_gguf(tmp_path / "other.gguf", architecture, metadata, tensors)
    assert phrase in refusal(path)


def test_a_state_space_of_another_width_is_refused(tmp_path: Path) -> None:
    path = write_hybrid(tmp_path / "m.gguf")
    check(read_model(path))
    data, key = path.read_bytes(), b"jamba.ssm.inner_size"
    place = data.index(key) + len(key) + 4  # behind the number of its type
    path.write_bytes(data[:place] + (64).to_bytes(4, "little") + data[place + 4 :])
    assert "jamba.ssm.inner_size is 64, expected 128 to 128" in refusal(path)
