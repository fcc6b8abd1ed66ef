"""Where PyTorch computes, with which precision, and how much at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmparams_cli.training.trainer import Recipe

# Tokens, and logits, that are computed at a time.
CPU_TOKENS, GPU_TOKENS = 2048, 16384
CPU_LOGITS = 1 << 26
GPU_SHARE = 4  # of what is free, for logits


@dataclass(frozen=True)
class Device:
    """A processor ("cpu", "cuda", "mps"), and whether matrices are multiplied in bf16 there."""

    name: str
    bf16: bool
    how: str

    def tokens(self, vocabulary: int) -> int:
        """How many tokens are read at a time: each costs a row of logits, several times over."""
        import torch

        tokens, logits = CPU_TOKENS, CPU_LOGITS
        if self.name == "cuda":
            # A logit, its gradient and what lies between take about 16 bytes.
            tokens, logits = GPU_TOKENS, torch.cuda.mem_get_info()[0] // (16 * GPU_SHARE)
        return max(1, min(tokens, logits // vocabulary))

    def autocast(self) -> Any:
        import torch

        return torch.autocast(self.name, dtype=torch.bfloat16, enabled=self.bf16)


def chosen(recipe: Recipe) -> Device:
    """The fastest device that there is, prepared for this recipe."""
    import torch

    torch.set_num_threads(recipe.threads)
    name = _name()
    bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and _is_bf16_fast(name))
    version = torch.__version__.partition("+")[0]
    where = {
        "cpu": f"{recipe.threads} thread" + "s" * (recipe.threads != 1),
        "mps": "on Apple's GPU",
    }
    place = where.get(name) or f"on {torch.cuda.get_device_name()}"
    return Device(name, bf16, f"PyTorch {version}, {'bf16' if bf16 else 'F32'}, {place}")


def _name() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _is_bf16_fast(name: str) -> bool:
    import torch

    if name == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if name != "cpu":
        return False
    # Not public, and not in every version.
    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, test, lambda: False)() for test in tests)
