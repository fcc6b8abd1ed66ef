"""Training runs, made up to look as real ones do."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

from llmparams_cli.analysis.held_out import HeldOut
from llmparams_cli.analysis.tuning import (
    Changed,
    Check,
    Course,
    End,
    Plan,
    Rung,
    Stride,
    Sweep,
    Tuned,
)

HOSTILE = (
    "</script><img src=x onerror=document.title='broken'>[bold]\x1b[31m\u202e$x$\n{{data}} 你好🦊"
)
PLAN = Plan(
    model="fox",
    how="PyTorch, bf16, on cuda",
    trains="an adapter of rank 8",
    parameters=3_012_480,
    trained=49_152,
    documents=(1234, 65),
    rows=(2345, 120),
    tokens=(345_678, 18_000),
    size=256,
    batch=8,
    steps=300,
    epochs=2.0,
    optimiser="adamw",
    rate=3e-4,
    schedule="cosine",
    warmup=20,
    memory=1_200_000_000,
    seconds=190.0,
)


def course(
    steps: int = 300, every: int = 25, *, turn: int = 0, end: End | None = End.STEPS, **more: Any
) -> Course:
    """A loss that falls; from step `turn` on the run learns by heart. `nan_from`: it runs away."""
    noise, away = random.Random(1), more.pop("nan_from", math.inf)
    strides, checks = [], []
    for step in range(1, steps + 1):
        loss = 1.1 + 1.4 * math.exp(-step / 60) + noise.gauss(0, 0.08)
        if step > away:
            loss = math.nan if step > away + 12 else loss * 1.35 ** (step - away)
        rate = 3e-4 * min(1, step / 20) * (0.55 + 0.45 * math.cos(math.pi * step / steps))
        if step > away + 15:
            break
        strides.append(Stride(step, step / 150, loss, rate, 1.0, step * 2000, step * 0.6))
    least = math.inf
    for step in range(0, steps + 1, every):
        loss = 1.2 + 1.35 * math.exp(-step / 60) + 0.0025 * max(0, step - turn) * bool(turn)
        if step > away:
            break
        answers = (f"Once upon a time, after {step} steps.", f"2 + 2 = {step % 7}")
        checks.append(Check(step, loss, loss < least, answers))
        least = min(least, loss)
    return Course(tuple(strides), tuple(checks), end, **more)


def overfitted() -> Course:
    return course(turn=120, end=End.EARLY)


def diverged() -> Course:
    return course(nan_from=180, end=End.DIVERGED, word="a lower --rate helps: 1e-4")


def changed(layers: int = 4) -> tuple[Changed, ...]:
    kinds = {
        "attention q": ("attn_q", 0.012),
        "attention v": ("attn_v", 0.02),
        "feed-forward up": ("ffn_up", 0.008),
        "norms": ("attn_norm", 0.001),
    }
    inside = [
        Changed(f"blk.{layer}.{name}.weight", kind, layer, size * (1 + layer / 2))
        for layer in range(layers)
        for kind, (name, size) in kinds.items()
    ]
    return (*inside, Changed("output.weight", "output", None, 0.031))


def tuned(course: Course | None = None, **more: Any) -> Tuned:
    """A run of which everything is known; `more` replaces some of that."""
    found = Tuned(
        plan=PLAN,
        course=course or overfitted(),
        target="fox-tuned.gguf",
        type="Q8_0",
        bytes=3_200_000,
        held_out=held_out(),
        prompts=("Once upon a time", "2 + 2 ="),
        before=("a fox fox fox fox", "5"),
        after=("there was a fox, who lived in the wood.\nShe was clever.", "4"),
        changed=changed(),
        untouched=12,
    )
    return replace(found, **more)


def held_out() -> HeldOut:
    """Two models on 20 rows, of which the second predicts them better."""
    noise = random.Random(2)
    nats = [10 * noise.gammavariate(40, 0.057) for _ in range(20)]
    return HeldOut((10,) * 20, tuple(nats), tuple(0.55 * each for each in nats))


def sweep(*, found: bool = True) -> Sweep:
    noise = random.Random(3)
    rates = [10 ** (-6 + 5 * step / 99) for step in range(100)]
    smooth = [2.5 - 1.2 / (1 + (2e-4 / r) ** 1.5) + 3 * max(0, r / 0.008 - 1) for r in rates]
    losses = [loss + noise.gauss(0, 0.06) for loss in smooth]
    losses[-2:] = [math.inf, math.nan]
    known = (4e-5, 2e-3, 4e-4) if found else (None, None, None)
    return Sweep(tuple(rates), tuple(losses), tuple(smooth[:-2] + [math.nan] * 2), *known)


def rungs(*layers: int) -> list[Rung]:
    """Variants of more and more layers: the first underfit, the last learn by heart."""
    found = []
    for count in layers or (1, 2, 4, 6, 8, 12):
        train = 1.0 + 1.2 / count
        loss = train + 0.05 + 0.0035 * count**2
        values = {"layers": str(count)}
        seconds = 20.0 + 9 * count
        found.append(Rung(values, 500_000 * count, course(60, 20), train, loss, seconds))
    return found
