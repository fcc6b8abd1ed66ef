"""A preset's prompt with the variables that it is filled in with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmparams_cli.errors import PresetError, UsageError
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.presets import template
from llmparams_cli.presets.document import Placed


@dataclass(frozen=True)
class Template:
    """The prompt as the preset writes it, the names it reads, and what is known of them."""

    source: Placed
    values: dict[str, str]
    reads: set[str]

    @property
    def reads_input(self) -> bool:
        return template.INPUT in self.reads

    def render(self, given: str) -> str:
        """The prompt; what the user gives comes behind it if the template does not place it.

        Raises UsageError for a variable without a value.
        """
        missing = sorted(self.reads - self.values.keys() - {template.INPUT})
        if missing:
            raise UsageError(
                f"the preset's prompt ({self.source.origin.place}) needs a value for "
                f"{', '.join(missing)}",
                " ".join(f"--var {name}=TEXT" for name in missing),
            )
        try:
            text = template.render(self.source.text, {**self.values, template.INPUT: given})
        except ValueError as error:
            raise PresetError(f"{self.source.origin.place}: prompt: {error}") from error
        return text if self.reads_input or not given else f"{text}\n\n{given}"


def from_preset(
    source: Placed | None, defaults: Mapping[str, Placed | None], given: Sequence[str]
) -> Template | None:
    """Check the texts NAME=VALUE of --var against a preset's prompt; None if it has none.

    Raises UsageError for a variable that is not there.
    """
    read = template.names(source.text) if source else set()
    known = {*read, *defaults} - {template.INPUT}
    values = {name: placed.text for name, placed in defaults.items() if placed}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--var {text!r} has no =", "write --var name=value")
        if name not in known:
            hint = f"its variables are {', '.join(sorted(known))}" if known else "it has none"
            raise UsageError(
                f"--var {name}: the preset has no such variable{did_you_mean(name, known)}", hint
            )
        values[name] = value
    return Template(source, values, read) if source else None
