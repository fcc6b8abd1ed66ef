"""A fault inside the library ends in one line and a documented exit code."""

import os
import shutil
import subprocess
import sys

import pytest
from models import write_llama

from llmparams_cli.errors import ExitCode


def crash(code: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import ctypes, os, signal\n"
        "from llmparams_cli.backends.llama.native import crash, library\n"
        "from llmparams_cli.errors import ExitCode\n"
        "crash.guard()\n"
        f"{code}"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


@pytest.mark.parametrize("name", ["SIGABRT", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL"])
def test_a_signal_from_c_becomes_one_line(name):
    done = crash(
        "with crash.during('loading x.gguf', ExitCode.MODEL):\n"
        f"    ctypes.CDLL(None)['raise'](int(signal.{name}))"
    )
    assert done.returncode == ExitCode.MODEL
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"llmparams: error: llama.cpp crashed ({name}) while loading x")


def test_a_real_null_pointer_in_the_library():
    done = crash("library.llama().llama_model_n_params(None)")
    assert done.returncode == ExitCode.BACKEND
    assert "SIGSEGV" in done.stderr and done.stderr.count("\n") == 1


def test_a_failed_assertion_tells_its_reason():
    # ggml_abort prints its message before it aborts the process.
    done = crash(
        "lib = library.ggml()\nlib.ggml_abort(b'ggml.c', 7, b'GGML_ASSERT(%s) failed', b'rows > 0')"
    )
    assert done.returncode == ExitCode.BACKEND
    assert done.stderr.count("\n") == 1
    assert "GGML_ASSERT(rows > 0) failed" in done.stderr


def test_so_does_an_abort_whose_text_names_no_failure():
    done = crash("library.ggml().ggml_abort(b'/src/ggml.c', 7, b'a tensor in the wrong place')")
    assert done.stderr.endswith("while running the model: a tensor in the wrong place\n")


def test_an_uncaught_exception_of_cpp_prints_nothing_of_its_own(tmp_path):
    words = [f"t{number}" for number in range(297)]
    path = write_llama(  # without byte tokens: tokenising throws
        tmp_path / "spm.gguf",
        metadata={
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.pre": "default",
            "tokenizer.ggml.merges": None,
            "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", *words],
            "tokenizer.ggml.token_type": [2, 3, 3, *[1] * 297],
            "tokenizer.ggml.scores": [0.0] * 300,
        },
    )
    program = ("-m", "llmparams_cli", "generate", "hi", "-m", str(path))
    own = {
        **os.environ,
        "LLMPARAMS_THREADS": "1",
    }  # on a busy machine, a note says how many are used
    done = subprocess.run([sys.executable, *program], capture_output=True, text=True, env=own)
    assert done.returncode == ExitCode.BACKEND
    assert done.stderr.count("\n") == 1 and "C++" in done.stderr


def test_a_crash_is_told_while_file_descriptor_2_is_elsewhere():
    done = crash(
        "os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\nlibrary.llama().llama_model_n_params(None)"
    )
    assert done.returncode == ExitCode.BACKEND
    assert done.stderr.count("\n") == 1


def test_a_fault_in_a_thread_of_the_library_is_caught_too():
    done = crash(
        "import threading\n"
        "libc = ctypes.CDLL(None)\n"
        "thread = threading.Thread(target=lambda: libc.strlen(ctypes.c_void_p(8)))\n"
        "thread.start(); thread.join()"
    )
    assert done.returncode == ExitCode.BACKEND
    assert "SIGSEGV" in done.stderr


@pytest.mark.parametrize("vocabulary", ["tekken", "gpt-4o", "deepseek-llm", "llama4", "gpt-2"])
def test_a_long_run_of_one_character_is_a_prompt_like_any_other(tmp_path, program, vocabulary):
    path = write_llama(tmp_path / "m.gguf", metadata={"tokenizer.ggml.pre": vocabulary})
    for size in (40_000, 200_000):
        done = program.pipe("generate", "--raw", "-c", "64", "-m", str(path), stdin=b"a" * size)
        assert f"prompt has {size} tokens" in done.complaint(ExitCode.CONTEXT)


def test_a_text_that_no_stack_is_deep_enough_for_is_refused(program):
    for text in (b"a" * 9_000_000, b" " * 9_000_000):
        line = program.pipe("generate", stdin=text).complaint(ExitCode.USAGE)
        assert "9,000,000 bytes in a row" in line


def test_a_full_stack_is_told_too(tmp_path):
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("a library that fills the stack takes Linux and a C compiler")
    source, target = tmp_path / "deep.c", tmp_path / "deep.so"
    source.write_text("int deep(volatile int *p) { volatile int x = 0; return deep(&x) + *p; }")
    subprocess.run([compiler, "-O0", "-shared", "-fPIC", "-o", target, source], check=True)
    done = crash(f"ctypes.CDLL({str(target)!r}).deep(None)")
    assert done.returncode == ExitCode.BACKEND
    assert "SIGSEGV" in done.stderr and done.stderr.count("\n") == 1
