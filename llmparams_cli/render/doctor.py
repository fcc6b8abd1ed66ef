"""`llmparams doctor`: checks as lines, printed as they are made, or as JSON for bug reports."""

from __future__ import annotations

import os
import re
import textwrap
from collections import Counter
from collections.abc import Iterable
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.protocol import Check, Health
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.styles import BOLD, GREEN, RED, YELLOW, styled
from llmparams_cli.render.terminal import columns
from llmparams_cli.text.safe import encodable, encodes, one_line

NAME = 16  # columns: the longest name is llama-cpp-python
WIDEST = 100
MARKS = {Health.OK: "✓", Health.WARN: "!", Health.FAIL: "✗"}
ASCII_MARKS = {Health.OK: "ok", Health.WARN: "!!", Health.FAIL: "XX"}
COLORS = {Health.OK: GREEN, Health.WARN: YELLOW, Health.FAIL: RED}


def show(env: Environment, checks: Iterable[Check]) -> None:
    """Print each check as soon as it is made, then the tally."""
    view = _View(env)
    section = ""
    tally: Counter[Health] = Counter()
    for check in checks:
        if check.section != section:
            section = check.section
            view.heading(section)
        view.check(check)
        tally[check.health] += 1
    view.tally(tally)


def show_json(env: Environment, checks: Iterable[Check]) -> None:
    """Print one object: the worst health, and all checks by section."""
    sections: dict[str, list[dict[str, Any]]] = {}
    worst = Health.OK
    for check in checks:
        worst = max(worst, check.health, key=list(Health).index)
        sections.setdefault(check.section, []).append(
            {
                "name": check.name,
                "health": check.health.value,
                "value": without_home(check.value),
                "cure": without_home(check.cure),
            }
        )
    write_json(env, {"health": worst.value, **sections}, indent=2)


def without_home(text: str) -> str:
    """The text with ~ for the home directory, which holds the user's name."""
    home = os.path.expanduser("~").rstrip("/")
    return re.sub(rf"(?<![\w./-]){re.escape(home)}(?![\w.-])", "~", text) if home else text


class _View:
    def __init__(self, env: Environment) -> None:
        self._env = env
        self._colored = env.wants_color("auto", env.stdout)
        self._marks = MARKS if encodes("✓✗", env.stdout) else ASCII_MARKS
        self._start = len(f"  {self._marks[Health.OK]} {'':<{NAME}} ")
        self._width = min(columns(env, env.stdout), WIDEST)

    def heading(self, section: str) -> None:
        self._write(self._styled(section, BOLD))

    def check(self, check: Check) -> None:
        mark = self._styled(self._marks[check.health], COLORS[check.health])
        indent = " " * self._start
        first, *rest = self._lines(check.value)
        self._write(f"  {mark} {check.name:<{NAME}} {first}")
        for line in rest:
            self._write(indent + line)
        if check.cure:
            # On one line, however long: it is there to be copied.
            self._write(f"     cure: {one_line(check.cure)}")

    def tally(self, tally: Counter[Health]) -> None:
        failures, warnings = tally[Health.FAIL], tally[Health.WARN]
        counts = [
            f"{count} {what}{'s' if count > 1 else ''}"
            for count, what in ((failures, "failure"), (warnings, "warning"))
            if count
        ]
        self._write(", ".join(counts) or "all is well")

    def _lines(self, value: str) -> list[str]:
        """The value within the terminal's width; a pipe gets it in one line."""
        text = one_line(without_home(value))
        room = max(self._width - self._start, 20)
        if not self._env.stdout_is_tty:
            return [text]
        return textwrap.wrap(text, room, break_on_hyphens=False) or [""]

    def _styled(self, text: str, style: str) -> str:
        return styled(text, style, self._colored)

    def _write(self, line: str) -> None:
        self._env.stdout.write(encodable(line.rstrip(), self._env.stdout) + "\n")
        self._env.stdout.flush()
