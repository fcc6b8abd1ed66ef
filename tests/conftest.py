"""Fixtures: the program in an empty place, and models that are made once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import faulty
import pytest
from program import Program

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import find_model
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.protocol import Backend

# A test run in the background may have been started with Ctrl-C ignored, and what is ignored
# the programs under test inherit; a handler of ours they do not.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program's cache directory, so that the library is probed once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def program(tmp_path: Path, cache: Path) -> Program:
    return Program(tmp_path, cache)


@pytest.fixture
def backend(cache: Path) -> Iterator[Backend]:
    """The built-in model by its protocol."""
    env = Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, quiet=True)
    settings = resolve([Assignment("threads", 1, Origin(Source.FLAG, "--threads"))])
    with Control() as control, opened(env, find_model(None, env), settings, control) as found:
        yield found


@pytest.fixture(scope="session")
def faulty_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be preloaded: a llama.cpp whose AMX code is broken."""
    return faulty.build(tmp_path_factory.mktemp("faulty"))
