"""What the commands that ask a model have in common, beside their options."""

from __future__ import annotations

from collections.abc import Collection

from llmparams_cli.env import Environment
from llmparams_cli.errors import UnwantedStop, UsageError
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.protocol import Stop, StopReason
from llmparams_cli.render import settings_view


def show_resolution(
    env: Environment, prepared: Prepared, color: str, *, as_json: bool = False, rest: str = ""
) -> None:
    """Print every value with its origin (--show-params); with `rest`, only what is set."""
    settings_view.show(
        env,
        prepared.settings,
        model=(prepared.model.known_as or prepared.model.name, prepared.model_origin),
        system=prepared.system,
        prompt=prepared.prompt_template.source if prepared.prompt_template else None,
        color=color,
        as_json=as_json,
        rest=rest,
    )


def stop_reasons(text: str | None) -> set[StopReason]:
    """Read --fail-on."""
    words = [reason.value for reason in StopReason]
    reasons = set()
    for word in filter(None, (text or "").split(",")):
        if word.strip() not in words:
            raise UsageError(
                f"--fail-on: {word.strip()!r} is not a stop reason"
                f"{did_you_mean(word.strip(), words)}",
                f"one or more of {', '.join(words)}",
            )
        reasons.add(StopReason(word.strip()))
    return reasons


def refuse_unwanted(stop: Stop, unwanted: Collection[StopReason]) -> None:
    """Raise UnwantedStop if the answer ended for one of these reasons (--fail-on)."""
    if stop.reason in unwanted:
        named = ",".join(reason.value for reason in StopReason if reason in unwanted)
        raise UnwantedStop(
            f"generation stopped: {stop.reason.value} ({stop.detail})", f"--fail-on {named}"
        )
