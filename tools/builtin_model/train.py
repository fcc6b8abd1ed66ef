"""Train the built-in model from nothing but the corpus beside this file.

    python train.py --out run/ --minutes 95

Writes tokenizer.json, checkpoint.pt (every few minutes; a run that is started again continues from
it) and loss.csv into the folder. `export.py` turns the folder into a GGUF file.

The learning rate follows the clock, so that a run ends in time on a machine that has other work,
too. To end a run early, start it again with fewer --minutes and a short --decay-minutes.
torch.compile, which doubles the speed, needs a C++ compiler.
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
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import copying
import corpus
import extraction
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
EVALUATION_STEPS = 200
EXERCISES = 96
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


def weighted_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy, added up."""
    losses = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none")
    return (losses * weights.clamp(min=0).flatten()).sum()


compiled_loss = torch.compile(weighted_loss, dynamic=True)


def logits_of(model: nn.Module, batch: Batch) -> Tensor:
    """What the model says about every token, in bfloat16."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits: Tensor = model(batch.inputs)
    return logits


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
            replica.compile(dynamic=True)

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
        batch_loss = compiled_loss(logits_of(model, batch), batch.targets, batch.weights)
        (batch_loss / weight).backward()
        loss += batch_loss.item() / weight


@dataclass(frozen=True)
class Schedule:
    """Warm up, stay, then fall linearly to zero at the end of the time."""

    seconds: float
    decay_seconds: float

    def rate_factor(self, step: int, elapsed: float) -> float:
        warmup = min(1.0, (step + 1) / WARMUP_STEPS)
        return max(0.0, min(warmup, (self.seconds - elapsed) / self.decay_seconds))


@torch.no_grad()
def held_out_loss(model: Llama, batches: list[Batch]) -> float:
    """Mean loss on documents of another seed."""
    total = sum(
        weighted_loss(logits_of(model, batch), batch.targets, batch.weights).item()
        for batch in batches
    )
    return total / float(sum(batch.weights.clamp(min=0).sum() for batch in batches))


@torch.no_grad()
def exact_share(model: Llama, batches: list[Batch]) -> float:
    """Share of documents whose answers greedy decoding would give letter by letter."""
    right = []
    for batch in batches:
        is_wrong = logits_of(model, batch).argmax(-1) != batch.targets
        right.append(~(is_wrong & (batch.weights == 1)).any(dim=1))
    return float(torch.cat(right).float().mean())


def exercises(
    tokenizer: tokens.Tokenizer, make: Callable[[random.Random], corpus.Document], seed: int
) -> list[Batch]:
    """Documents of one kind, to see copying appear."""
    rng = random.Random(seed)
    rows = tokens.encode(tokenizer, [make(rng) for _ in range(EXERCISES)])
    rows.sort(key=lambda row: len(row[0]))
    return [make_batch(group) for group in _groups(rows)]


class Run:
    """A training run in a folder: its state on disk, and the loop that advances it."""

    def __init__(self, folder: Path, schedule: Schedule, seed: int, threads: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.schedule, self.seed = folder, schedule, seed
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
        held_out_seed = self.seed + EVALUATION_SEED_OFFSET
        held_out = list(itertools.islice(batches(self.tokenizer, self.shape, held_out_seed), 8))
        copies = exercises(self.tokenizer, copying.messages, held_out_seed)
        records = exercises(self.tokenizer, extraction.messages, held_out_seed)
        started = time.monotonic() - self.seconds
        saved_at = time.monotonic()
        while self.seconds < self.schedule.seconds:
            loss = self._advance(list(itertools.islice(stream, MICRO_BATCHES)))
            self.seconds = time.monotonic() - started
            if self.step % EVALUATION_STEPS == 0 or self.seconds >= self.schedule.seconds:
                measured = (
                    held_out_loss(self.model, held_out),
                    exact_share(self.model, copies),
                    exact_share(self.model, records),
                )
                self._log(loss, [f"{value:.4f}" for value in measured])
            elif self.step % 20 == 0:
                self._log(loss, ["", "", ""])
            if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                self.save()
                saved_at = time.monotonic()
        self.save()

    def _advance(self, micro_batches: list[Batch]) -> float:
        """One optimizer step over several micro-batches; returns the mean loss."""
        loss = self.replicas.accumulate(micro_batches)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        factor = self.schedule.rate_factor(self.step, self.seconds)
        for optimizer, rate in zip(self.optimizers, self.base_rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        self.tokens += sum(batch.token_count for batch in micro_batches)
        return loss

    def _log(self, loss: float, measured: list[str]) -> None:
        path = self.folder / "loss.csv"
        is_new = not path.exists()
        with path.open("a", newline="") as stream:
            writer = csv.writer(stream)
            if is_new:
                columns = ["held_out_loss", "copied", "extracted"]
                writer.writerow(["step", "tokens", "seconds", "loss", *columns])
            row = [self.step, self.tokens, round(self.seconds), f"{loss:.4f}", *measured]
            writer.writerow(row)
        speed = f"{self.tokens / self.seconds:.0f} token/s"
        print(f"step {self.step} loss {loss:.3f} {' '.join(measured)} {speed}", flush=True)


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
    parser.add_argument("--minutes", type=float, default=95, help="of the whole run")
    parser.add_argument("--decay-minutes", type=float, default=40, help="at the end of it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)  # parallel are the micro-batches: see Replicas
    schedule = Schedule(arguments.minutes * 60, arguments.decay_minutes * 60)
    Run(arguments.out, schedule, arguments.seed, arguments.threads).train()


if __name__ == "__main__":
    main()
