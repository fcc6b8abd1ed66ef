"""Jinja as chat templates know it: that of transformers, for which they are written.

Heavy, as `text.jinja` is: imported where a template is run or taken apart.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import nodes  # noqa: TID253 (see above)
from jinja2.ext import Extension, loopcontrols  # noqa: TID253

from llmparams_cli.templates.marker import marks_unescaped
from llmparams_cli.templates.today import Today
from llmparams_cli.text import jinja

KEPT = 100  # templates; a chat renders the same one again and again


class Generation(Extension):
    """{% generation %}…{% endgeneration %}: for training, it marks what the assistant wrote."""

    tags = {"generation"}  # noqa: RUF012 (Jinja's own form)

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        # A block that is called has variables of its own, as it has in transformers.
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller: Any) -> str:
        return str(caller())


@lru_cache(maxsize=KEPT)
def compiled(template: str) -> Any:
    """The template, ready to run. Raises TooMuch, or whatever Jinja finds wrong with it."""
    with jinja.bounded():  # Jinja computes constants while it compiles
        return _environment().from_string(template)


def parsed(template: str) -> Any:
    """The template taken apart, not run. Raises what Jinja finds wrong with it."""
    return _environment().parse(template)


@lru_cache(maxsize=1)
def _environment() -> Any:
    environment = jinja.Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    import json

    # Jinja's own filter escapes <, > and & for HTML.
    text = json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
    return marks_unescaped(text) if ensure_ascii else text


def _raise(message: str) -> None:
    raise ValueError(message)


def _strftime_now(form: str) -> str:
    return Today("").strftime_now(form)
