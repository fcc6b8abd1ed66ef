"""Quantise in a process of its own, because the library's call cannot be broken off.

`quantised` runs this file as a child. It reads one line, a JSON object of paths and a recipe, and
writes the library's log, from which the progress is read.
"""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from llmparams_cli.backends.llama.host import child
from llmparams_cli.backends.llama.native import crash
from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.backends.llama.native.quantise import Recipe, quantise
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError

BEGUN = re.compile(r"\[ *(\d+)/ *\d+\]")
NOT_WRITTEN = "iostream error"  # what C++ says of a full disk


def quantised(
    env: Environment, source: Path, target: Path, recipe: Recipe, report: Callable[[int], None]
) -> None:
    """Write `source` to `target` as the recipe says; `report` is told how many tensors are done.

    Whatever ends it, this process included, the child ends too.
    """
    order = json.dumps([str(source), str(target), asdict(recipe)])
    how = {"stdin": subprocess.PIPE, "encoding": "utf-8", "errors": "replace"}
    with child.started(env, __name__, **how) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(f"{order}\n")
        process.stdin.flush()
        for line in process.stdout:
            if done := BEGUN.match(line):  # a line is complete when its tensor is
                report(int(done[1]))
            if env.verbose:
                env.aside(line)
        complaint = process.stderr.read()
        code = process.wait()
    if code != 0:
        raise _error(target, complaint.strip().splitlines()[-1:], code)


def _error(target: Path, last: list[str], code: int) -> Exception:
    complaint = "".join(last).removeprefix("llmparams: error: ")
    if NOT_WRITTEN in complaint:
        text = "the disk is full, or its limit is reached"
        return OSError(errno.ENOSPC, text, str(target.parent))
    return BackendError(complaint or f"llama.cpp's quantiser ended with exit code {code}")


def main(_arguments: Sequence[str]) -> int:
    """The child's work."""
    source, target, recipe = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, args=[Path(target)], daemon=True).start()
    llama()
    crash.guard()
    log.sink = _tell
    with crash.during(f"quantising {source}"):
        quantise(Path(source), Path(target), Recipe(**recipe))
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _end_with_parent(target: Path) -> None:
    """Wait until nobody waits for this process any more: the other end of its stdin is closed."""
    os.read(0, 1)
    target.unlink(missing_ok=True)
    os._exit(1)


if __name__ == "__main__":
    child.ending(main)
