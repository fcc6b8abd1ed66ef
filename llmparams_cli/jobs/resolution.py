"""What a preset resolves to in this place, and the command line that says the same."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from llmparams_cli import APP
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.models import resolve as models
from llmparams_cli.params.conflicts import inert
from llmparams_cli.params.kinds import Switch
from llmparams_cli.params.settings import (
    Assignment,
    Origin,
    Setting,
    Settings,
    Source,
    resolve,
)
from llmparams_cli.presets.cascade import gather
from llmparams_cli.presets.document import Placed
from llmparams_cli.presets.metadata import from_gguf


@dataclass(frozen=True)
class Resolution:
    """What `generate --preset NAME` would use. `model` is its name or path."""

    settings: Settings
    model: tuple[str, Origin]
    system: Placed | None
    prompt: Placed | None

    @property
    def command_line(self) -> str:
        """The command that does without the preset what the preset does."""
        words = [APP, "generate"]
        model, origin = self.model
        if origin.source is Source.PRESET:
            words += ["--model", model]
        if self.system and self.system.origin.source is Source.PRESET:
            words += ["--system", self.system.text]
        for setting in self.settings:
            if setting.origin.source is Source.PRESET:
                words += flag(setting)
        return shlex.join(words)


def resolution(name: str, env: Environment) -> Resolution:
    """All layers with this preset among them; a model that is not here costs only its own."""
    together = gather(env, [name])
    recommended: list[Assignment] = []
    given = together.model
    model = (given.text, given.origin) if given else ("built-in", Origin(Source.DEFAULT))
    try:
        header = models.resolve(given.text if given else None, env).header
        recommended, notes = from_gguf(header.metadata)
        together.notes += notes
    except ModelError as error:
        together.notes.append(f"without the model's own values: {error.message}")
    settings = resolve([*recommended, *together.assignments])
    for note in [*together.notes, *inert(settings)]:
        env.note(note)
    return Resolution(settings, model, together.system, together.prompt)


def flag(setting: Setting) -> list[str]:
    """The flag that sets this value."""
    name = setting.param.flag
    if isinstance(setting.param.kind, Switch):
        return [name if setting.value else f"--no-{name[2:]}"]
    texts = setting.param.kind.arguments(setting.value)
    pairs = ([f"{name}={text}"] if text.startswith("-") else [name, text] for text in texts)
    return [word for pair in pairs for word in pair]
