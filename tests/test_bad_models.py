"""Every bad model file ends in one line, with the exit code for models."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from models import write_llama
from program import Program

from llmparams_cli.errors import ExitCode
from llmparams_cli.models import builtin


def truncated(path: Path) -> None:
    path.write_bytes(builtin.PATH.read_bytes()[:2_000_000])


def random(path: Path) -> None:
    path.write_bytes(os.urandom(100_000))


def renamed(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(1000))


def vocabulary_only(path: Path) -> None:
    names = ["token_embd", "output_norm", "output"]
    parts = [
        "attn_norm",
        "attn_q",
        "attn_k",
        "attn_v",
        "attn_output",
        "ffn_norm",
        "ffn_gate",
        "ffn_up",
        "ffn_down",
    ]
    names += [f"blk.{layer}.{part}" for layer in range(2) for part in parts]
    write_llama(path, tensors={f"{name}.weight": None for name in names})


def unknown_architecture(path: Path) -> None:
    write_llama(path, metadata={"general.architecture": "frobnicator"})


def with_holes(path: Path) -> None:
    write_llama(path, tensors={"blk.1.ffn_up.weight": None})


CASES = {
    "truncated": (truncated, "truncated"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "renamed": (renamed, "zip"),
    "random": (random, "not a GGUF"),
    "vocabulary only": (vocabulary_only, "vocabulary"),
    "unknown architecture": (unknown_architecture, "frobnicator"),
    "a tensor missing": (with_holes, "blk.1.ffn_up.weight"),
    "directory": (lambda path: path.mkdir(), "directory"),
    "missing": (lambda path: None, "does not exist"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_model_is_one_line(program: Program, name: str) -> None:
    make, reason = CASES[name]
    make(program.place / "model.gguf")
    line = program.pipe("generate", "hi", "-m", "model.gguf").complaint(ExitCode.MODEL)
    assert reason.lower() in line.lower()
    assert "model.gguf" in line
