"""Fixtures: the program in an empty place, and models that are made once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import faulty
import pytest
import script
from asked import settings
from hub_server import HubServer
from models import write_llama
from program import Done, Program

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import find_model
from llmparams_cli.models.stores import BUILTIN, ollama

# A test run in the background may have been started with Ctrl-C ignored, and what is ignored
# the programs under test inherit; a handler of ours they do not.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No test sends the token of whoever runs it; huggingface_hub reads this when it is imported.
os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"


@pytest.fixture(scope="session", autouse=True)
def nobody(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A user who has nothing: the models on this machine are no business of the tests."""
    # Its cache of fonts may stay: making it takes seconds.
    os.environ.setdefault("MPLCONFIGDIR", os.path.expanduser("~/.cache/matplotlib"))
    for name in [*os.environ]:
        if name.startswith(("XDG_", "HF_", "HUGGINGFACE_", "OLLAMA_", "LLAMA_", "LLM_")):
            del os.environ[name]
    os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))
    ollama.SERVICES = ()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program's cache directory, so that the library is probed once for all tests."""
    return tmp_path_factory.mktemp("cache")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of modules that name BACKENDS run once with each, but for those of a real model."""
    backends = getattr(metafunc.module, "BACKENDS", ())
    real = metafunc.definition.get_closest_marker("real_model")
    if backends and "program" in metafunc.fixturenames and not real:
        metafunc.parametrize("program", backends, indirect=True)


@pytest.fixture
def program(
    request: pytest.FixtureRequest, tmp_path: Path, cache: Path, tmp_path_factory: Any
) -> Program:
    program = Program(tmp_path, cache)
    if getattr(request, "param", "llama") == "scripted":
        marker = request.node.get_closest_marker("script")
        told, how = (marker.args, marker.kwargs) if marker else ((), {})
        path = script.write(tmp_path_factory.mktemp("script"), *told, **how)
        program.variables["LLMPARAMS_MODEL"] = f"scripted:{path}"
        del program.variables["LLMPARAMS_THREADS"]  # it has none
    return program


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small model."""
    return write_llama(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A server that speaks the Hub's protocol."""
    with HubServer() as hub:
        yield hub


@pytest.fixture
def pull(program: Program, hub: HubServer) -> Callable[..., Done]:
    """Runs `models pull` against the server."""
    return lambda *args, **more: program.call("models", "pull", *args, **hub.variables(**more))


@pytest.fixture
def opener(cache: Path) -> Iterator[Callable[..., Any]]:
    """Opens backends of the llama room: for a model (none: the built-in one), with so many slots;
    `test_control` of each ends its work.
    """
    env = Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, quiet=True)
    with ExitStack() as stack:

        def open_one(
            model: str | None = None,
            slots: int = 1,
            progress: Any = lambda *_told: None,
            **values: Any,
        ) -> Any:
            control = stack.enter_context(Control())
            found, given = find_model(model or BUILTIN, env), settings(**values)
            backend: Any = stack.enter_context(
                opened(env, found, given, control, progress, slots=slots)
            )
            backend.test_control = control
            return backend

        yield open_one


@pytest.fixture
def backend(opener: Callable[..., Any]) -> Any:
    """The built-in model by its protocol."""
    return opener()


@pytest.fixture(scope="session")
def faulty_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be preloaded: a llama.cpp whose AMX code is broken."""
    return faulty.build(tmp_path_factory.mktemp("faulty"))
