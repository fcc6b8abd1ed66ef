"""The rooms of the program: imports point one way, and starting up stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import llmparams_cli
from llmparams_cli.engine import library

ROOT = Path(llmparams_cli.__file__).parent
FLOORS = {  # a room may import from its own floor's own room and from lower floors
    "errors": 0,
    "params": 1,
    "safe": 0,
    "spelling": 0,
    "storage": 0,
    "units": 0,
    "env": 2,
    "protocol": 2,
    "explanation": 3,
    "comparison": 4,
    "presets": 3,
    "models": 3,
    "chat": 6,
    "formats": 5,
    "receipts": 5,
    "render": 5,
    "engine": 5,
    "options": 5,
    "jobs": 6,
    "commands": 7,
    "cli": 8,
    "__main__": 9,
    "__init__": 0,
}
HEAVY = ("rich", "yaml", "jinja2", "numpy", "llama_cpp", "platformdirs", "matplotlib")


def imports(path: Path) -> set[str]:
    """The rooms that a file imports from, however it writes that."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not used here"
            modules |= {f"{node.module}.{name.name}" for name in node.names}
    rooms = {module.split(".")[1] for module in modules if module.startswith("llmparams_cli.")}
    return rooms & FLOORS.keys()


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=str)
def test_imports_point_downward(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for other in imports(path) - {room}:
        assert FLOORS[other] < FLOORS[room], f"{path.name} imports {other}"


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from llmparams_cli.cli import run; from llmparams_cli.env import Environment;"
        "run(['--help'], Environment()); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_flags_that_build_the_library_right_are_the_same_everywhere():
    for file in ("README.md", ".ci/run"):
        assert f'CXXFLAGS="{library.BUILD_FLAGS}"' in (ROOT.parent / file).read_text()
