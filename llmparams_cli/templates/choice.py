"""Which chat template makes the prompts: one of the model's own, llama.cpp's or the user's.

A template is a text: Jinja, or the name of one that is built into llama.cpp (`chatml`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from llmparams_cli.errors import UsageError
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Request
from llmparams_cli.text.shorten import brief

# Names of a model's own templates: that for conversations, and that for tools, which does for both.
CONVERSATION = "default"
TOOLS = "tool_use"
USUAL = (CONVERSATION, TOOLS)


def is_jinja(template: str) -> bool:
    """Is it the template itself, and no name of one?"""
    return "{" in template


def chosen(own: Mapping[str, str], wanted: str = "") -> str:
    """The template that is wanted, or else the one that a model with its `own` ones, by name, is
    used with. Empty if there is none.
    """
    if wanted:
        return own.get(wanted, wanted)
    return next((own[name] for name in (*USUAL, *own) if own.get(name)), "")


def template_for(own: Mapping[str, str], request: Request) -> str:
    """The template for a request; empty for a raw prompt."""
    return "" if request.raw else chosen(own, request.settings["chat_template"])


def refuse_unusable(
    settings: Settings, own: Mapping[str, str], built_in: Callable[[], Collection[str]]
) -> None:
    """Raise UsageError if the user's chat template is neither Jinja nor the name of one there is:
    among a model's `own`, or in llama.cpp.
    """
    setting = settings.setting("chat_template")
    template = chosen(own, setting.value) if setting.value else ""
    if is_jinja(template):
        if fault := _fault(template):
            raise UsageError(
                f"the chat template ({setting.origin}) is not valid Jinja: {fault}",
                "llmparams inspect MODEL shows the model's own",
            )
    elif template and template not in (names := built_in()):
        guess = did_you_mean(template, [*own, *names])
        raise UsageError(
            f"chat_template ({setting.origin}): there is no file and no template "
            f"{brief(repr(template), 60)}{guess}",
            f"the model has {', '.join(own) or 'none'}; llama.cpp has {', '.join(names)}",
        )


def _fault(template: str) -> str:
    from llmparams_cli.templates.environment import compiled

    try:
        compiled(template)
    except Exception as error:  # TemplateError, RecursionError, …
        return brief(str(error))
    return ""
