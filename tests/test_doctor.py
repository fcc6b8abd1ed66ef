"""`llmparams doctor`: it tells, whatever is broken, and every trouble has its cure."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys

import pytest
from models import write_llama
from rendering import Pipe, Terminal

from llmparams_cli import __version__
from llmparams_cli.backends.llama.machine import hardware, library
from llmparams_cli.errors import ExitCode
from llmparams_cli.jobs import gpu_checks
from llmparams_cli.models import builtin
from llmparams_cli.protocol import Check, Health
from llmparams_cli.render.doctor import show, show_json, without_home

PRESET = "parameters:\n  temperature: 0.5\n"
MEND = library.install_command(again=True)


def values(report, section, name):
    return [check["value"] for check in report[section] if check["name"] == name]


def troubles(report):
    """(section, name, value, cure) of what is not well."""
    return [
        (section, check["name"], check["value"], check["cure"])
        for section, checks in report.items()
        if section != "health"
        for check in checks
        if check["health"] != "ok"
    ]


def test_a_sound_installation_is_well(program):
    done = program.call("doctor", "--json")
    assert (done.code, done.stderr) == (0, "")
    report = done.json
    assert values(report, "program", "llmparams") == [__version__]
    assert values(report, "library", "llama-cpp-python") == [library.VERSION]
    assert values(report, "machine", "CPUs")[0].startswith(f"{hardware.usable_cpus()} usable")
    assert values(report, "model", "built-in")[0].startswith("checksum right, decodes")
    assert "CPU" in values(report, "gpu", "backends")[0]
    assert [t for t in troubles(report) if t[0] not in ("gpu", "library")] == []


def test_the_report_for_people_says_the_same(program):
    done = program.call("doctor")
    assert done.code == 0
    for section, checks in program.call("doctor", "--json").json.items():
        if section != "health":
            assert f"\n{section}\n" in f"\n{done.text}"
            assert all(check["name"] in done.text for check in checks)
    assert "cure" not in done.text or "warning" in done.text.splitlines()[-1]


def test_the_home_directory_is_not_in_the_report(program):
    done = program.pipe("doctor", "--json", HOME=str(program.place))
    assert done.code == 0
    assert "~/config/config.yaml (none)" in values(done.json, "files", "config")
    assert str(program.place) not in done.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann", "~"),
        ("in /home/ann/x, /home/ann/y", "in ~/x, ~/y"),
        ("'/home/ann/x'", "'~/x'"),
        ("/home/anna /home/ann-b /home/ann.c", "/home/anna /home/ann-b /home/ann.c"),
        ("/mnt/home/ann/x", "/mnt/home/ann/x"),
    ],
)
def test_only_the_home_directory_becomes_a_tilde(text, shown, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert without_home(text) == shown
    monkeypatch.setenv("HOME", "/")
    assert without_home(text) == text


# What is not well


def test_broken_fast_paths_are_reported_with_the_line_that_mends_them(program, faulty_library):
    variables = {"LD_PRELOAD": str(faulty_library), "LLMPARAMS_CACHE_DIR": str(program.place)}
    done = program.pipe("doctor", "--json", **variables)
    assert done.code == 0  # slower, but it generates
    assert done.json["health"] == "warn"
    ((_, _, value, cure),) = (t for t in troubles(done.json) if t[0] == "weights")
    assert value.startswith("Q4_0 ") and "crashes (SIGSEGV)" in value and "(AMX)" in value
    assert cure == without_home(MEND)
    text = program.pipe("doctor", **variables).text
    assert MEND in text
    assert "crashes" in text


def test_refresh_tries_again_what_is_remembered(program, faulty_library):
    variables = {"LLMPARAMS_CACHE_DIR": str(program.place)}
    assert program.pipe("doctor", **variables).code == 0
    variables["LD_PRELOAD"] = str(faulty_library)
    assert "crashes" not in program.pipe("doctor", **variables).text
    assert "crashes" in program.pipe("doctor", "--refresh", **variables).text
    assert "crashes" in program.pipe("doctor", **variables).text


def test_without_llama_cpp_python_it_tells_and_goes_on(program):
    packages = program.place / "packages"
    packages.mkdir()
    for entry in library.package_dir().parent.iterdir():
        if not entry.name.startswith("llama_cpp"):
            (packages / entry.name).symlink_to(entry)
    # -S: without the directory in which llama-cpp-python is installed.
    path = f"{packages}:{program.variables['PYTHONPATH']}"
    python = f"PYTHONPATH={shlex.quote(path)} {shlex.quote(sys.executable)} -S"
    done = program.shell(f"{python} -m llmparams_cli doctor --json")
    assert done.code == ExitCode.BACKEND
    ((section, name, value, cure),) = troubles(done.json)
    assert (section, name) == ("library", "llama-cpp-python")
    assert "not installed" in value
    assert f"pip install --no-cache-dir llama-cpp-python=={library.VERSION}" in cure
    assert values(done.json, "model", "built-in")[0].startswith("checksum right")
    assert "weights" not in done.json


def test_a_library_that_does_not_load_is_told(program, tmp_path):
    (tmp_path / "libllama.so").write_text("no library")
    done = program.pipe("doctor", "--json", LLAMA_CPP_LIB_PATH=str(tmp_path))
    assert done.code == ExitCode.BACKEND
    assert done.json["health"] == "fail"
    ((_, _, value, cure),) = troubles(done.json)
    assert "does not load" in value and cure == without_home(MEND)


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_a_library_for_another_processor_does_not_take_the_doctor_along(program, tmp_path):
    source = tmp_path / "illegal.c"
    source.write_text(
        "#include <signal.h>\n"
        "__attribute__((constructor)) static void start(void) { raise(SIGILL); }\n"
    )
    target = str(tmp_path / "libllama.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", target, str(source)], check=True)
    done = program.pipe("doctor", "--json", LLAMA_CPP_LIB_PATH=str(tmp_path))
    assert done.code == ExitCode.BACKEND
    ((_, _, value, _),) = troubles(done.json)
    assert value == "llama.cpp crashes (SIGILL)"


def test_a_damaged_built_in_model_is_a_failure(program, tmp_path, monkeypatch):
    damaged = tmp_path / "model.gguf"
    damaged.write_bytes(builtin.PATH.read_bytes()[:-1] + b"!")
    monkeypatch.setattr(builtin, "PATH", damaged)
    done = program.call("doctor", "--json")
    assert done.code == ExitCode.MODEL
    ((_, _, value, cure),) = (t for t in troubles(done.json) if t[0] == "model")
    assert "checksum" in value and cure


def test_files_and_their_faults_are_found(program):
    config = program.place / "config" / "config.yaml"
    (config.parent / "presets").mkdir(parents=True)
    (config.parent / "presets" / "mine.yaml").write_text(PRESET)
    config.write_text(PRESET)
    report = program.call("doctor", "--json").json
    assert values(report, "files", "config") == [str(config)]
    assert f"1 in {config.parent / 'presets'}" in values(report, "files", "presets")
    assert values(report, "settings", "values") == ["2 set, all valid"]  # and LLMPARAMS_THREADS
    config.write_text(PRESET.replace("temperature", "temprature"))
    done = program.call("doctor", "--json")
    assert done.code == ExitCode.PRESET
    assert any("temprature" in value for _, _, value, _ in troubles(done.json))


def test_variables_are_listed_without_private_words(program):
    done = program.call(
        "doctor",
        "--json",
        LLMPARAMS_TEMPERATURE="0.5",
        LLMPARAMS_SYSTEM="my secret",
        LLMPARAMS_STOP="my other secret",
        LLMPARAMS_TEMPRATURE="1",
    )
    variables = values(done.json, "settings", "variable")
    assert "LLMPARAMS_TEMPERATURE=0.5" in variables
    assert "LLMPARAMS_SYSTEM (9 characters)" in variables
    assert "secret" not in done.text
    assert any("LLMPARAMS_TEMPRATURE" in t[2] for t in troubles(done.json))


def test_a_wrong_variable_is_a_failure(program):
    done = program.call("doctor", "--json", LLMPARAMS_TEMPERATURE="hot")
    assert done.code == ExitCode.USAGE
    assert any("'hot'" in value and cure for _, _, value, cure in troubles(done.json))


def test_the_configured_model_is_looked_at(program, tmp_path):
    path = write_llama(tmp_path / "mine.gguf")
    report = program.call("doctor", "--json", LLMPARAMS_MODEL=str(path)).json
    assert values(report, "settings", "model") == [f"{path} (environment LLMPARAMS_MODEL)"]
    path.write_bytes(b"")
    done = program.call("doctor", "--json", LLMPARAMS_MODEL=str(path))
    assert done.code == ExitCode.MODEL


def test_a_cache_that_cannot_be_written_is_a_warning(program, tmp_path):
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "cache"
    done = program.call("doctor", "--json", LLMPARAMS_CACHE_DIR=str(cache))
    assert done.code == 0
    ((_, _, value, cure),) = (t for t in troubles(done.json) if t[0] == "files")
    assert str(cache) in value and "LLMPARAMS_CACHE_DIR" in cure


# How it looks

CHECKS = (
    Check("library", "llama.cpp", "0.5.0"),
    Check("weights", "fast path", "crashes " * 20, Health.WARN, "a command " * 20),
    Check("model", "built-in", "is missing", Health.FAIL, "a cure", ExitCode.MODEL),
)


def test_on_a_terminal_every_line_but_a_cure_fits_the_width():
    terminal = Terminal(80)
    show(terminal.env, CHECKS)
    received = terminal.bytes().decode()
    lines = [line for line in received.splitlines() if "cure:" not in line]
    plain = [line.replace("\x1b[0m", "").split("m", 1)[-1] for line in lines]
    assert max(map(len, plain)) <= 80
    assert "a command " * 19 in received  # in one piece, to be copied
    assert "\x1b[32m✓" in received and "\x1b[33m!" in received and "\x1b[31m✗" in received
    assert plain[-1] == "1 failure, 1 warning"


def test_marks_are_ascii_where_the_encoding_has_no_others():
    run = Pipe("ascii")
    show(run.env, CHECKS)
    run.env.stdout.flush()
    text = run.stdout.decode("ascii")
    assert "  ok llama.cpp        0.5.0\n" in text
    assert "  !! fast path" in text and "  XX built-in         is missing\n" in text
    assert "?" not in text


def test_what_a_file_is_called_cannot_move_the_cursor():
    run = Pipe()
    show(run.env, [Check("files", "config", "/tmp/\x1b[2J", Health.WARN, "rm \x1b]0;x\x07")])
    run.env.stdout.flush()
    assert b"\x1b" not in run.stdout


def test_the_json_has_the_worst_health_and_all_sections():
    run = Pipe()
    show_json(run.env, CHECKS)
    run.env.stdout.flush()
    report = json.loads(run.stdout)
    assert [*report] == ["health", "library", "weights", "model"]
    assert report["health"] == "fail"
    assert report["model"] == [
        {"name": "built-in", "health": "fail", "value": "is missing", "cure": "a cure"}
    ]


def test_a_library_that_finds_no_gpu_is_told_why(monkeypatch):
    for backend in gpu_checks.BACKENDS.values():
        monkeypatch.delenv(backend.variable, raising=False)
    assert gpu_checks._missing_gpu(["BLAS", "CPU"]) is None
    vulkan = gpu_checks._missing_gpu(["Vulkan", "CPU"])
    assert (vulkan.health, vulkan.value) == (Health.WARN, "none: Vulkan finds no GPU")
    assert "GGML_VK_VISIBLE_DEVICES=0" in vulkan.cure
    assert gpu_checks._missing_gpu(["CUDA", "CPU"]).cure == "`nvidia-smi` shows what the system has"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    hidden = gpu_checks._missing_gpu(["CUDA", "CPU"])
    assert hidden.value.endswith("with CUDA_VISIBLE_DEVICES=-1")
    assert hidden.cure == "unset CUDA_VISIBLE_DEVICES"
