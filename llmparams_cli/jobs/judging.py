"""Says when an answer in plain text is not as its JSON Schema wants it."""

from __future__ import annotations

from llmparams_cli.constraints import wanted
from llmparams_cli.constraints.validity import fault
from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Finished, StopReason

INVALID = "the answer is not valid under json_schema"


def warn_if_invalid(env: Environment, finished: Finished, settings: Settings) -> None:
    """Print a line if the answer is not valid. One that the grammar let end is checked only if
    something of the schema is not followed to the letter: loading jsonschema takes longer than
    many an answer.
    """
    reason = finished.stop.reason
    if settings["json_schema"] is None or env.quiet or reason is StopReason.INTERRUPTED:
        return
    if reason is StopReason.END_OF_GENERATION and not _has_notes(settings):
        return
    if not _is_json(finished.text):
        env.warn(f"{INVALID}: it was cut off ({reason.value})")
        return
    if told := fault(finished.text, settings):
        env.warn(f"{INVALID}: {told}")


def _has_notes(settings: Settings) -> bool:
    """Does the grammar do anything otherwise than the schema?"""
    notes: list[str] = []
    wanted.from_settings(settings, notes.append)
    return bool(notes)


def _is_json(text: str) -> bool:
    from llmparams_cli.constraints.exact_json import NameTwice, read

    try:
        read(text)
    except NameTwice:
        return True
    except ValueError:
        return False
    return True
