"""Fixtures: the program in an empty place, and models that are made once."""

from __future__ import annotations

from pathlib import Path

import faulty
import pytest
from program import Program


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program's cache directory, so that the library is probed once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def program(tmp_path: Path, cache: Path) -> Program:
    return Program(tmp_path, cache)


@pytest.fixture(scope="session")
def faulty_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be preloaded: a llama.cpp whose AMX code is broken."""
    return faulty.build(tmp_path_factory.mktemp("faulty"))
