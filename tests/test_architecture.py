"""The rooms of the program: imports point one way, and starting up stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import llmparams_cli
from llmparams_cli.backends.llama.native import library

ROOT = Path(llmparams_cli.__file__).parent
FLOORS = {  # a room may import from itself and from lower floors; the longest name counts
    "__init__": 0,
    "errors": 0,
    "files": 0,
    "text": 0,
    "constraints": 0,
    "env": 1,
    "params": 2,
    "protocol": 3,
    "interrupt": 4,
    "models": 4,
    "presets": 4,
    "analysis": 5,
    "templates": 4,
    "formats": 6,
    "records": 6,
    "options": 6,
    "render": 7,
    "backends.llama.native": 7,
    "backends.llama.host": 8,
    "backends.llama.sampling": 9,
    "backends.llama.decoding": 10,
    "backends.llama.tracing": 11,
    "jobs": 14,
    "commands": 15,
    "cli": 16,
    "__main__": 17,
}
HEAVY = ("rich", "yaml", "jinja2", "numpy", "llama_cpp", "platformdirs", "matplotlib")


def room(module: str) -> str:
    """The room that a module (its name without the package's) belongs to."""
    parts = module.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((name for name in names if name in FLOORS), "")


def imports(path: Path) -> set[str]:
    """The rooms that a file imports from, however it writes that."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not used here"
            modules |= {f"{node.module}.{name.name}" for name in node.names}
    inside = (m.partition(".")[2] for m in modules if m.startswith("llmparams_cli."))
    return set(map(room, inside)) - {""}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=str)
def test_imports_point_downward(path):
    own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for other in imports(path) - {own}:
        assert FLOORS[other] < FLOORS[own], f"{path.name} ({own}) imports {other}"


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
