"""A preset's prompt: Jinja in its sandbox, with `{{ input }}` and named variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INPUT = "input"  # what the user gives: the argument, the file, standard input


def names(template: str) -> set[str]:
    """The variables that a template reads; a ValueError says why it is no template."""
    from jinja2 import TemplateError, meta

    try:
        return meta.find_undeclared_variables(_environment().parse(template))
    except TemplateError as error:
        raise ValueError(f"not a Jinja template: {error}") from error


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill a template in; a ValueError says what is missing or fails."""
    try:
        return str(_environment().from_string(template).render(values))
    except Exception as error:  # whatever a template's code runs into
        raise ValueError(str(error) or type(error).__name__) from error


def text_of(value: object) -> str:
    """A variable's value as YAML would have it written: true, not True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False)
