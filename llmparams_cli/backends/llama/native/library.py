"""llama.cpp's shared library, without the weight of its Python package.

`import llama_cpp` takes seven times as long as the low-level module in it, which is all that this
program uses.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llmparams_cli
from llmparams_cli.errors import BackendError
from llmparams_cli.interrupt import called_from_c
from llmparams_cli.text.safe import printable

PACKAGE = "llama_cpp"
VERSION = "0.3.36"  # as pyproject.toml requires
# How it is compiled; in the package, so that every installation can name it.
BUILD = Path(llmparams_cli.__file__).with_name("llama.cmake")
LEVEL_DEBUG, LEVEL_ERROR, LEVEL_CONTINUED = 1, 4, 5  # enum ggml_log_level


class Log:
    """The last lines that the library logged. They quote texts from model files: untrusted."""

    def __init__(self) -> None:
        self._lines: deque[tuple[int, str]] = deque(maxlen=200)  # each with its level
        self.sink: Callable[[str], None] | None = None  # takes every line as it comes
        self.callback: Any = None  # the C side of `add`, which must stay alive
        self._partial = ""
        self._level = 0

    @called_from_c
    def add(self, level: int, text: bytes, _user_data: object) -> None:
        """Receive a fragment; a newline ends the line."""
        self._level = self._level if level == LEVEL_CONTINUED else level
        if self._level == LEVEL_DEBUG:
            return
        self._partial += text.decode("utf-8", "replace")
        *lines, self._partial = self._partial.split("\n")
        # Rows of dots show progress and say nothing.
        self._lines.extend((self._level, line) for line in lines if line.strip(". "))
        if self.sink:
            for line in lines:
                self.sink(printable(line) + "\n")

    def hidden(self) -> AbstractContextManager[None]:
        """Keep lines for complaints, but pass none on."""
        return self.told_to(None)

    @contextmanager
    def told_to(self, sink: Callable[[str], None] | None) -> Iterator[None]:
        """Pass lines on to another sink for a while."""
        sink, self.sink = self.sink, sink
        try:
            yield
        finally:
            self.sink = sink

    def complaint(self) -> str:
        """The most telling of the last lines: what went wrong, without function names."""
        # The first complaint names the cause, later ones its consequences.
        telling = (
            line
            for level, line in self._lines
            if level == LEVEL_ERROR or "error" in line or "fail" in line
        )
        return next(telling, "").split(": ", 1)[-1].strip()

    def find(self, part: str) -> str:
        """The first of the last lines with this in it, without the function's name; or ""."""
        found = (line for _, line in self._lines if part in line)
        return next(found, "").split(": ", 1)[-1].strip()

    def clear(self) -> None:
        """Forget all lines, so that a complaint is about what is called next."""
        self._lines.clear()


log = Log()


def package_dir() -> Path:
    """Where llama-cpp-python is installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BackendError(
            "llama-cpp-python is not installed in this environment",
            install_command(),
        )
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def llama() -> Any:
    """The binding's low-level module, its log already redirected to `log`."""
    # ggml starts a debugger on a failed assertion unless told otherwise before loading.
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    module = _import_low_level()
    log.callback = module.llama_log_callback(log.add)
    module.llama_log_set(log.callback, None)
    module.llama_backend_init()
    return module


def _import_low_level() -> Any:
    """Import `llama_cpp.llama_cpp` without running the package's own `__init__`, which takes
    long and takes over the log.
    """
    name = f"{PACKAGE}.{PACKAGE}"
    if PACKAGE in sys.modules:
        return importlib.import_module(name)
    # A stand-in for the package, so that the import finds the module in it.
    bare = ModuleType(PACKAGE)
    bare.__path__ = [str(package_dir())]
    sys.modules[PACKAGE] = bare
    try:
        return importlib.import_module(name)
    except (OSError, RuntimeError, ImportError, AttributeError) as error:
        raise BackendError(
            f"llama.cpp's library does not load: {error}", install_command(again=True)
        ) from error
    finally:
        # Whoever needs the whole package later gets it.
        del sys.modules[PACKAGE]


@cache
def ggml() -> ctypes.CDLL:
    """libggml-base, the very copy that libllama is linked to (see `path_of`)."""
    llama()
    return ctypes.CDLL(path_of("ggml-base"))


@cache
def ggml_registry() -> ctypes.CDLL:
    """libggml: the list of backends and devices."""
    llama()
    return ctypes.CDLL(path_of("ggml"))


def function(address: Any, result: Any, *arguments: Any) -> Any:
    """A function of one of these libraries, with its ctypes signature declared."""
    address.restype, address.argtypes = result, arguments
    return address


def path_of(stem: str) -> str:
    """The file of the very library that libllama itself depends on.

    Wheels carry libX.so, libX.so.0 and libX.so.0.N as separate copies. Opening another copy than
    libllama did would give a second library with registries of its own.
    """
    # Where the binding looks, too.
    folder = Path(os.environ.get("LLAMA_CPP_LIB_PATH") or package_dir() / "lib")
    for name in (f"lib{stem}.so.0", f"lib{stem}.0.dylib", f"lib{stem}.dylib", f"{stem}.dll"):
        if (folder / name).exists():
            return str(folder / name)
    return str(folder / f"lib{stem}.so")


def install_command(*options: str, again: bool = False) -> str:
    """The shell command that builds llama-cpp-python right, for this very interpreter.

    `options` are more settings for CMake, such as -DGGML_CUDA=ON.
    """
    import shlex

    cmake = " ".join([shlex.quote(f"-DCMAKE_PROJECT_INCLUDE={BUILD}"), *options])
    return (
        f"CMAKE_ARGS={shlex.quote(cmake)} {shlex.quote(sys.executable)} -m pip install "
        "--no-cache-dir "
        f"{'--force-reinstall --no-deps ' if again else ''}llama-cpp-python=={VERSION}"
    )


def version() -> str:
    """The version of llama-cpp-python; 'unknown' where its source does not say.

    Read from the source text: importing the package, or importlib.metadata, takes 16 ms and more.
    """
    try:
        text = (package_dir() / "__init__.py").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return found[1] if found else "unknown"
