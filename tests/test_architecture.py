"""The rooms of the program: imports point one way, and starting up stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import llmparams_cli
from llmparams_cli.backends.llama.machine import library

ROOT = Path(llmparams_cli.__file__).parent
FLOORS = {  # a room may import from itself and from lower floors; the longest name counts
    "__init__": -1,
    "errors": -1,
    "files": 0,
    "streams": 0,
    "text": 0,
    "env": 1,
    "ending": 1,
    "completion": 1,
    "interrupt": 2,
    "params": 2,
    "constraints": 3,
    "trace": 3,
    "protocol": 4,
    "presets": 5,
    "models": 6,
    "templates": 5,
    "analysis": 6,
    "rows": 6,
    "tasks": 7,
    "download": 7,
    "formats": 7,
    "records": 7,
    "openai": 8,
    "options": 8,
    "training": 8,
    "render": 8,
    "backends.reply": 8,
    "backends.llama.native": 8,
    "backends.llama.host": 9,
    "backends.llama.sampling": 10,
    "backends.llama.decoding": 11,
    "backends.llama.tracing": 12,
    "backends.llama": 13,
    "backends": 14,
    "jobs": 15,
    "commands": 16,
    "cli": 17,
    "__main__": 18,
}
HEAVY = (
    *("rich", "yaml", "jinja2", "numpy", "llama_cpp", "platformdirs", "matplotlib", "jsonschema"),
    *("llguidance", "huggingface_hub", "httpx2", "optuna", "torch", "transformers", "peft", "gguf"),
)


def room(module: str) -> str:
    """The room that a module (its name without the package's) belongs to."""
    parts = module.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((name for name in names if name in FLOORS), "")


def modules(path: Path) -> set[str]:
    """What a file imports of this program, however it writes that."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not used here"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return {module for module in found if module.startswith("llmparams_cli.")}


def imports(path: Path) -> set[str]:
    """The rooms that a file imports from."""
    return {room(module.partition(".")[2]) for module in modules(path)} - {""}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=str)
def test_imports_point_downward(path):
    own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for other in imports(path) - {own}:
        assert FLOORS[other] < FLOORS[own], f"{path.name} ({own}) imports {other}"


APART = {  # rooms that never meet, though one is below the other
    "jobs": ("render",),
    "backends": ("render", "options"),
}
DOORS = {"backends.llama.backend", "backends.llama.machine", "backends.llama.weights"}


def test_renderers_and_the_work_do_not_know_each_other():
    for path in ROOT.rglob("*.py"):
        top = path.relative_to(ROOT).parts[0]
        assert not imports(path) & set(APART.get(top, ())), path


def test_the_llama_room_has_three_doors():
    for path in ROOT.rglob("*.py"):
        inside = path.relative_to(ROOT).parts[:2] == ("backends", "llama")
        for module in () if inside else modules(path):
            name = module.partition(".")[2]
            assert not name.startswith("backends.llama.") or any(
                name == door or name.startswith(f"{door}.") for door in DOORS
            ), f"{path} imports {module}"


def test_one_file_makes_contexts_for_answers():
    """Beside it, only what drafts, trains or tries the library out, and the estimate of memory."""
    makers = {
        path.relative_to(ROOT / "backends" / "llama").as_posix()
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Context"
    }
    assert makers == {
        "backend.py",
        "drafts.py",
        "host/estimate.py",
        "host/sequence_trial.py",
        "host/trial.py",
        "native/training.py",
    }


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from llmparams_cli.cli import run; from llmparams_cli.env import Environment;"
        "run(['--help'], Environment()); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_file_that_builds_the_library_right_is_named_everywhere():
    assert library.BUILD.is_file()
    named = f"CMAKE_PROJECT_INCLUDE='$PWD/{library.BUILD.relative_to(ROOT.parent).as_posix()}'"
    for file in ("README.md", ".ci/run", "docs/installation.md", "docs/development.md"):
        assert named in (ROOT.parent / file).read_text()
