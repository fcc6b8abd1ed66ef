"""What a preset resolves to in this directory, and the equivalent command line."""

from __future__ import annotations

from dataclasses import dataclass

from llmparams_cli import APP
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.jobs.prepare import find_given, settle
from llmparams_cli.models.resolve import ResolvedModel, unnamed
from llmparams_cli.params.kinds import Switch
from llmparams_cli.params.settings import Origin, Setting, Settings, Source
from llmparams_cli.presets.cascade import WHEN_THINKING, gather
from llmparams_cli.presets.document import Placed


@dataclass(frozen=True)
class Resolution:
    """What `generate --preset NAME` would use. `model` is its name or path."""

    settings: Settings
    model: tuple[str, Origin]
    system: Placed | None
    prompt: Placed | None

    @property
    def command(self) -> list[str]:
        """The words of the command that does the same without the preset."""
        words = [APP, "generate"]
        model, origin = self.model
        if origin.source is Source.PRESET:
            words += ["--model", model]
        if self.system and self.system.origin.source is Source.PRESET:
            words += ["--system", self.system.text]
        for setting in self.settings.both:
            if setting.origin.source is Source.PRESET:
                words += flag(setting)
        return words


def resolution(name: str, env: Environment) -> Resolution:
    """Resolve all layers with this preset among them. A missing model costs only the values that it
    recommends, and a note.
    """
    layers = gather(env, [name])
    given = layers.model or unnamed(env)

    def found(_: str | None) -> ResolvedModel | None:
        try:
            return find_given(given, env)
        except ModelError as error:
            layers.notes.append(f"without the model's own values: {error.message}")
            return None

    settings, _ = settle(layers, found, env.note)
    return Resolution(settings, (given.text, given.origin), layers.system, layers.prompt)


def flag(setting: Setting) -> list[str]:
    """The flag that sets this value."""
    name = setting.param.flag
    if setting.when_thinking:
        texts = setting.param.kind.arguments(setting.value)
        return [word for text in texts for word in (WHEN_THINKING, f"{setting.param.name}={text}")]
    if isinstance(setting.param.kind, Switch):
        return [name if setting.value else f"--no-{name[2:]}"]
    texts = setting.param.kind.arguments(setting.value)
    # A value that begins with a dash would be taken for a flag.
    pairs = ([f"{name}={text}"] if text.startswith("-") else [name, text] for text in texts)
    return [word for pair in pairs for word in pair]
