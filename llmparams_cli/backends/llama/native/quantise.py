"""Smaller model files, by the library's own quantiser."""

from __future__ import annotations

from pathlib import Path

from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.errors import BackendError


def quantise(source: Path, file_type: str, target: Path, threads: int) -> None:
    """Write `source` with all matrices of one type, such as Q4_K_M (llama_model_quantize)."""
    lib = llama()
    params = lib.llama_model_quantize_default_params()
    params.ftype = getattr(lib, f"LLAMA_FTYPE_MOSTLY_{file_type}")
    params.pure = True  # no mix of types, as Q4_K_M has otherwise
    params.nthread = threads
    if lib.llama_model_quantize(str(source).encode(), str(target).encode(), params) != 0:
        raise BackendError(f"llama_model_quantize failed on {source}: {log.complaint()}")
