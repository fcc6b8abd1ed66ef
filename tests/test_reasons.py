"""The library's own reasons, and adapters that cannot be: told in one line."""

import shutil
import sys

import pytest
from models import write_llama

from llmparams_cli.errors import ExitCode


@pytest.mark.parametrize("scale", ["nan", "inf", "-inf", "1e30"])
def test_the_scale_of_an_adapter_is_a_number(program, scale):
    (program.place / "a.gguf").touch()
    line = program.call("generate", "hi", "--lora", f"a.gguf:{scale}").complaint(ExitCode.USAGE)
    assert "the scale of the adapter" in line and "--lora" in line


def test_a_name_that_is_too_long_is_no_bug(program):
    for option in ("--lora", "--model"):
        line = program.call("generate", "hi", option, "n" * 300).complaint(ExitCode.MODEL)
        assert "name too long" in line.lower()


def test_llama_cpps_reason_is_told_whatever_its_words(program, tmp_path):
    model = write_llama(tmp_path / "m.gguf", width=32)  # heads of 8
    done = program.call("generate", "hi", "-m", str(model), "--cache-type-k", "q8_0")
    assert "block size 32 does not divide" in done.complaint(ExitCode.BACKEND)


def test_rope_of_no_dimensions_is_refused(program, tmp_path):
    model = write_llama(tmp_path / "m.gguf", metadata={"llama.rope.dimension_count": 0})
    line = program.call("generate", "hi", "-m", str(model)).complaint(ExitCode.MODEL)
    assert "rope.dimension_count is 0" in line


def test_memory_that_cannot_be_locked_is_told(program, tmp_path):
    if not shutil.which("unshare") or program.shell("unshare --user true").code:
        pytest.skip("no user namespaces here")
    model = write_llama(tmp_path / "m.gguf", vocabulary=3000)
    run = f'"{sys.executable}" -m llmparams_cli generate hi -n 1 -m "{model}" --mlock'
    done = program.shell(f"unshare --user bash -c 'ulimit -l 64; {run}'")
    assert done.code == 0 and "mlock: the weights are not held in memory" in done.stderr
