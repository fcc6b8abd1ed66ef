"""Fast paths for quantised weights: tried in a child, remembered, avoided when broken."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from faulty import python
from models import write_llama
from program import CHECKOUT, Program
from rendering import Pipe

from llmparams_cli.backends.llama.host import trial
from llmparams_cli.backends.llama.machine import buffers, child, library, probe, remembered
from llmparams_cli.backends.llama.weights import Recipe, quantise
from llmparams_cli.errors import ExitCode
from llmparams_cli.models import builtin

STORY = ("generate", "Once", "--raw", "--seed", "1", "--max-tokens", "16")
COMPLAINT = "this build of llama.cpp"
Finding, WeightMode = remembered.Finding, buffers.WeightMode


def pipe(cache: Path, **variables: str) -> Pipe:
    return Pipe(variables={**os.environ, "LLMPARAMS_CACHE_DIR": str(cache), **variables})


def broken(cache: Path) -> Pipe:
    """Here no child process can load the library: whoever probes, notices."""
    return pipe(cache, LLAMA_CPP_LIB_PATH="/nonexistent")


def extra_buffers_or_skip() -> None:
    if not buffers.extra_buffers():
        pytest.skip("this llama.cpp has no extra buffer types")


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in model as Q4_0."""
    path = tmp_path_factory.mktemp("model") / "q4_0.gguf"
    quantise(builtin.PATH, path, Recipe("Q4_0", 1, pure=True))
    return path


@pytest.fixture
def faulty(tmp_path: Path, faulty_library: Path) -> Program:
    """The program with broken AMX code, and with nothing remembered."""
    program = Program(tmp_path, tmp_path / "cache")
    program.variables["LD_PRELOAD"] = str(faulty_library)
    return program


def without_fault(program: Program) -> Program:
    """The same program in the mode that it remembers, on a library that works."""
    del program.variables["LD_PRELOAD"]
    return program


def modes(program: Program) -> dict[str, object]:
    (entry,) = json.loads((program.cache / "probe.json").read_text()).values()
    return {type: found["mode"] for type, found in entry["findings"].items()}


# On a library that works


def test_a_working_library_is_used_in_full(tmp_path):
    run = pipe(tmp_path)
    assert probe.choose(run.env, ["F32", "Q4_0", "Q8_0"]) is WeightMode.FULL
    assert run.stderr == ""


def test_the_answer_is_remembered(tmp_path):
    extra_buffers_or_skip()
    probe.choose(pipe(tmp_path).env, ["Q4_0"])
    run = broken(tmp_path)
    assert probe.choose(run.env, ["Q4_0"]) is WeightMode.FULL
    assert run.stderr == ""


def test_a_type_that_was_not_met_before_is_probed(tmp_path):
    extra_buffers_or_skip()
    probe.choose(pipe(tmp_path).env, ["Q4_0"])
    run = broken(tmp_path)
    assert probe.choose(run.env, ["Q4_0", "Q8_0"]) is WeightMode.PLAIN
    assert "is not used" in run.stderr


def test_without_a_test_the_fast_path_is_not_used_and_nothing_remembered(tmp_path):
    extra_buffers_or_skip()
    run = broken(tmp_path)
    assert probe.choose(run.env, ["Q4_0"]) is WeightMode.PLAIN
    assert "does not load" in run.stderr
    assert probe.choose(pipe(tmp_path).env, ["Q4_0"]) is WeightMode.FULL


@pytest.mark.parametrize("types", [["F32", "F16", "BF16"], ["F32", "IQ2_XXS"], []])
def test_types_without_a_fast_path_are_never_probed(types, tmp_path):
    run = broken(tmp_path)
    assert probe.choose(run.env, types) is WeightMode.FULL
    assert run.stderr == ""
    assert not any(tmp_path.iterdir())


def test_another_library_is_another_question(tmp_path, monkeypatch):
    extra_buffers_or_skip()
    probe.choose(pipe(tmp_path).env, ["Q4_0"])
    other = tmp_path / "lib"
    other.mkdir()
    file = other / Path(library.path_of("ggml-cpu")).name
    file.touch()
    assert remembered.Memory(tmp_path).recall("Q4_0")
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(other))
    assert not remembered.Memory(tmp_path).recall("Q4_0")
    remembered.Memory(tmp_path).tell()
    assert remembered.Memory(tmp_path).told
    os.utime(file, (0, 0))
    assert not remembered.Memory(tmp_path).told


