"""Writes YAML that means the same in versions 1.1 and 1.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmparams_cli.presets.nodes import scalar
from llmparams_cli.text.safe import one_line


def dump(values: Mapping[str, Any], description: str = "") -> str:
    """A mapping as a YAML document; the description becomes a comment."""
    import yaml

    # Aliases for equal values are refused on the way back in.
    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if _fits_a_block(value) else None
        # PyYAML quotes what YAML 1.1 would not read as text; `scalar` tells what 1.2 would not.
        if style is None and not (value.isprintable() and isinstance(scalar(value), str)):
            style = '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    comments = "".join(f"# {one_line(line)}\n" for line in description.splitlines())
    body = yaml.dump(dict(values), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    return comments + str(body)


def _fits_a_block(text: str) -> bool:
    lines = text.removesuffix("\n").split("\n")
    is_plain = all(line.isprintable() and line == line.rstrip() for line in lines)
    return len(lines) > 1 and is_plain and bool(lines[-1]) and lines[0] == lines[0].strip() != ""
