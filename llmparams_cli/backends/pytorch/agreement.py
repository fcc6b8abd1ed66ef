"""What llama.cpp reads in a GGUF file and transformers does not: made up for, or refused."""

from __future__ import annotations

from typing import Any

from llmparams_cli.backends.pytorch.file import F32File
from llmparams_cli.errors import BackendError
from llmparams_cli.models.gguf import Header

OTHERWISE = "try --engine llama.cpp"
# By what a model of the Llama 3 kind divides the frequencies of its positions.
FREQUENCIES = "rope_freqs.weight"
# Numbers that change what is computed, unless they are 1. Transformers passes over them.
FACTORS = (
    *("rope.scaling.factor", "rope.scale_linear", "attention.scale", "logit_scale"),
    *("embedding_scale", "residual_scale"),
)


def refusal(header: Header, why: str) -> BackendError:
    """The error for a model that cannot be trained here."""
    what = f"PyTorch's engine cannot train models of the architecture {header.architecture!r}"
    return BackendError(f"{what}: {why}", OTHERWISE)


def agree(module: Any, file: F32File) -> None:
    """Let a model compute what llama.cpp would. Raises BackendError if that is not possible."""
    header = file.header
    for factor in FACTORS:
        key = f"{header.architecture}.{factor}"
        if header.metadata.get(key, 1) != 1:
            raise refusal(header, f"transformers passes over {key}")
    scalar = getattr(module.config, "query_pre_attn_scalar", None)
    if scalar not in (None, header.key_length):
        # Gemma's: not in the file. Llama.cpp goes by the length of a head.
        raise refusal(header, f"transformers takes {scalar} for {header.key_length} in attention")
    if FREQUENCIES in file.tensors:
        _set_frequencies(module, file)


def _set_frequencies(module: Any, file: F32File) -> None:
    import torch

    factors = torch.from_numpy(file.tensors[FREQUENCIES].copy())
    buffers = [
        buffer
        for name, buffer in module.named_buffers()
        if name.endswith("inv_freq") and "original" not in name
    ]
    if len(buffers) != 1 or buffers[0].shape != factors.shape:
        raise refusal(file.header, f"it is not known here what {FREQUENCIES!r} is for")
    buffers[0].div_(factors)
