"""Train the built-in model from nothing but the corpus beside this file.

    python train.py --out run/ --steps 3500

Writes tokenizer.json, checkpoint.pt (every few minutes; a run that is started again continues from
it) and loss.csv into the folder. `export.py` turns the folder into a GGUF file.
"""

from __future__ import annotations

import argparse
import copy
import csv
import ctypes
import itertools
import random
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import corpus
import tokens
import torch
import torch.nn.functional as F
from model import Llama, Shape
from muon import Muon
from torch import Tensor, nn

MICRO_BATCH_TOKENS = 2048
MICRO_BATCHES = 4
POOL_DOCUMENTS = 1024
WARMUP_STEPS = 60
DECAY_SHARE = 0.45
MUON_RATE = 0.004
ADAM_RATE = 0.001
CHECKPOINT_SECONDS = 120
EVALUATION_SEED_OFFSET = 1_000_000


@dataclass(frozen=True)
class Batch:
    """Documents of similar length, one per row, padded on the right."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor

    @property
    def token_count(self) -> int:
        return int((self.weights >= 0).sum())


def make_batch(rows: list[tuple[list[int], list[float]]]) -> Batch:
    """Pad encoded documents to one length."""
    length = max(len(ids) for ids, _ in rows)
    inputs = torch.zeros(len(rows), length - 1, dtype=torch.long)
    targets = torch.zeros_like(inputs)
    weights = torch.full(inputs.shape, -1.0)  # -1 marks padding
    for index, (ids, row_weights) in enumerate(rows):
        size = len(ids) - 1
        inputs[index, :size] = torch.tensor(ids[:-1])
        targets[index, :size] = torch.tensor(ids[1:])
        weights[index, :size] = torch.tensor(row_weights[1:])
    return Batch(inputs, targets, weights)


def batches(tokenizer: tokens.Tokenizer, shape: Shape, seed: int) -> Iterator[Batch]:
    """An endless stream of micro-batches. No document is ever seen twice.

    One document per row keeps documents apart without a mask, starts every one at position 0 as
    in use, and costs little padding because a batch holds documents of similar length.
    """
    stream = corpus.documents(seed)
    rng = random.Random(seed)
    while True:
        encoded = tokens.encode(tokenizer, list(itertools.islice(stream, POOL_DOCUMENTS)))
        fitting = [row for row in encoded if len(row[0]) <= shape.n_context]
        fitting.sort(key=lambda row: len(row[0]))
        groups = list(_groups(fitting))
        rng.shuffle(groups)
        yield from map(make_batch, groups)


def _groups(
    rows: list[tuple[list[int], list[float]]],
) -> Iterator[list[tuple[list[int], list[float]]]]:
    group: list[tuple[list[int], list[float]]] = []
    for row in rows:
        if (len(group) + 1) * len(row[0]) > MICRO_BATCH_TOKENS:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def loss_sum(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Weighted cross-entropy of a batch, and the sum of its weights."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(batch.inputs)
    losses = F.cross_entropy(
        logits.flatten(0, 1).float(), batch.targets.flatten(), reduction="none"
    )
    weights = batch.weights.clamp(min=0).flatten()
    return (losses * weights).sum(), weights.sum()


def optimizers(model: Llama, pool: Executor) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for the embedding and the norms."""
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is matrix for matrix in matrices)]
    return [
        Muon(matrices, lr=MUON_RATE, pool=pool),
        torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


class Replicas:
    """Copies of the model that share its weights, each with gradients and a thread of its own.

    One thread per micro-batch keeps two cores busier than two threads per matrix product, most of
    all when other programs want the cores as well.
    """

    def __init__(self, model: Llama, pool: Executor, count: int) -> None:
        self.model, self.pool = model, pool
        self.copies = [copy.deepcopy(model) for _ in range(count)]
        for replica in self.copies:
            for mine, shared in zip(replica.parameters(), model.parameters(), strict=True):
                mine.data = shared.data

    def accumulate(self, micro_batches: list[Batch]) -> float:
        """Set the gradients of the model's mean loss over the micro-batches; return the loss."""
        weight = float(sum(batch.weights.clamp(min=0).sum() for batch in micro_batches))
        waiting = deque(micro_batches)
        shares = self.pool.map(lambda replica: _drain(replica, waiting, weight), self.copies)
        loss = sum(shares)
        for replica in self.copies:
            for shared, mine in zip(self.model.parameters(), replica.parameters(), strict=True):
                if mine.grad is not None:
                    shared.grad = mine.grad if shared.grad is None else shared.grad + mine.grad
                mine.grad = None
        return loss


def _drain(model: Llama, waiting: deque[Batch], weight: float) -> float:
    """Take micro-batches until none is left."""
    loss = 0.0
    while True:
        try:
            batch = waiting.popleft()
        except IndexError:
            return loss
        batch_loss, _ = loss_sum(model, batch)
        (batch_loss / weight).backward()
        loss += batch_loss.item() / weight


def rate_factor(step: int, steps: int) -> float:
    """Warm up, stay, then fall linearly to zero."""
    warmup = min(1.0, (step + 1) / WARMUP_STEPS)
    left = (steps - step) / max(1.0, steps * DECAY_SHARE)
    return min(warmup, left, 1.0)


@torch.no_grad()
def evaluate(model: Llama, held_out: list[Batch]) -> float:
    """Mean loss on documents of another seed."""
    total, weight = 0.0, 0.0
    for batch in held_out:
        loss, size = loss_sum(model, batch)
        total, weight = total + loss.item(), weight + size.item()
    return total / weight


class Run:
    """A training run in a folder: its state on disk, and the loop that advances it."""

    def __init__(self, folder: Path, steps: int, seed: int, threads: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.steps, self.seed = folder, steps, seed
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        torch.manual_seed(seed)
        self.shape = Shape()
        self.model = Llama(self.shape)
        pool = ThreadPoolExecutor(threads)
        self.optimizers = optimizers(self.model, pool)
        self.base_rates = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        self.tokenizer = self._tokenizer()
        self.replicas = Replicas(self.model, pool, threads)
        if self.checkpoint_path.exists():
            self._restore()

    @property
    def checkpoint_path(self) -> Path:
        return self.folder / "checkpoint.pt"

    def _tokenizer(self) -> tokens.Tokenizer:
        path = self.folder / "tokenizer.json"
        if not path.exists():
            tokens.train_tokenizer(self.seed).save(str(path))
        return tokens.load_tokenizer(path)

    def _restore(self) -> None:
        state = torch.load(self.checkpoint_path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]

    def save(self) -> None:
        state = {
            "shape": self.shape.as_dict(),
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
        }
        partial = self.checkpoint_path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint_path)

    def train(self) -> None:
        # A continued run draws a new part of the endless corpus instead of replaying the old one.
        stream = batches(self.tokenizer, self.shape, self.seed + 1 + self.step)
        evaluation = batches(self.tokenizer, self.shape, self.seed + EVALUATION_SEED_OFFSET)
        held_out = list(itertools.islice(evaluation, 8))
        saved_at = time.monotonic()
        while self.step < self.steps:
            loss = self._advance(list(itertools.islice(stream, MICRO_BATCHES)))
            if self.step % 20 == 0 or self.step == self.steps:
                held_out_loss = ""
                if self.step % 100 == 0 or self.step == self.steps:
                    held_out_loss = f"{evaluate(self.model, held_out):.4f}"
                self._log(loss, held_out_loss)
            if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                self.save()
                saved_at = time.monotonic()
        self.save()

    def _advance(self, micro_batches: list[Batch]) -> float:
        """One optimizer step over several micro-batches; returns the mean loss."""
        started = time.monotonic()
        loss = self.replicas.accumulate(micro_batches)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        factor = rate_factor(self.step, self.steps)
        for optimizer, rate in zip(self.optimizers, self.base_rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        self.tokens += sum(batch.token_count for batch in micro_batches)
        self.seconds += time.monotonic() - started
        return loss

    def _log(self, loss: float, held_out_loss: str) -> None:
        path = self.folder / "loss.csv"
        is_new = not path.exists()
        with path.open("a", newline="") as stream:
            writer = csv.writer(stream)
            if is_new:
                writer.writerow(["step", "tokens", "seconds", "loss", "held_out_loss"])
            row = [self.step, self.tokens, round(self.seconds), f"{loss:.4f}", held_out_loss]
            writer.writerow(row)
        speed = self.tokens / self.seconds
        print(f"step {self.step} loss {loss:.3f} {held_out_loss} {speed:.0f} token/s", flush=True)


def keep_freed_memory() -> None:
    """Tell glibc to reuse large blocks: returning them to the system costs a fifth of the time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**30)


def main() -> None:
    """Start or continue a run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)  # parallel are the micro-batches: see Replicas
    Run(arguments.out, arguments.steps, arguments.seed, arguments.threads).train()


if __name__ == "__main__":
    main()