def test_the_machines_of_a_shared_cache_do_not_forget_each_other(tmp_path, monkeypatch):
    remembered.Memory(tmp_path).tell()
    own = json.loads((tmp_path / "probe.json").read_text())
    monkeypatch.setattr(remembered, "_identity", lambda: "another machine")
    remembered.Memory(tmp_path).tell()
    both = json.loads((tmp_path / "probe.json").read_text())
    assert both == own | {"another machine": {"told": True, "findings": {}, "sequences": {}}}
    for number in range(remembered.ENTRIES):
        monkeypatch.setattr(remembered, "_identity", lambda number=number: f"machine {number}")
        remembered.Memory(tmp_path).tell()
    assert len(json.loads((tmp_path / "probe.json").read_text())) == remembered.ENTRIES
    assert remembered.Memory(tmp_path).told


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        '{"KEY": 1}',
        '{"KEY": {"findings": [1]}}',
        '{"KEY": {"findings": {"Q4_0": {"mode": "warp", "failures": {}}}}}',
        '{"KEY": {"findings": {"Q4_0": {"mode": "full"}}}}',
        '{"KEY": {"sequences": {"a": 1}}}',
        '{"KEY": {"sequences": {"a": {"works": "many", "fails": 0, "failure": ""}}}}',
        "\udcff",
    ],
)
def test_a_damaged_memory_is_an_empty_one(content, tmp_path):
    key = json.dumps(remembered._identity())[1:-1]
    text = content.replace("KEY", key)
    (tmp_path / "probe.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    memory = remembered.Memory(tmp_path)
    assert memory.types == [] and not memory.told
    assert memory.recall_sequences("a") == remembered.Sequences()
    memory.tell()
    assert remembered.Memory(tmp_path).told


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    run = pipe(tmp_path / "file" / "cache")
    assert probe.choose(run.env, ["Q4_0"]) is WeightMode.FULL
    assert run.stderr == ""


def test_modules_in_the_working_directory_do_not_reach_the_child(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('somebody else’s json')")
    monkeypatch.chdir(tmp_path)
    assert probe.fault_of_library(pipe(tmp_path).env) == ""


def test_the_built_in_model_decodes():
    assert probe.fault_of_library(Pipe(variables=os.environ).env, builtin.PATH) == ""


def test_a_fault_of_the_library_is_told(tmp_path):
    assert "does not load" in probe.fault_of_library(broken(tmp_path).env)


# How a child's end is read


def test_signals_of_the_library_are_faults_and_those_of_people_are_not():
    faults = {code: child.End(code, "", "").fault for code in (-11, -6, -4, -9, -2, 0, 1)}
    assert faults == {
        -11: "crashes (SIGSEGV)",
        -6: "crashes (SIGABRT)",
        -4: "crashes (SIGILL)",
        -9: "",  # killed, perhaps for want of memory
        -2: "",
        0: "",
        1: "",
    }
    assert child.End(0xC0000005, "", "").fault == "crashes (0xc0000005)"  # Windows
    assert child.End(None, "", "").fault == "hangs"


def test_the_distance_of_logits_is_in_units_of_their_spread():
    assert trial.distance([1.0, 3.0], [1.0, 3.0]) == 0
    assert trial.distance([1.0, 3.0], [2.0, 2.0]) == 1
    assert trial.distance([0.0, 0.0, 3.0], [0.0, 1.0, 3.0]) == pytest.approx(math.sqrt(1 / 6))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_infinitely_wrong(value):
    assert trial.distance([1.0, 3.0], [value, 3.0]) == math.inf


def test_every_type_with_a_fast_path_can_be_quantised(tmp_path):
    source = write_llama(tmp_path / "f16.gguf", width=256, feed_forward=256, type="F16")
    for type in trial.FILE_TYPES:
        path = tmp_path / f"{type}.gguf"
        quantise(source, path, Recipe(trial.FILE_TYPES[type], 1, pure=True))
        plain = trial.logits(path, WeightMode.PLAIN)
        assert trial.distance(plain, trial.logits(path, WeightMode.REPACK)) < trial.TOLERANCE


# On a library that is broken


def test_a_crash_is_found_avoided_told_once_and_remembered(faulty, quantised):
    done = faulty.pipe(*STORY, "-m", str(quantised))
    assert done.code == 0
    assert done.stderr.count(COMPLAINT) == 1
    assert "crashes (SIGSEGV)" in done.stderr and "(AMX)" in done.stderr
    assert "three times slower" in done.stderr and "llmparams doctor" in done.stderr
    assert modes(faulty) == {"Q4_0": "repack"}
    again = faulty.pipe(*STORY, "-m", str(quantised))
    assert (again.code, again.text) == (0, done.text)
    assert COMPLAINT not in again.stderr
    assert done.text == without_fault(faulty).pipe(*STORY, "-m", str(quantised)).text != ""


def test_without_the_probe_the_program_would_die(faulty, quantised):
    faulty.pipe(*STORY, "-m", str(quantised))
    memory = faulty.cache / "probe.json"
    memory.write_text(memory.read_text().replace('"repack"', '"full"'))
    done = faulty.pipe(*STORY, "-m", str(quantised))
    assert done.code == ExitCode.BACKEND
    assert "SIGSEGV" in done.stderr


def test_verbose_tells_again_and_quiet_is_no_telling(faulty, quantised):
    assert faulty.pipe(*STORY, "-m", str(quantised), "--quiet").stderr == ""
    assert COMPLAINT in faulty.pipe(*STORY, "-m", str(quantised)).stderr
    assert COMPLAINT not in faulty.pipe(*STORY, "-m", str(quantised)).stderr
    assert COMPLAINT in faulty.pipe(*STORY, "-m", str(quantised), "--verbose").stderr


def test_wrong_numbers_are_found_too(faulty, quantised):
    done = faulty.pipe(*STORY, "-m", str(quantised), FAULT="numbers")
    assert done.code == 0
    assert "computes wrong numbers" in done.stderr
    assert modes(faulty) == {"Q4_0": "repack"}


def test_when_every_fast_path_is_broken_plain_memory_is_used(faulty, quantised):
    done = faulty.pipe(*STORY, "-m", str(quantised), FAULT="everywhere")
    assert done.code == 0
    assert modes(faulty) == {"Q4_0": "plain"}
    assert done.text == without_fault(faulty).pipe(*STORY, "-m", str(quantised)).text != ""


def test_types_that_the_broken_path_does_not_take_are_not_blamed(faulty, tmp_path):
    path = tmp_path / "q8_0.gguf"
    quantise(builtin.PATH, path, Recipe("Q8_0", 1, pure=True))
    done = faulty.pipe(*STORY, "-m", str(path))
    assert done.code == 0
    assert COMPLAINT not in done.stderr


LOGITS = """
import sys
from llmparams_cli.backends.llama.host import buffers, trial
print(*trial.logits(trial.Path(sys.argv[1]), buffers.WeightMode.REPACK))
"""
SHAPES = {
    "rows that do not divide by 8": {"vocabulary": 301},
    "one head for keys and values": {"kv_heads": 1, "heads": 8},
    "tied embeddings": {"tensors": {"output.weight": None}},
    "K-quants": {"type": "Q4_K", "width": 256, "feed_forward": 512},
    "unquantised": {"type": "F16"},
    "no repacking of this type": {"type": "Q8_0"},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_repack_mode_takes_any_model_and_touches_nothing_else(shape, tmp_path, faulty_library):
    path = write_llama(tmp_path / "m.gguf", **{"type": "Q4_0", "width": 128, **SHAPES[shape]})
    printed = python(LOGITS, str(path), LD_PRELOAD=str(faulty_library))
    assert [*map(float, printed.split())] == trial.logits(path, WeightMode.REPACK)


def test_the_worst_finding_decides(tmp_path):
    extra_buffers_or_skip()
    found = {
        "Q4_0": Finding(WeightMode.FULL),
        "Q4_K": Finding(WeightMode.PLAIN, {WeightMode.FULL: "hangs"}),
        "Q8_0": Finding(WeightMode.REPACK, {WeightMode.FULL: "hangs"}),
    }
    memory = remembered.Memory(tmp_path)
    for type, finding in found.items():
        memory.learn(type, finding)
    assert probe.choose(pipe(tmp_path).env, ["Q4_0", "F32"]) is WeightMode.FULL
    assert probe.choose(pipe(tmp_path).env, ["Q4_0", "Q8_0"]) is WeightMode.REPACK
    assert probe.choose(pipe(tmp_path).env, ["Q4_0", "Q8_0", "Q4_K"]) is WeightMode.PLAIN


def test_the_cure_installs_the_version_that_the_program_needs():
    assert f'"llama-cpp-python=={library.VERSION}"' in (CHECKOUT / "pyproject.toml").read_text()
    assert library.install_command().endswith(f"llama-cpp-python=={library.VERSION}")
