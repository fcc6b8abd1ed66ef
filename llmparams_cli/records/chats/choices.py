"""What a chat's settings are made of, so that they can be changed, kept and restored.

Presets are kept by name. Flags are kept as checked values, for a chat may go on in another
directory; what is set live lies above them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from llmparams_cli.params.settings import Assignment, Source
from llmparams_cli.presets.document import Placed

WhenFull = Literal["drop", "summarize", "refuse"]
WHEN_FULL: tuple[WhenFull, ...] = get_args(WhenFull)


@dataclass(frozen=True)
class Choices:
    """What was asked for; `values` are the flags' and, above them, those set live."""

    presets: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    model: Placed | None = None
    system: Placed | None = None
    values: tuple[Assignment, ...] = ()
    when_full: WhenFull | None = None

    def with_values(self, *new: Assignment) -> Choices:
        """A value that is set live, or by a flag, takes the place of one of the same kind."""
        replaced = {(value.name, value.origin.source) for value in new}
        kept = [v for v in self.values if (v.name, v.origin.source) not in replaced]
        return replace(self, values=(*kept, *new))

    def without(self, name: str) -> Choices:
        """Take back what was set live."""
        kept = (v for v in self.values if not (v.name == name and is_live(v)))
        return replace(self, values=tuple(kept))

    def under(self, new: Choices) -> Choices:
        """These, as an earlier run left them, under the flags of a new one."""
        named = {value.name for value in new.values}
        kept = (value for value in self.values if value.name not in named)
        return Choices(
            new.presets or self.presets,
            new.variables or (() if new.presets else self.variables),
            new.model or self.model,
            new.system or self.system,
            (*kept, *new.values),
            new.when_full or self.when_full,
        )


def is_live(value: Assignment | Placed | None) -> bool:
    """Was it set in the chat itself?"""
    return value is not None and value.origin.source is Source.CHAT
