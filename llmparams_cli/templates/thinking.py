"""How much a model thinks: from the parameter `thinking` to the variables of its chat template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmparams_cli.params.settings import Settings
from llmparams_cli.templates.syntax import HIGHEST, variables

# The variables that switch thinking, each with its values for off and on. The first one counts that
# a template has.
SWITCHES: dict[str, tuple[Any, Any]] = {
    "enable_thinking": (False, True),  # Qwen 3, GLM, Gemma 4, SmolLM3, …
    "thinking": (False, True),  # Granite 3.3, Kimi K3
    "reasoning": (False, True),  # Command A
    "thinking_mode": ("disabled", "enabled"),  # MiniMax M3
    "thinking_option": ("off", "on"),  # Ling
    "thinking_budget": (0, -1),  # Seed-OSS: tokens
}
# The variables that have levels.
EFFORTS = ("reasoning_effort", "thinking_effort", "reasoning_strength")
LEVELS = ("minimal", "low", "medium", HIGHEST)  # "max" and the like: by template_arg alone
NEUTRAL = ("low", "medium", "high")  # of a template that writes out whatever it is given
NONE = ("none", "no_think")  # levels that mean off
# As in llama.cpp: what is given unless it is set, and a variable that is given by another's name.
DEFAULTS = {"enable_thinking": True}
SAME = {"reasoning_effort": "reasoning_strength"}


@dataclass(frozen=True)
class Offer:
    """What a template has of it: by which variable it is switched and by which value it is off, and
    the levels of which other one (or the same).
    """

    switch: str = ""
    off: Any = None
    on: Any = None
    effort: str = ""
    levels: tuple[str, ...] = ()


def offer(template: str) -> Offer:
    """What this template has a place for; nothing of it is run."""
    known = variables(template)
    switch = next((name for name in SWITCHES if name in known), "")
    off, on = SWITCHES.get(switch, (None, None))
    effort = next((name for name in EFFORTS if name in known), "")
    if not effort:
        return Offer(switch, off, on)
    variable = known[effort]
    has = variable.compared | variable.set_to
    levels = tuple(level for level in LEVELS if level in has)
    if not variable.compared or (variable.is_written and not variable.is_limited):
        levels = NEUTRAL
    elif levels and not variable.is_limited:
        levels = tuple(dict.fromkeys((*levels, HIGHEST)))  # what is none of them is the rest
    if not switch and (none := next((each for each in NONE if each in has), "")):
        # Where it may be none it may be so by default: on is the highest.
        switch, off, on = effort, none, levels[-1] if levels else HIGHEST
    return Offer(switch, off, on, effort, levels)


def unheeded(settings: Settings) -> list[str]:
    """The settings of chat templates that somebody made, where none is applied."""
    return [
        name
        for name in ("thinking", "template_arg", "chat_template")
        if settings[name] != settings.setting(name).param.neutral
    ]


def arguments(template: str, settings: Settings, note: Callable[[str], None]) -> dict[str, Any]:
    """The values that the settings have for the template's variables; `note` is told those that it
    has no place for.
    """
    wanted, given = settings["thinking"], settings["template_arg"]
    found, lack = ({}, "") if wanted == "auto" else _set(offer(template), wanted)
    if lack:
        note(f"thinking {wanted}: {lack}")
    values = {**DEFAULTS, **found, **given}
    for name, same in SAME.items():
        if name in given:
            values.setdefault(same, given[name])
    for name in given:
        if not {name, SAME.get(name)} & {*variables(template)}:
            note(f"template_arg {name}: the chat template has no such variable")
    return values


def _set(has: Offer, wanted: str) -> tuple[dict[str, Any], str]:
    """The variables, and what the template lacks."""
    if not has.switch and not has.levels:
        cure = "; --max-thinking-tokens 0 ends all thoughts at once" if wanted == "off" else ""
        return {}, f"the chat template has no variable for it{cure}"
    switched = {has.switch: has.on} if has.switch else {}
    if wanted == "on":
        return switched, ""
    if wanted == "off" and has.switch:
        return {has.switch: has.off}, ""
    if wanted == "off":
        least = has.levels[0]
        return {has.effort: least}, f"the chat template cannot switch it off; {least} is the least"
    if not has.levels:
        return switched, "the chat template has no levels; it is on"
    # The nearest, and of two the higher one.
    place = LEVELS.index(wanted) + 0.1
    nearest = min(has.levels, key=lambda level: abs(LEVELS.index(level) - place))
    lack = f"the chat template knows {' and '.join(has.levels)}; {nearest} is taken"
    return {**switched, has.effort: nearest}, "" if nearest == wanted else lack
