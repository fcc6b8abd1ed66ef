"""What a chat template has a place for, by its source: it is not run, as it might never end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llmparams_cli.templates.choice import is_jinja
from llmparams_cli.templates.syntax import LONGEST
from llmparams_cli.templates.thinking import offer

_MARKS = re.compile(r"\{[{%#]|[}%#]\}")
_ENDS = {"{{": "}}", "{%": "%}", "{#": "#}"}
# A system message by name, or any role written out as it comes.
_SYSTEM = re.compile(
    r"""['"](?:system|developer)['"]"""
    r"""|(?:\.role|\[['"]role['"]\])\s*(?:\+|~|\||\}\})|[+~]\s*\w+(?:\.role|\[['"]role['"]\])"""
)
_NO_SYSTEM = re.compile(
    r"raise_exception\([^)]{0,200}\bsystem\b[^)]{0,60}(?:not|n't)\b[^)]{0,20}support", re.IGNORECASE
)
_TOOLS = re.compile(r"\b(?:\w+_)?(?:tools|functions)\b")
_THINKING = re.compile(r"enable_thinking|<think>|reasoning|thinking")

WITHOUT_SYSTEM = ("yandex",)  # of the templates that are built into llama.cpp


@dataclass(frozen=True)
class Abilities:
    """Is there a place for a system text, for tools, for thoughts before the answer? Can thoughts
    be switched off, and what levels are there?
    """

    system: bool
    tools: bool
    thinking: bool
    thinking_switch: bool = False
    thinking_levels: tuple[str, ...] = ()


def abilities(template: str) -> Abilities:
    """What this template has a place for."""
    if not is_jinja(template):
        return Abilities(system=template not in WITHOUT_SYSTEM, tools=False, thinking=False)
    code, text = _parts(template[:LONGEST])
    has = offer(template)
    return Abilities(
        system=bool(_SYSTEM.search(code)) and not _NO_SYSTEM.search(code),
        tools=bool(_TOOLS.search(code)),
        thinking=bool(has.levels or _THINKING.search(code) or _THINKING.search(text)),
        thinking_switch=bool(has.switch),
        thinking_levels=has.levels,
    )


def _parts(template: str) -> tuple[str, str]:
    """The code in a template, and the text between; without the comments."""
    code, text = [], []
    begun, opened, at = "", 0, 0
    for mark in _MARKS.finditer(template):
        if not begun and mark[0] in _ENDS:
            begun, opened = mark[0], mark.start()
            text.append(template[at:opened])
        elif mark[0] == _ENDS.get(begun):
            at = mark.end()
            if begun != "{#":
                code.append(template[opened:at])
            begun = ""
    text.append("" if begun else template[at:])
    return "\n".join(code), "\n".join(text)
