"""The numbers by which a model is built, under names that people use, from its header."""

from __future__ import annotations

from itertools import islice
from typing import Any

from llmparams_cli.models.cursor import Array
from llmparams_cli.models.gguf import Header

MOST_OTHERS = 12  # hyperparameters that have no name here
# By name here, the key under the architecture's prefix.
HYPERPARAMETERS = {
    "layers": "block_count",
    "hidden_size": "embedding_length",
    "heads": "attention.head_count",
    "heads_kv": "attention.head_count_kv",
    "head_size": "attention.key_length",
    "value_size": "attention.value_length",
    "feed_forward": "feed_forward_length",
    "experts": "expert_count",
    "experts_used": "expert_used_count",
    "experts_shared": "expert_shared_count",
    "expert_feed_forward": "expert_feed_forward_length",
    "vocabulary": "vocab_size",
    "context": "context_length",
    "sliding_window": "attention.sliding_window",
    "sliding_window_pattern": "attention.sliding_window_pattern",
    "rope_dimensions": "rope.dimension_count",
    "rope_base": "rope.freq_base",
    "rope_base_sliding": "rope.freq_base_swa",
    "rope_scaling": "rope.scaling.type",
    "rope_factor": "rope.scaling.factor",
    "rope_original_context": "rope.scaling.original_context_length",
    "latent_q": "attention.q_lora_rank",
    "latent_kv": "attention.kv_lora_rank",
    "softcap_attention": "attn_logit_softcapping",
    "softcap_output": "final_logit_softcapping",
    "norm_epsilon": "attention.layer_norm_rms_epsilon",
    "causal": "attention.causal",
    "pooling": "pooling_type",
    "state_size": "ssm.state_size",
    "state_inner": "ssm.inner_size",
    "state_convolution": "ssm.conv_kernel",
    "recurrent_head_size": "wkv.head_size",
    "predicted_ahead": "nextn_predict_layers",
}
_NAMED = frozenset(HYPERPARAMETERS.values())


def architecture(header: Header) -> dict[str, Any]:
    """The numbers of the architecture by their usual names, without those that the file lacks, and
    a few others by their keys.

    A number that differs from layer to layer is a list.
    """
    own = f"{header.architecture}."
    metadata = header.metadata
    found = {name: _number(metadata.get(own + key)) for name, key in HYPERPARAMETERS.items()}
    names = {tensor.name for tensor in header.tensors}
    heads = header.head_count
    others = {
        key.removeprefix(own): _number(value)
        for key, value in metadata.items()
        if key.startswith((own, "adapter.")) and key.removeprefix(own) not in _NAMED
    }
    derived = {
        "heads_kv": found["heads_kv"] or heads,
        "head_size": header.key_length,
        "vocabulary": header.vocabulary_size or _rows(header, "token_embd.weight"),
        "tied_embeddings": "output.weight" not in names if "token_embd.weight" in names else None,
    }
    numbers = {**found, **derived, **dict(islice(others.items(), MOST_OTHERS))}
    return {name: value for name, value in numbers.items() if value or value is False}


def _number(value: Any) -> Any:
    """One number for a list of equal ones; None for an array that was left in the file."""
    if isinstance(value, list) and len(set(map(repr, value))) == 1:
        return value[0]
    return None if isinstance(value, Array) else value


def _rows(header: Header, name: str) -> int:
    """The rows of a matrix; 0 if there is none of this name."""
    shapes = (tensor.shape for tensor in header.tensors if tensor.name == name)
    return next((shape[1] for shape in shapes if len(shape) > 1), 0)
