"""LM Studio before 0.3: its presets were two groups of parameters."""

from __future__ import annotations

from typing import Any

from llmparams_cli.formats import openai
from llmparams_cli.formats.common import Entries
from llmparams_cli.formats.draft import Draft
from llmparams_cli.presets.nodes import Node

LOAD = {
    "context": "n_ctx",
    "batch_size": "n_batch",
    "gpu_layers": "n_gpu_layers",
    "main_gpu": "main_gpu",
    "tensor_split": "tensor_split",
    "mmap": "use_mmap",
    "mlock": "use_mlock",
    "rope_freq_base": "rope_freq_base",
    "rope_freq_scale": "rope_freq_scale",
    "seed": "seed",
}
INFERENCE = {
    **{
        name: name
        for name in (
            "top_k",
            "top_p",
            "min_p",
            "typical_p",
            "repeat_penalty",
            "repeat_last_n",
            "frequency_penalty",
            "presence_penalty",
            "mirostat",
            "mirostat_tau",
            "mirostat_eta",
            "grammar",
            "seed",
        )
    },
    "temperature": "temp",
    "max_tokens": "n_predict",
    "threads": "n_threads",
    "stop": "antiprompt",
}
INERT: dict[str, tuple[Any, ...]] = {
    "tfs_z": (1,),
    "n_keep": (0,),
    "memory_f16": (True,),
    "f16_kv": (True,),
    "multiline_input": (False,),
    "penalize_nl": (True, False),
    "cache": (True, False),
    "n_gqa": (0, 1),
    "rms_norm_eps": (0,),
    "n_parts": (-1,),
    "vocab_only": (False,),
    "logits_all": (False,),
    "embedding": (False,),
    "low_vram": (False,),
    "num_experts_used": (0,),
    "pre_prompt_prefix": ("",),
    "pre_prompt_suffix": ("",),
}


def take(draft: Draft, entries: Entries) -> str | None:
    """Read both groups; the system text is among them."""
    system = None
    for group, keys in (("load_params", LOAD), ("inference_params", INFERENCE)):
        if (node := entries.pop(group, None)) is None or node.value is None:
            continue
        fields = draft.mapping(group, node)
        system = draft.text("pre_prompt", fields.pop("pre_prompt", None)) or system
        for key in ("input_prefix", "input_suffix"):
            if fields.pop(key, None):
                draft.lose(key, "the model file has its own template")
        _sentinels(fields)
        openai.biases(draft, fields)
        draft.take_all(fields, keys)
        draft.inert(fields, INERT)
        draft.leave(fields)
    return system


def _sentinels(fields: Entries) -> None:
    if (node := fields.get("n_gpu_layers")) and node.value == -1:
        fields["n_gpu_layers"] = Node(node.mark, "all")
    split = fields.get("tensor_split")  # a list of zeros leaves the split to llama.cpp
    if split and isinstance(split.value, list) and not any(item.value for item in split.value):
        del fields["tensor_split"]
