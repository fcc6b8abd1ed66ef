"""What the user chose for a chat, so that it can be changed, saved and restored.

Presets are saved by name. Flags are saved as checked values, because a chat may be continued
in another directory, where their paths would mean other files. Values set during the chat
("live") override both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from llmparams_cli.params.settings import Assignment, Source
from llmparams_cli.presets.document import Placed
from llmparams_cli.presets.values import in_layer

WhenFull = Literal["drop", "summarize", "refuse"]
WHEN_FULL: tuple[WhenFull, ...] = get_args(WhenFull)


@dataclass(frozen=True)
class Choices:
    """The user's choices; `values` are those of flags and, above them, those set live."""

    presets: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    model: Placed | None = None
    system: Placed | None = None
    values: tuple[Assignment, ...] = ()
    when_full: WhenFull | None = None

    def with_values(self, *new: Assignment) -> Choices:
        """Add values; each replaces one of the same name and source (flag, or live). Those of one
        source are one layer, in which values for thinking alone lie above.
        """
        replaced = {(value.label, value.origin.source) for value in new}
        sources = {source for _, source in replaced}
        kept = [v for v in self.values if (v.label, v.origin.source) not in replaced]
        layer = [v for v in kept if v.origin.source in sources]
        below = [v for v in kept if v.origin.source not in sources]
        return replace(self, values=(*below, *in_layer([*layer, *new])))

    def without(self, name: str) -> Choices:
        """Remove the live value of this name, which may be thinking.PARAMETER."""
        kept = (v for v in self.values if not (v.label == name and is_live(v)))
        return replace(self, values=tuple(kept))

    def under(self, new: Choices) -> Choices:
        """These choices of an earlier run, overridden by the flags of a new one."""
        named = {value.label for value in new.values}
        kept = (v for v in self.values if v.label not in named and v.name not in named)
        return Choices(
            new.presets or self.presets,
            # Other presets have other variables.
            new.variables or (() if new.presets else self.variables),
            new.model or self.model,
            new.system or self.system,
            (*kept, *new.values),
            new.when_full or self.when_full,
        )


def is_live(value: Assignment | Placed | None) -> bool:
    """Was it set during the chat?"""
    return value is not None and value.origin.source is Source.CHAT
