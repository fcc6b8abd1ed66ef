"""The built-in model: a llama in plain PyTorch, small enough to read in one sitting."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """Every matrix has dimensions that are multiples of 256, so that K-quants apply."""

    n_vocab: int = 2048
    n_embd: int = 256
    n_ffn: int = 768
    n_layer: int = 6
    n_head: int = 4
    n_context: int = 1024
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


class RMSNorm(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.n_embd))
        self.eps = shape.norm_eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


def rope_tables(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosine and sine for every position, laid out for two halves of a head."""
    exponents = torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim
    angles = torch.outer(torch.arange(shape.n_context).float(), shape.rope_base**-exponents)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on two halves. GGUF interleaves the pairs: see `export.interleave`."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Written out, because the fused kernel's bfloat16 gradient is three times slower on a CPU."""
    length = q.shape[-2]
    future = torch.full((length, length), float("-inf"), dtype=q.dtype).triu(1)
    scores = (q * q.shape[-1] ** -0.5) @ k.mT + future
    return scores.softmax(dim=-1).to(v.dtype) @ v


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_head, self.head_dim = shape.n_head, shape.head_dim
        self.q = nn.Linear(shape.n_embd, shape.n_embd, bias=False)
        self.k = nn.Linear(shape.n_embd, shape.n_embd, bias=False)
        self.v = nn.Linear(shape.n_embd, shape.n_embd, bias=False)
        self.output = nn.Linear(shape.n_embd, shape.n_embd, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        def heads(projection: nn.Linear) -> Tensor:
            return projection(x).unflatten(-1, (self.n_head, self.head_dim)).transpose(1, 2)

        q, k, v = rotate(heads(self.q), cos, sin), rotate(heads(self.k), cos, sin), heads(self.v)
        mixed = causal_attention(q, k, v)
        return self.output(mixed.transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.n_embd, shape.n_ffn, bias=False)
        self.up = nn.Linear(shape.n_embd, shape.n_ffn, bias=False)
        self.down = nn.Linear(shape.n_ffn, shape.n_embd, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm, self.attention = RMSNorm(shape), Attention(shape)
        self.ffn_norm, self.ffn = RMSNorm(shape), FeedForward(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.ffn(self.ffn_norm(x))


class Llama(nn.Module):
    """The output matrix is the embedding matrix: at 2,048 tokens it is a tenth of the model."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.n_vocab, shape.n_embd)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layer))
        self.norm = RMSNorm(shape)
        cos, sin = rope_tables(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.apply(_initialise)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        if torch.is_autocast_enabled("cpu"):
            x = x.to(torch.get_autocast_dtype("cpu"))
        cos = self.cos[: ids.shape[1]].to(x.dtype)
        sin = self.sin[: ids.shape[1]].to(x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin)
        return F.linear(self.norm(x), self.embedding.weight)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    # Every block starts as the identity: the two matrices that write to the residual are zero.
    if isinstance(module, Attention):
        nn.init.zeros_(module.output.weight)
    if isinstance(module, FeedForward):
        nn.init.zeros_(module.down.weight)
