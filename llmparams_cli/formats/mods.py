"""mods: its settings, as YAML."""

from __future__ import annotations

from llmparams_cli.formats.common import Entries, Format, Imported, stem, words
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.source import yaml_entries

PROGRAM = "mods"
KEYS = {
    "temperature": "temp",
    "top_p": "topp",
    "top_k": "topk",
    "max_tokens": "max-tokens",
    "stop": "stop",
}
OLDER = {"max_tokens": "max-completion-tokens"}
NO_CHOICE = ("temp", "topp", "topk")  # -1 leaves them to the model
ELSEWHERE = ("file://", "http://", "https://")  # before the place of a role's text
# What mods itself does with the text.
ABOUT = words(
    """default-api apis format format-text format-as raw quiet no-limit max-input-chars
        cache-path no-cache include-prompt include-prompt-args max-retries word-wrap
        fanciness status-text theme http-proxy mcp-servers mcp-timeout"""
)


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = yaml_entries(text, place)
    draft = Draft(place, PROGRAM)
    for key in ABOUT:
        entries.pop(key, None)
    for key in NO_CHOICE:
        if (node := entries.get(key)) and node.value == -1:
            del entries[key]
    name = draft.text("default-model", entries.pop("default-model", None))
    model = draft.model("default-model", name)
    system = _role(draft, entries)
    for key in ("max-tokens", "max-completion-tokens"):
        if (node := entries.get(key)) and node.value == 0:  # not given
            del entries[key]
    draft.take_all(entries, KEYS)
    draft.take_all(entries, OLDER)
    draft.leave(entries)
    return [draft.finish(stem(place), model=model, system=system)]


def _role(draft: Draft, entries: Entries) -> str | None:
    """The texts of the role that is chosen; the others are told."""
    chosen = draft.text("role", entries.pop("role", None)) or "default"
    system = draft.text("system", entries.pop("system", None))
    node = entries.pop("roles", None)
    for name, role in (draft.mapping("roles", node) if node and node.value else {}).items():
        texts = [draft.text(name, item) for item in draft.items(name, role)] if role.value else []
        if name != chosen and texts:
            draft.lose(f"role {name}", "a preset has one system text")
        elif any(text and text.startswith(ELSEWHERE) for text in texts):
            draft.lose(f"role {name}", "its text is in another file, which is not fetched")
        elif texts:
            system = "\n".join(text for text in texts if text)
    return system or None


FORMAT = Format(
    name="mods",
    program=PROGRAM,
    syntax="yaml",
    read=read,
    keys=frozenset({"temp", "stop", "role", "format", "raw", "quiet", "theme", "system"}),
    marks=frozenset(
        {"default-model", "default-api", "topp", "topk", "max-tokens", "roles", *ABOUT}
        - {"format", "raw", "quiet", "theme"}
    ),
    file_name=r"^mods\.ya?ml$",
)
