"""Runs chat templates: messages and values go in, the text of a prompt comes out.

What templates find is what transformers gives them, for which they are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from llmparams_cli.errors import ModelError
from llmparams_cli.protocol import Message
from llmparams_cli.templates.choice import is_jinja
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.shorten import brief

SPECIAL_TOKENS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
ALWAYS = {"bos_token": "", "eos_token": ""}  # variables also where the vocabulary lacks them
ADDITIONAL = "additional_special_tokens"
REASONING = ("reasoning_content", "reasoning", "thinking")  # each template has its own name for it
UNDEFINED = re.compile(r"'(\w+)' is undefined")
CURE = "--chat-template takes another one"
ROLES = ("system", "user", "assistant", "user")
PROBE = "7301942"
PROMPT_TOO = "add_generation_prompt"  # the variable; without it the text ends with its last message


def renderer(
    model: Vocabulary, template: str, values: Mapping[str, Any]
) -> Callable[[Sequence[Message]], str]:
    """Runs this template, with `values` for its variables: it turns messages into a text that ends
    where the assistant's answer begins (unless `PROMPT_TOO` is False), or raises ModelError.
    """
    if not is_jinja(template):
        return partial(model.named_template, template, prompt=values.get(PROMPT_TOO, True))
    values = {**_tokens(model, template), **values}
    return partial(_run, _compile(template), values, as_parts=_wants_parts(template))


def written(model: Vocabulary, template: str) -> str:
    """A text with all control tokens that the template writes."""
    if is_jinja(template):
        return template
    return model.named_template(template, [Message(role, "x") for role in ROLES])


def _compile(template: str) -> Any:
    from llmparams_cli.templates.environment import compiled

    try:
        return compiled(template)
    except Exception as error:  # TemplateError, RecursionError, …
        raise ModelError(f"the chat template is not valid Jinja: {error}", CURE) from error


def _run(
    template: Any, values: Mapping[str, Any], messages: Sequence[Message], *, as_parts: bool
) -> str:
    from llmparams_cli.text import jinja

    given = {
        "messages": [_as_mapping(message, as_parts) for message in messages],
        PROMPT_TOO: True,
        "tools": None,
        "documents": None,
        **values,
    }
    try:
        try:
            return jinja.render(template, given)
        except TypeError:  # templates that are for tools alone want a list of them
            return jinja.render(template, {**given, "tools": given["tools"] or []})
    except Exception as error:  # whatever the template's code runs into
        reason = brief(str(error))
        missing = UNDEFINED.fullmatch(reason)
        cure = f"--template-arg {missing[1]}=VALUE sets it" if missing else CURE
        raise ModelError(f"the chat template fails: {reason}", cure) from error


@lru_cache(maxsize=100)
def _wants_parts(template: str) -> bool:
    """Are texts lost in it unless they are parts in a list, beside pictures?"""
    if "text" not in template:
        return False
    run = partial(_run, _compile(template), ALWAYS, [Message("user", PROBE)])
    return not _has_probe(run, as_parts=False) and _has_probe(run, as_parts=True)


def _has_probe(run: Callable[..., str], *, as_parts: bool) -> bool:
    try:
        return PROBE in run(as_parts=as_parts)
    except ModelError:
        return False


def _as_mapping(message: Message, as_parts: bool) -> dict[str, Any]:
    """A message as templates read it."""
    return {
        "role": message.role,
        "content": [{"type": "text", "text": message.content}] if as_parts else message.content,
        **dict.fromkeys(REASONING if message.reasoning else (), message.reasoning),
    }


def _tokens(model: Vocabulary, template: str) -> dict[str, Any]:
    """The special tokens that this template may write, by the names of their variables."""
    texts = {which: model.special_text(which) for which in SPECIAL_TOKENS}
    named = {**ALWAYS, **{f"{which}_token": text for which, text in texts.items() if text}}
    if ADDITIONAL in template:  # there may be thousands
        others = [text for text in model.control_texts if text not in texts.values()]
        return {**named, ADDITIONAL: others}
    return named
