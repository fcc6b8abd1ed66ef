"""The slash commands that change and show the settings of a chat: /set, /preset, /params, …"""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

from llmparams_cli.commands.asking import show_resolution
from llmparams_cli.commands.chat.dialogue import Dialogue
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs import preset_files
from llmparams_cli.jobs.chat.choices import absolute, live, portable
from llmparams_cli.jobs.preset_files import of_prepared
from llmparams_cli.models.names import known
from llmparams_cli.params.settings import Assignment, differences
from llmparams_cli.presets import values
from llmparams_cli.presets.document import Placed
from llmparams_cli.presets.find import available
from llmparams_cli.records.chats.choices import Choices, is_live

ALL = "all"  # in /params: also what is at its default
NONE = "-"  # in /preset: no preset at all


def set_(here: Dialogue, argument: str) -> None:
    """Change a parameter from here on."""
    name, value = values.pair(argument, values.EQUALS_OR_BLANK)
    target = values.target(name, "/set")
    param = target.param
    if not value:
        raise UsageError(f"/set {name} needs a value", values.see(param))
    place = f"/set {target.name}"
    many = param.kind.many
    # Lists take several words. Any other value may have blanks without quotes.
    texts = _words(value, place, values.see(param)) if many else [_unquoted(value)]
    checked = values.given(param, texts, here.env.directory, place)
    new = Assignment(param.name, checked, live("/set"), target.when_thinking)
    before = here.chat.settings.named(target.name)
    _choose(here, here.chat.choices.with_values(new))
    if before.value == checked:
        here.view.remark(f"{target.name} was {param.kind.show(checked)} already")


def _words(text: str, place: str, hint: str) -> list[str]:
    """Split into words as a shell does."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{place}: {error}", hint) from error


def _unquoted(text: str) -> str:
    """Strip quotes around the whole value, which users put there as in a shell; '' is the empty
    text.
    """
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] in "'\"" else text


def unset(here: Dialogue, argument: str) -> None:
    """Take back what was set in this chat."""
    choices = here.chat.choices
    if argument in ("system", "model"):
        if not is_live(getattr(choices, argument)):
            raise UsageError(f"/unset {argument}: it was not set in this chat")
        without: dict[str, Any] = {argument: None}
        _choose(here, replace(choices, **without))
        return
    name = values.target(argument, "/unset").name
    if not any(value.label == name and is_live(value) for value in choices.values):
        setting = here.chat.settings.named(name)
        raise UsageError(
            f"/unset {name}: it was not set in this chat", f"it comes from {setting.origin}"
        )
    _choose(here, choices.without(name))


def preset(here: Dialogue, argument: str) -> None:
    """Use other presets, or list what there is."""
    words = _words(argument, "/preset", "a quote is not closed")
    if not words:
        used = here.chat.choices.presets
        here.view.write(f"in use: {', '.join(used) or 'none'}")
        here.view.write(f"there are {', '.join(sorted(available(here.env)))}")
        return
    variables = tuple(word for word in words if "=" in word)
    names = [word for word in words if "=" not in word and word != NONE]
    presets = portable(here.env, names)
    _choose(here, replace(here.chat.choices, presets=presets, variables=variables))


def model(here: Dialogue, argument: str) -> None:
    """Show or change the model."""
    if argument:
        given = absolute(Placed(argument, live("/model")), here.env)
        _choose(here, replace(here.chat.choices, model=given))
    else:
        used = here.chat.prepared
        here.view.write(f"{used.model.known_as or used.model.name}  ({used.model_origin})")
        here.view.write(f"there are {', '.join(known(here.env))}")


def system(here: Dialogue, argument: str) -> None:
    """Show or change the system text."""
    if argument:
        _choose(here, replace(here.chat.choices, system=Placed(argument, live("/system"))))
    elif system := here.chat.prepared.system:
        here.view.write(f"{system.text}  ({system.origin})")
    else:
        here.view.write("there is no system text")


def _choose(here: Dialogue, choices: Choices) -> None:
    """Adopt new choices, and tell the user what they change."""
    before, after = here.chat.choose(choices)
    here.view.changed(differences(before.settings, after.settings))
    if before.system != after.system:
        text = f"{after.system.text} ({after.system.origin})" if after.system else "none"
        here.view.remark(f"system text: {text}")
    if before.model.reference != after.model.reference:
        name = after.model.known_as or after.model.name
        here.view.remark(f"model: {name} ({after.model_origin})")
    loads, makes = here.chat.reloads(before, after)
    if loads:
        here.view.remark("the model is loaded again for the next answer")
    elif makes:
        here.view.remark("the context is made again, and the whole chat read, for the next answer")


def params(here: Dialogue, argument: str) -> None:
    """Show what is set, one value, or all, with their origins."""
    if argument and argument != ALL:
        here.view.setting(here.chat.settings.named(values.target(argument, "/params").name))
        return
    rest = "" if argument else f"/params {ALL}"
    show_resolution(here.env, here.chat.prepared, here.view.color, rest=rest)


def save_preset(here: Dialogue, name: str) -> None:
    """Keep the settings of this chat as a preset."""
    path = preset_files.save(here.env, name, of_prepared(here.chat.prepared, "As in a chat."))
    here.view.remark(f"written to {path}: /preset {name} uses it")
