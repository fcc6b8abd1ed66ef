"""Run the README's examples: fill in their output, or check that it is current.

    python tools/readme.py            write the real output under every `$ command`
    python tools/readme.py --check    fail where the output is no longer what stands there

Blocks marked ```console are compared to the letter. In blocks marked ```console sample
a model wrote: its words may depend on the processor's rounding, so there the check is that
every command succeeds and that half as much text comes out at least. A command that fails
is an error in every block.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```console( sample)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROMPT = "$ "
COLUMNS = "88"


def run(command: str, directory: str) -> str:
    """The command's stdout and stderr together, as a terminal would show them."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=README.parent,
        env=environment(directory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"README: exit code {done.returncode} from: {command}\n{done.stdout}")
    text = done.stdout.rstrip("\n")
    return "\n".join(line.rstrip() for line in text.splitlines())


def environment(directory: str) -> dict[str, str]:
    """A fresh user's: nothing configured, the program first on the path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LLMPARAMS_")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "LLMPARAMS_CONFIG_DIR": f"{directory}/config",
        "LLMPARAMS_STATE_DIR": f"{directory}/state",
        "COLUMNS": COLUMNS,
        "NO_COLOR": "1",
    }


def fresh(block: str, directory: str) -> str:
    """The block with the real output under each of its commands."""
    parts = []
    for line in block.splitlines():
        if line.startswith(PROMPT):
            output = run(line.removeprefix(PROMPT), directory)
            parts.append(f"{line}\n{output}\n" if output else f"{line}\n")
    return "".join(parts)


def renew(text: str, *, keep_samples: bool) -> str:
    """The README with current output; with `keep_samples`, only run what models write."""

    def replace(match: re.Match[str]) -> str:
        mark, block = match[1] or "", match[2]
        output = fresh(block, directory)
        if mark and keep_samples:
            output = output if len(output) < len(block) / 2 else block
        return f"```console{mark}\n{output}```"

    with tempfile.TemporaryDirectory() as directory:
        return BLOCK.sub(replace, text)


def main() -> int:
    """Update or check; the exit code is 1 when something is stale."""
    checking = "--check" in sys.argv
    old = README.read_text(encoding="utf-8")
    new = renew(old, keep_samples=checking)
    if not checking:
        README.write_text(new, encoding="utf-8")
        return 0
    difference = difflib.unified_diff(
        old.splitlines(), new.splitlines(), "README.md", "real output", lineterm=""
    )
    lines = list(difference)
    print("\n".join(lines))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
