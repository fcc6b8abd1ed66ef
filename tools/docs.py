"""Check README.md and the pages in docs/: every example runs, every link leads somewhere.

    python tools/docs.py                  write the real output under every `$ command`
    python tools/docs.py --check          change nothing; say what is stale, with exit code 1
    python tools/docs.py docs/chat.md     these pages only, with or without --check

Blocks marked ```console are compared to the letter. In blocks marked ```console sample
a model wrote: its words may depend on the processor's rounding, so there the check is that
every command succeeds and that half as much text comes out at least. A command that fails
is an error in every block.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
INDEX = ROOT / "docs" / "README.md"
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("tools/*/*.md")))
BLOCK = re.compile(r"^```console( sample)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PROMPT = "$ "
# What is said of the machine of that moment.
BUSY = re.compile(r"^llmparams: other processes want .*\n?", re.MULTILINE)
COLUMNS = "88"
FRONT_PAGE_LINES = 250  # what a new command has to say goes to a page of its own


class Stale(Exception):
    """A page that is no longer true, and where."""


def name(page: Path) -> str:
    """The page's path as people write it."""
    return page.relative_to(ROOT).as_posix()


def run(command: str, directory: str) -> str:
    """The command's stdout and stderr together, as a terminal would show them."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=ROOT,
        env=environment(directory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Stale(f"exit code {done.returncode} from: {command}\n{done.stdout}")
    text = BUSY.sub("", done.stdout).rstrip("\n")
    return "\n".join(line.rstrip() for line in text.splitlines())


def environment(directory: str) -> dict[str, str]:
    """A new user's: nothing configured, and `llmparams` is the program of this checkout."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LLMPARAMS_")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LLMPARAMS_CONFIG_DIR": f"{directory}/config",
        "LLMPARAMS_STATE_DIR": f"{directory}/state",
        "LLMPARAMS_MODELS_DIR": f"{directory}/models",
        # What other programs keep on this machine is no business of the pages.
        "HF_HUB_CACHE": f"{directory}/hub",
        "OLLAMA_MODELS": f"{directory}/ollama",
        "LLAMA_CACHE": f"{directory}/llama.cpp",
        # Two threads wait for each other whenever another process takes a CPU.
        "LLMPARAMS_THREADS": "1",
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


def renewed(text: str, *, keep_samples: bool) -> str:
    """A page with current output; with `keep_samples`, what models write is only run."""

    def replace(match: re.Match[str]) -> str:
        mark, block = match[1] or "", match[2]
        try:
            output = fresh(block, directory)
        except Stale as error:
            raise Stale(f"the example in line {line_of(text, match)}: {error}") from None
        if mark and keep_samples:
            output = output if len(output) < len(block) / 2 else block
        return f"```console{mark}\n{output}```"

    with tempfile.TemporaryDirectory() as directory:
        return BLOCK.sub(replace, text)


def line_of(text: str, match: re.Match[str]) -> int:
    """The line in which a match begins."""
    return text.count("\n", 0, match.start()) + 1


def anchors(text: str) -> set[str]:
    """The names by which GitHub lets a link lead to the headings of a page."""
    headings = HEADING.findall(CODE.sub(lambda code: code[0].strip("`\n"), text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    """The places in this repository that a page leads to."""
    return [link for link in LINK.findall(CODE.sub("", text)) if "://" not in link]


def broken(page: Path, text: str) -> Iterator[str]:
    """Links that lead nowhere, and pages that nobody could find."""
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"the link {link} leads to no file"
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"the link {link} leads to no heading"
    if page == INDEX:
        missing = {other.name for other in INDEX.parent.glob("*.md")} - {*links(text), INDEX.name}
        yield from (f"{other} is not listed" for other in sorted(missing))
    if page.parent == ROOT and (count := len(text.splitlines())) > FRONT_PAGE_LINES:
        yield f"{count} lines, more than {FRONT_PAGE_LINES}"


def work_on(page: Path, *, checking: bool) -> list[str]:
    """Check one page, or bring its output up to date; returns what is wrong with it."""
    old = page.read_text(encoding="utf-8")
    problems = list(broken(page, old))
    try:
        new = renewed(old, keep_samples=checking)
    except Stale as error:
        return [*problems, str(error)]
    if new != old and not checking:
        page.write_text(new, encoding="utf-8")
    elif new != old:
        sides = (text.splitlines() for text in (old, new))
        difference = difflib.unified_diff(*sides, name(page), "real output", lineterm="")
        cure = f"python tools/docs.py {name(page)}"
        problems.append("\n".join([f"its output is stale; renew it by: {cure}", *difference]))
    return problems


def main() -> int:
    """Update or check; the exit code is 1 when something is stale."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("pages", nargs="*", type=Path, default=PAGES, help="[all]")
    arguments = parser.parse_args()
    began, total = time.monotonic(), 0
    for page in map(Path.resolve, arguments.pages):
        start = time.monotonic()
        problems = work_on(page, checking=arguments.check)
        print(f"{name(page)}: {time.monotonic() - start:.1f} s", file=sys.stderr)
        for problem in problems:
            print(f"{name(page)}: {problem}")
        total += len(problems)
    print(f"{total or 'no'} problems, {time.monotonic() - began:.1f} s", file=sys.stderr)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
