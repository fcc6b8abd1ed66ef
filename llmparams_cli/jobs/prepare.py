"""From flags and presets to resolved settings and a model file, before any engine starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.jobs.template import Template, from_preset
from llmparams_cli.models import resolve as models
from llmparams_cli.models.resolve import ResolvedModel
from llmparams_cli.params.conflicts import inert, refuse_contradictions
from llmparams_cli.params.settings import Origin, Settings, Source, resolve
from llmparams_cli.presets.cascade import gather
from llmparams_cli.presets.document import Placed
from llmparams_cli.presets.metadata import from_gguf
from llmparams_cli.protocol import Message


@dataclass(frozen=True)
class Prepared:
    """Everything that is decided before the model is loaded."""

    settings: Settings
    model: ResolvedModel
    model_origin: Origin
    system: Placed | None
    template: Template | None = None

    def messages(self, prompt: str) -> tuple[Message, ...]:
        """What the model is asked: the system text, and `prompt` in the preset's template."""
        user = Message("user", self.template.render(prompt) if self.template else prompt)
        text = self.system.text if self.system else ""
        return (Message("system", text), user) if text else (user,)

    @property
    def needs_input(self) -> bool:
        """Is there nothing to ask without a prompt from the user?"""
        return self.template is None or self.template.reads_input


def prepare(
    env: Environment,
    presets: Sequence[str],
    flags: Mapping[str, Any],
    variables: Sequence[str] = (),
) -> Prepared:
    """Gather all layers, find the model, resolve; what is worth a word goes to stderr.

    `flags` as for `presets.cascade.gather`; `variables` are the texts NAME=VALUE of --var.
    """
    gathered = gather(env, presets, flags)
    refuse_contradictions(resolve(gathered.assignments))
    template = from_preset(gathered.prompt, gathered.variables, variables)
    chosen = gathered.model
    model = models.resolve(chosen.text if chosen else None, env)
    recommended, notes = from_gguf(model.header.metadata)
    settings = resolve([*recommended, *gathered.assignments])
    for note in [*gathered.notes, *notes, *inert(settings)]:
        env.note(note)
    origin = chosen.origin if chosen else Origin(Source.DEFAULT, "built in")
    return Prepared(settings, model, origin, gathered.system, template)
