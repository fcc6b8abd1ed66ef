"""Is an answer valid for the whole of its JSON Schema?"""

from __future__ import annotations

from typing import Any

from llmparams_cli.params.settings import Settings


def verdict(text: str, settings: Settings) -> dict[str, Any]:
    """What JSON tells of an answer to a JSON Schema: `valid`, and why it is not; else nothing."""
    if settings["json_schema"] is None:
        return {}
    reason = fault(text, settings)
    return {"valid": not reason, **({"invalid": reason} if reason else {})}


def fault(text: str, settings: Settings) -> str:
    """Where and why the answer is not valid for the JSON Schema of the settings; empty if it is."""
    # Imported this late because it takes a moment, which few answers need.
    from llmparams_cli.constraints.checking import schema_check

    return schema_check.fault(text, unwrapped(settings["json_schema"]))


def unwrapped(schema: Any) -> Any:
    """The schema as it was written, without what services take it in."""
    from llmparams_cli.constraints.difference import NotFollowed
    from llmparams_cli.constraints.reading import envelopes
    from llmparams_cli.constraints.reading.read import schema_of

    try:
        read = schema_of(schema).schema
    except NotFollowed:
        return schema
    # Of this draft a property says itself whether it is required; it is not read in another way.
    is_old = isinstance(read, dict) and "draft-03" in str(read.get("$schema"))
    return envelopes.unwrapped(schema)[0] if is_old else read
