"""Converts prompts between Jinja (this program) and the plainer forms of others."""

from __future__ import annotations

import re

# `{{ name }}`, and the quoted texts that `literal` writes.
PLAIN = re.compile(
    r"\{\{\s*(?:(?P<name>(?!(?:[Tt]rue|[Ff]alse|[Nn]one)\b)[^\W\d]\w*)|'(?P<text>[^'\\{}]*|\{)')\s*\}\}"
)
CODE = re.compile(r"\{[{%#]")


def literal(text: str, before_variable: bool = False) -> str:
    """A template that renders as `text`, except for a newline at its end.

    `before_variable`: a `{{` follows, with which a `{` at the end would run together.
    """
    end = r"|\Z" if before_variable else ""
    return re.sub(rf"\{{(?=[{{%#]{end})", "{{ '{' }}", text)


def parts(template: str) -> list[tuple[str, bool]] | None:
    """Split a template into texts (False) and variables (True); None if it has more than that."""
    found: list[tuple[str, bool]] = []
    end = 0
    for match in PLAIN.finditer(template):
        found.append((template[end : match.start()], False))
        name = match["name"]
        found.append((match["text"], False) if name is None else (name, True))
        end = match.end()
    found.append((template[end:], False))
    if any(CODE.search(text) for text, is_name in found if not is_name):
        return None
    return [part for part in found if part[0]]


def finished(template: str | None) -> str | None:
    """The text of a template without variables; None if it has some."""
    found = parts(template or "")
    if not template or found is None or any(is_name for _, is_name in found):
        return None
    return "".join(text for text, _ in found)
