"""Every bad model file ends in one line, with the exit code for models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from models import encode, write_gguf, write_llama
from program import Program

from llmparams_cli.backends.llama.host import hardware
from llmparams_cli.errors import ExitCode
from llmparams_cli.models import builtin
from llmparams_cli.models.gguf import read_model
from llmparams_cli.text.units import size_text

NOISE = np.random.default_rng(0).integers(0, 256, 100_000, np.uint8).tobytes()
ATTENTION = [f"attn_{part}" for part in ("norm", "q", "k", "v", "output")]
FEED_FORWARD = [f"ffn_{part}" for part in ("norm", "gate", "up", "down")]


def truncated(at: int | float) -> object:
    """The built-in model up to a byte, or to a share of its bytes."""

    def make(path: Path) -> None:
        data = builtin.PATH.read_bytes()
        path.write_bytes(data[: at if isinstance(at, int) else int(at * len(data))])

    return make


def vocabulary_only(path: Path) -> None:
    names = [f"blk.{layer}.{part}" for layer in range(2) for part in (*ATTENTION, *FEED_FORWARD)]
    names += ["token_embd", "output_norm", "output"]
    write_llama(path, tensors={f"{name}.weight": None for name in names})


def unknown_architecture(path: Path) -> None:
    numbers = ("block_count", "context_length", "embedding_length", "attention.head_count")
    metadata = {f"frobnicator.{name}": 1 for name in numbers}
    write_gguf(path, "frobnicator", metadata, {"a.weight": (np.ones((4, 4), np.float32), None)})


def with_a_hole(path: Path) -> None:
    write_llama(path, tensors={"blk.1.ffn_up.weight": None})


def wrong_shape(path: Path) -> None:
    write_llama(path, tensors={"blk.1.ffn_up.weight": np.ones((3, 5), np.float32)})


def noise_in_the_header(path: Path) -> None:
    data = bytearray(write_llama(path).read_bytes())
    data[200:1200] = NOISE[:1000]
    path.write_bytes(data)


def without_numbers(path: Path) -> None:
    write_llama(path, tensors={"output.weight": np.full((300, 64), np.nan, np.float32)})


def one_word_twice(path: Path) -> None:
    write_llama(path, metadata={"tokenizer.ggml.tokens": ["same"] * 300})


# how the file is made, and words that the line must contain
BAD = {
    "missing": (lambda path: None, "does not exist"),
    "directory": (Path.mkdir, "is a directory"),
    "empty": (Path.touch, "empty"),
    "cut in the magic": (truncated(3), ""),
    "cut in the counts": (truncated(20), "truncated"),
    "cut in the vocabulary": (truncated(9_000), "truncated"),
    "cut in the weights": (truncated(0.5), "truncated"),
    "cut before the last byte": (truncated(0.999999), "truncated"),
    "noise": (lambda path: path.write_bytes(NOISE), "not a GGUF"),
    "noise after the magic": (lambda path: path.write_bytes(b"GGUF" + NOISE), "GGUF"),
    "noise in the header": (noise_in_the_header, ""),
    "zeros": (lambda path: path.write_bytes(bytes(100_000)), "not a GGUF"),
    "renamed zip": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(1000)), "zip"),
    "renamed text": (lambda path: path.write_text("Dear model,\n"), "text"),
    "renamed page": (lambda path: path.write_text("<!DOCTYPE html><html>404"), "HTML"),
    "of another version": (lambda path: path.write_bytes(encode(version=99)), "99"),
    "vocabulary only": (vocabulary_only, "vocabulary"),
    "unknown architecture": (unknown_architecture, "frobnicator"),
    "a tensor missing": (with_a_hole, "blk.1.ffn_up.weight"),
    "a tensor of another shape": (wrong_shape, "blk.1.ffn_up.weight"),
    "no numbers": (without_numbers, "NaN"),
    "one word twice": (one_word_twice, "twice"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_is_one_line_and_no_signal(program: Program, name: str) -> None:
    make, reason = BAD[name]
    make(program.place / "model.gguf")  # type: ignore[operator]
    line = program.pipe("generate", "hi", "-m", "model.gguf").complaint(ExitCode.MODEL)
    assert reason.lower() in line.lower()
    assert "model.gguf" in line
    assert len(line) < 500


@pytest.mark.parametrize("flags", [("--json",), ("--stream-json",), ("--verbose",)])
def test_the_line_is_there_in_every_format(program: Program, flags: tuple[str, ...]) -> None:
    unknown_architecture(program.place / "model.gguf")
    done = program.pipe("generate", "hi", "-m", "model.gguf", *flags)
    assert done.code == ExitCode.MODEL
    last = done.stderr.splitlines()[-1]
    assert last.startswith("llmparams: error: ") and "frobnicator" in last
    assert "Traceback" not in done.stderr


def test_a_model_cannot_come_from_standard_input(program: Program) -> None:
    assert "pipe" in program.call("generate", "hi", "-m", "-").complaint(ExitCode.MODEL)


def test_a_misspelt_name_is_guessed(program: Program) -> None:
    write_llama(program.place / "llama-tiny.gguf")
    done = program.call("generate", "hi", "-m", "lama-tiny.gguf")
    assert "did you mean llama-tiny.gguf?" in done.complaint(ExitCode.MODEL)


def test_a_wrong_adapter_is_blamed_and_not_the_model(program: Program) -> None:
    write_llama(program.place / "other.gguf")
    (program.place / "noise.gguf").write_bytes(NOISE)
    for name in ("other.gguf", "noise.gguf", "."):
        path = str(program.place / name)
        line = program.pipe("generate", "hi", "--lora", path).complaint(ExitCode.MODEL)
        assert path in line


def test_an_adapter_that_is_not_there_is_told_before_loading(program):
    done = program.call("generate", "hi", "--lora", "none.gguf:0.5")
    assert "none.gguf does not exist (flag --lora)" in done.complaint(4)


def test_a_model_beyond_memory_is_refused_unless_it_is_mapped(program, monkeypatch):
    monkeypatch.setattr(hardware, "available_memory", lambda: 1_000_000)
    done = program.call("generate", "hi", "--no-mmap")
    assert (
        f"the model takes {size_text(read_model(builtin.PATH).size)} and 1.0 MB of memory are free"
        in done.complaint(6)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_where_memory_ends_while_loading_the_model_is_not_blamed(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "m.gguf", width=512, feed_forward=4096, vocabulary=10_000)
    load = f"""
