"""Is an answer valid for the whole of its JSON Schema?"""

from __future__ import annotations

from typing import Any

from llmparams_cli.params.settings import Settings


def verdict(text: str, settings: Settings) -> dict[str, Any]:
    """What JSON tells of an answer to a JSON Schema: `valid`, and why it is not; else nothing."""
    schema = settings["json_schema"]
    if schema is None:
        return {}
    from llmparams_cli.constraints.schema_check import fault  # it takes a moment

    reason = fault(text, schema)
    return {"valid": not reason, **({"invalid": reason} if reason else {})}
