"""aichat: a role, a Markdown file whose front matter holds the values."""

from __future__ import annotations

import re

from llmparams_cli.formats import prompts
from llmparams_cli.formats.common import Entries, Format, Imported, stem
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.source import entries as entries_of
from llmparams_cli.formats.source import yaml_node

PROGRAM = "aichat"
KEYS = {"temperature": "temperature", "top_p": "top_p"}
INPUT = "__INPUT__"
FRONT_MATTER = re.compile(r"\A-{3,}[ \t]*\n(.*?)^-{3,}[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
EXAMPLES = re.compile(r"^### INPUT:.*", re.DOTALL | re.MULTILINE)
OWN_VARIABLE = re.compile(r"\{\{__\w+__\}\}|__ARG\d+__")


def parts(text: str, place: str, *, bare: bool = False) -> tuple[Entries, str] | None:
    """The values before the text of a Markdown file, and that text; None if there are none.

    Values without a text may as well be YAML: they count only where that is asked for (bare).
    """
    match = FRONT_MATTER.match(text)
    if match is None or not (bare or text[match.end() :].strip()):
        return None
    node = yaml_node(f"\n{match[1]}" if match[1].strip() else "\n{}", place)
    return entries_of(node, place), text[match.end() :].strip()


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    draft = Draft(place, PROGRAM)
    entries, body = parts(text, place, bare=True) or ({}, text.strip())
    model = draft.model("model", draft.text("model", entries.pop("model", None)))
    draft.take_all(entries, KEYS)
    draft.leave(entries)
    if EXAMPLES.search(body):
        draft.lose("### INPUT:", "a preset has no examples")
        body = EXAMPLES.sub("", body).strip()
    for name in dict.fromkeys(OWN_VARIABLE.findall(body)):
        draft.lose(name, f"{PROGRAM} fills it in; here it stays as it is")
    if INPUT not in body:
        return [draft.finish(stem(place), model=model, system=body or None)]
    pieces = body.split(INPUT)
    prompt = "{{ input }}".join(
        prompts.literal(piece, before_variable=piece is not pieces[-1]) for piece in pieces
    )
    return [draft.finish(stem(place), model=model, prompt=prompt)]


FORMAT = Format(
    name="aichat",
    program=PROGRAM,
    syntax="markdown",
    read=read,
    keys=frozenset({"model", "temperature", "top_p", "use_tools", "name"}),
    marks=frozenset({"use_tools", "temperature", "top_p"}),
)
