"""Says when an answer in plain text is not as its JSON Schema wants it."""

from __future__ import annotations

from llmparams_cli.constraints import wanted
from llmparams_cli.constraints.checking.validity import fault
from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Finished, StopReason

INVALID = "not valid under json_schema"


def warn_if_invalid(env: Environment, finished: Finished, settings: Settings) -> None:
    """Print a line if the answer is not valid."""
    if not env.quiet and (told := invalid(finished, settings)):
        env.warn(f"the answer is {INVALID}: {told}")


def invalid(finished: Finished, settings: Settings) -> str:
    """Why the answer is not valid; empty if it is, or surely is. One that the grammar let end is
    checked only if that admits more than the schema: loading jsonschema takes longer than many an
    answer.
    """
    reason = finished.stop.reason
    if settings["json_schema"] is None or reason is StopReason.INTERRUPTED:
        return ""
    if reason is StopReason.END_OF_GENERATION and not wanted.admits_too_much(settings):
        return ""
    if not _is_json(finished.text):
        return f"it was cut off ({reason.value})"
    return fault(finished.text, settings)


def _is_json(text: str) -> bool:
    from llmparams_cli.constraints.checking.exact_json import NameTwice, read

    try:
        read(text)
    except NameTwice:
        return True
    except ValueError:
        return False
    return True
