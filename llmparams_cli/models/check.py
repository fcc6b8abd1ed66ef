"""Checks a model for what would make llama.cpp end the process.

For most bad files llama.cpp returns an error, which the backend reports. The checks here are
for the others, found by feeding it damaged files: failed assertions and divisions by zero.
"""

from __future__ import annotations

import math

from llmparams_cli.errors import ModelError
from llmparams_cli.models.ggml_types import NOT_FOR_WEIGHTS
from llmparams_cli.models.gguf import Header

AGAIN = "get another conversion of the model"

# llama-hparams.h
MAX_LAYERS = 512
MAX_EXPERTS = 1024
# llama-model.cpp, LLAMA_ROPE_SCALING_TYPES
ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
# ggml-impl.h: tensors are used where they lie in the mapped file, so this must hold there
TENSOR_ALIGNMENT = 32
# jamba.cpp, granite-hybrid.cpp: whose state space must have twice the width of the model
TWICE_AS_WIDE = ("jamba", "granitehybrid")
# Elements in one head; real ones have 64 to 576. Products of absurd numbers wrap around in C.
MAX_HEAD_LENGTH = 1 << 16
# The only tensor of indices in any model: a table from token to expert.
INDEX_TABLE = ".ffn_gate_tid2eid."

# GGUF files that are not language models, by general.type or architecture: what, and the cure.
OTHER_KINDS = {
    "adapter": ("a LoRA adapter", "give it with --lora, and the model it belongs to with --model"),
    "imatrix": ("an importance matrix for quantisation", ""),
    "mmproj": ("the image or audio part of a multimodal model", "give the language model"),
    "clip": ("the image or audio part of a multimodal model", "give the language model"),
    "controlvector": ("a control vector", "give the model it was made for"),
    "wavtokenizer-dec": ("the audio part of a speech model", "give the language model"),
    "t5": ("an encoder-decoder model", "give a decoder-only model such as llama or qwen"),
    "t5encoder": ("an encoder, which writes no text", "give the model that it belongs to"),
}


def check(header: Header) -> None:
    """Raise ModelError if llama.cpp could not generate text with this model, or would crash."""
    # First what it is: an adapter or vocabulary would fail the later checks for no good reason.
    _check_kind(header)
    _check_dimensions(header)
    _check_experts(header)
    _check_numbers(header)
    _check_tensors(header)


def _check_kind(header: Header) -> None:
    metadata = header.metadata
    for kind in (metadata.get("general.type"), header.architecture):
        if isinstance(kind, str) and kind in OTHER_KINDS:
            what, cure = OTHER_KINDS[kind]
            raise ModelError(f"{header.path} is not a language model but {what}", cure)
    if not header.architecture:
        raise _unsound(header, "general.architecture is missing")
    if not header.tensors:
        raise ModelError(
            f"{header.path} is a vocabulary without weights", "get the file of the whole model"
        )
    if metadata.get("tokenizer.ggml.model") in ("none", "no_vocab"):
        raise ModelError(f"{header.path} has no tokenizer", AGAIN)
    if metadata.get(f"{header.architecture}.attention.causal") is False:
        raise ModelError(
            f"{header.path} does not generate text from left to right"
            f" ({header.architecture}: an embedding or diffusion model)",
            "give a language model",
        )


def _check_dimensions(header: Header) -> None:
    _check_range(header, "block_count", header.block_count, 1, MAX_LAYERS)
    _check_range(header, "context_length", header.context_length, 1)
    _check_range(header, "embedding_length", header.embedding_length, 1)
    extra_layers = header.hyperparameter("nextn_predict_layers")
    _check_range(header, "nextn_predict_layers", extra_layers, 0, header.block_count)
    if header.architecture in TWICE_AS_WIDE:
        width = 2 * header.embedding_length
        _check_range(
            header, "ssm.inner_size", header.hyperparameter("ssm.inner_size"), width, width
        )
    # Recurrent models such as Mamba have no attention heads.
    if any(".attn_q" in tensor.name for tensor in header.tensors):
        _check_heads(header)


def _check_heads(header: Header) -> None:
    heads = header.head_count
    _check_range(header, "attention.head_count", heads, 1, header.embedding_length)
    _check_range(header, "attention.head_count_kv", header.head_count_kv, 1, heads)
    _check_range(header, "attention.key_length", header.key_length, 1, MAX_HEAD_LENGTH)
    _check_range(header, "attention.value_length", header.value_length, 1, MAX_HEAD_LENGTH)
    # With 0, some architectures ask for a cache of endless size (gemma), others fail (qwen2).
    rope = header.hyperparameter("rope.dimension_count", header.key_length)
    _check_range(header, "rope.dimension_count", rope, 1, MAX_HEAD_LENGTH)


def _check_experts(header: Header) -> None:
    experts = header.hyperparameter("expert_count")
    groups = header.hyperparameter("expert_group_count")
    fewest = min(experts, 1)  # 0 in a model without experts
    used = header.hyperparameter("expert_used_count")
    _check_range(header, "expert_count", experts, 0, MAX_EXPERTS)
    _check_range(header, "expert_used_count", used, fewest, experts)
    _check_range(header, "expert_group_count", groups, 0, max(experts - 1, 0))
    if groups > 1:
        used_groups = header.hyperparameter("expert_group_used_count")
        _check_range(header, "expert_group_used_count", used_groups, 1, groups - 1)
        if experts % groups:
            raise _unsound(header, f"{experts} experts cannot form {groups} equal groups")


def _check_numbers(header: Header) -> None:
    for norm in ("layer_norm_epsilon", "layer_norm_rms_epsilon"):
        key = f"{header.architecture}.attention.{norm}"
        epsilon = header.metadata.get(key, 0.0)
        if isinstance(epsilon, float) and not 0 <= epsilon < math.inf:
            raise _unsound(header, f"{key} is {epsilon}")
    key = f"{header.architecture}.rope.scaling.type"
    scaling = header.metadata.get(key, "none")
    if scaling not in ROPE_SCALINGS:
        raise _unsound(header, f"{key} is {scaling!r}, not one of {', '.join(ROPE_SCALINGS)}")


def _check_tensors(header: Header) -> None:
    if header.alignment < TENSOR_ALIGNMENT:
        raise _unsound(
            header, f"general.alignment is {header.alignment}, less than {TENSOR_ALIGNMENT}"
        )
    for tensor in header.tensors:
        type = tensor.type.name
        is_index = type in NOT_FOR_WEIGHTS and INDEX_TABLE not in tensor.name
        is_vector = tensor.name.endswith(("_norm.weight", ".bias"))
        if is_index or (is_vector and type != "F32"):
            raise _unsound(header, f"llama.cpp cannot compute with {tensor.name!r} in {type}")


def _check_range(header: Header, key: str, value: int, low: int, high: int | None = None) -> None:
    if value < low or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"{low} to {high}"
        raise _unsound(header, f"{header.architecture}.{key} is {value}, expected {allowed}")


def _unsound(header: Header, what: str) -> ModelError:
    return ModelError(f"{header.path}: {what}", AGAIN)