import resource, sys
import subprocess
import sys
from pathlib import Path
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.errors import BackendError
params = llama().llama_model_default_params()
params.load_mode = 0
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + {path.stat().st_size // 2}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    Model(Path({str(path)!r}), params)
except BackendError as error:
    sys.exit(error.message)
"""
    done = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True)
    assert done.stderr.startswith(f"no memory for {path}: "), done.stderr


def test_a_model_without_numbers_is_refused_by_every_command(program: Program) -> None:
    without_numbers(program.place / "model.gguf")
    (program.place / "target.txt").write_text("the end")
    model = ("-m", "model.gguf")
    for command in (
        ("explain", "hi", *model),
        ("explain", "hi", *model, "--target", "target.txt"),
        ("compare", "hi", *model, "--grid", "top_k=1,2"),
        ("presets", "diff", "precise", "balanced", *model),
    ):
        assert "NaN" in program.call(*command).complaint(ExitCode.MODEL), command


def test_a_model_must_start_from_something_in_every_command(program: Program) -> None:
    """This vocabulary puts no BOS before a text, so an empty prompt has no token at all."""
    write_llama(program.place / "model.gguf", chat_template=None)
    (program.place / "target.txt").write_text("the end")
    (program.place / "prompts.jsonl").write_text('{"prompt": "hi"}\n{"prompt": ""}\n')
    raw = ("-m", "model.gguf", "--raw", "-n", "4", "--seed", "1", "--json")
    grid = ("--grid", "temperature=0.2,1")
    alone = program.call("generate", "", *raw, "--temperature", "0.2").json["text"]
    (compared, _) = program.call("compare", "", *raw, *grid).json["variants"]
    assert [sample["text"] for sample in compared["samples"]] == [alone]
    (many, _) = program.call("compare", *raw, *grid, "--prompts", "prompts.jsonl").json["variants"]
    assert [sample["prompt"] for sample in many["samples"]] == ["hi", ""]
    forced = program.call("explain", "", *raw, "--target", "target.txt")
    assert forced.code == 0, forced.stderr
    uniform = -np.log(300)
    assert forced.json["tokens"][0]["logprob"] != pytest.approx(uniform, abs=1e-3)
