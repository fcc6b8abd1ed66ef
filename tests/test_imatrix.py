"""`imatrix`: the sums of squares that a text makes, against sums in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from models import write_llama
from program import Program
from shapes import write_experts

from llmparams_cli.errors import ExitCode
from llmparams_cli.models.importance import read_importance

TEXT = b"The fox saw a bear. The bear saw the fox. They went home together. " * 3
FLAGS = ("--text", "-", "--chunk", "32")


def entries(path: Path) -> dict[str, Any]:
    """What is in the file, by the independent reader."""
    return {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}


def make(program: Program, model: Path | str, *flags: str) -> dict[str, Any]:
    done = program.call("imatrix", str(model), "m.gguf", *FLAGS, *flags, "--force", stdin=TEXT)
    assert done.code == 0, done.stderr
    assert done.stdout == b""
    return entries(program.place / "m.gguf")


def test_the_sums_of_the_first_matrix_are_those_of_normed_embeddings(program: Program) -> None:
    path = write_llama(program.place / "model.gguf")
    found = make(program, path, "--chunks", "2")
    embeddings = next(t.data for t in gguf.GGUFReader(path).tensors if t.name.startswith("token_"))
    done = program.call("inspect", str(path), "--tokens", TEXT.decode(), "--json")
    tokens = [piece["id"] for piece in done.json["pieces"]][:64]
    rows = embeddings[tokens].astype(np.float64)
    normed = rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + 1e-5)
    for name in ("attn_q", "attn_k", "attn_v"):
        sums = found[f"blk.0.{name}.weight.in_sum2"]
        assert sums.shape == (64,)
        assert sums == pytest.approx((normed**2).sum(axis=0), rel=1e-5)
    assert {float(found[name].item()) for name in found if name.endswith(".counts")} == {64.0}
    assert len(found) == 2 * 2 * 7  # no more than the matrices of both layers
    means = read_importance(program.place / "m.gguf")["blk.0.attn_q.weight"]
    assert means == pytest.approx((normed**2).mean(axis=0), rel=1e-5)


def test_it_says_what_it_was_made_from(program: Program) -> None:
    make(program, "builtin", "--chunks", "1")
    reader = gguf.GGUFReader(program.place / "m.gguf")
    found = {name: field.contents() for name, field in reader.fields.items() if "GGUF" not in name}
    assert found == {
        "general.type": "imatrix",
        "imatrix.datasets": ["-"],
        "imatrix.chunk_count": 1,
        "imatrix.chunk_size": 32,
    }


def test_batches_make_no_difference(program: Program) -> None:
    path = write_llama(program.place / "model.gguf")
    whole, halves = make(program, path), make(program, path, "--batch-size", "16")
    assert whole.keys() == halves.keys()
    for name, sums in whole.items():
        assert halves[name] == pytest.approx(sums, rel=1e-4), name


def test_each_expert_counts_the_tokens_that_it_was_given(program: Program) -> None:
    path = write_experts(program.place / "model.gguf")
    found = make(program, path, "--chunks", "2")
    counts = found["blk.1.ffn_up_exps.weight.counts"]
    sums = found["blk.1.ffn_up_exps.weight.in_sum2"]
    assert counts.shape == (4, 1) and counts.sum() == 2 * 64  # two experts for each token
    assert sums.shape[0] == 4
    # What both experts of a token see is the same: all of it twice.
    dense = found["blk.1.ffn_gate_inp.weight.in_sum2"]
    assert sums.sum(axis=0) == pytest.approx(2 * dense, rel=1e-5)


def test_experts_that_were_never_asked_are_told(program: Program) -> None:
    path = write_experts(program.place / "model.gguf", experts=60)
    done = program.call("imatrix", str(path), "m.gguf", *FLAGS, "--chunks", "1", stdin=TEXT)
    counts = [data for name, data in entries(program.place / "m.gguf").items() if "exps" in name]
    unused = sum(int((each == 0).sum()) for each in counts if each.shape[-1] == 1)
    assert unused and f"{unused} experts were never asked" in done.stderr


def test_the_matrix_serves_types_that_need_one(program: Program) -> None:
    path = write_llama(program.place / "model.gguf", width=256, feed_forward=256, type="F16")
    make(program, path)
    flags = ("--type", "IQ2_XXS", "--imatrix", "m.gguf")
    done = program.call("quantize", str(path), "out.gguf", *flags)
    assert done.code == 0 and "IQ2_XXS (" in done.text


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (("builtin", "m.gguf", *FLAGS), b"short", "a chunk 32 (give a longer text)"),
        (("builtin", "m.gguf", "--text", "-"), TEXT * 3, "a chunk 512 (--chunk "),
        (("builtin", "m.gguf", "--text", "none"), b"", "--text none: No such file"),
        (("builtin", "no/m.gguf", *FLAGS), TEXT, "no such folder"),
        (("builtin", "there", *FLAGS), TEXT, "there exists (--force replaces it)"),
        (("scripted:s.yaml", "m.gguf", *FLAGS), TEXT, "--model"),
    ],
)
def test_what_makes_no_matrix_is_told(arguments, stdin, words, program: Program) -> None:
    (program.place / "there").write_text("mine")
    (program.place / "s.yaml").write_text("answers: [{text: x}]\n")
    done = program.call("imatrix", *arguments, stdin=stdin)
    assert words in done.complaint(ExitCode.USAGE)
    assert not (program.place / "m.gguf").exists()
