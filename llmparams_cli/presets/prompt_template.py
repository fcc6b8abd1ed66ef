"""A preset's prompt: a sandboxed Jinja template with `{{ input }}` and named variables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from llmparams_cli.errors import PresetError, UsageError
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.presets.values import pair

if TYPE_CHECKING:  # `document` imports this module
    from llmparams_cli.presets.document import Placed

INPUT = "input"  # the variable for what the user gives: argument, file or standard input


def names(template: str) -> set[str]:
    """The variables that a template reads; raises ValueError if it is not valid Jinja."""
    from jinja2 import TemplateError, meta

    try:
        return meta.find_undeclared_variables(_environment().parse(template))
    except TemplateError as error:
        raise ValueError(f"not a Jinja template: {error}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill in a template; raises ValueError with what is missing or fails."""
    from llmparams_cli.text import jinja

    try:
        with jinja.bounded():  # Jinja computes constants while it compiles
            compiled = _environment().from_string(template)
        return jinja.render(compiled, values)
    except Exception as error:  # whatever a template's code runs into
        raise ValueError(str(error) or type(error).__name__) from error


def text_of(value: object) -> str:
    """A variable's value as YAML writes it: true, not True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class PromptTemplate:
    """The template as the preset has it, the variables it reads, and the values known for them."""

    source: Placed
    values: dict[str, str]
    reads: set[str]

    @property
    def reads_input(self) -> bool:
        return INPUT in self.reads

    def render(self, given: str) -> str:
        """The prompt. If the template does not use {{ input }}, the user's text is appended.

        Raises UsageError for a variable without a value.
        """
        missing = sorted(self.reads - self.values.keys() - {INPUT})
        if missing:
            raise UsageError(
                f"the preset's prompt ({self.source.origin.place}) needs a value for "
                f"{', '.join(missing)}",
                " ".join(f"--var {name}=TEXT" for name in missing),
            )
        try:
            text = render(self.source.text, {**self.values, INPUT: given})
        except ValueError as error:
            raise PresetError(f"{self.source.origin.place}: prompt: {error}") from error
        return text if self.reads_input or not given else f"{text}\n\n{given}"

    def places(self, given: str, piped: str, prompt: str) -> tuple[tuple[int, int], ...]:
        """Where `piped`, the end of what is given, stands in the prompt that was made of it: ranges
        of characters.

        Raises UsageError if the template does more with it than to insert it.
        """
        unique = f"\ue000{os.urandom(8).hex()}\ue001"
        parts = self.render(given.removesuffix(piped) + unique).split(unique)
        if piped.join(parts) != prompt:
            raise UsageError(
                f"--special: the preset's prompt ({self.source.origin.place}) changes standard "
                "input, so that its control tokens cannot be told from the preset's",
                "- in place of the prompt lets it have some",
            )
        starts = accumulate(len(part) + len(piped) for part in parts[:-1])
        return tuple((end - len(piped), end) for end in starts)


def from_preset(
    source: Placed | None, defaults: Mapping[str, Placed | None], given: Sequence[str]
) -> PromptTemplate | None:
    """The preset's prompt with the values of --var (NAME=VALUE); None if it has no prompt.

    Raises UsageError for a variable that the preset does not have.
    """
    read = names(source.text) if source else set()
    known = {*read, *defaults} - {INPUT}
    values = {name: placed.text for name, placed in defaults.items() if placed}
    for text in given:
        name, value = pair(text)
        if value is None:
            raise UsageError(f"--var {text!r} has no =", "write --var name=value")
        if name not in known:
            hint = f"its variables are {', '.join(sorted(known))}" if known else "it has none"
            raise UsageError(
                f"--var {name}: the preset has no such variable{did_you_mean(name, known)}", hint
            )
        values[name] = value
    return PromptTemplate(source, values, read) if source else None


def _environment() -> Any:
    from jinja2 import StrictUndefined

    from llmparams_cli.text.jinja import Sandbox

    return Sandbox(undefined=StrictUndefined, keep_trailing_newline=False)
