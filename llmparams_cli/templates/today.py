"""The date that chat templates write into prompts."""

from __future__ import annotations

from datetime import datetime


class Today:
    """What a template takes for now: `date` (ISO 8601, local), or, if that is empty, the clock."""

    def __init__(self, date: str) -> None:
        self._moment = datetime.fromisoformat(date) if date else datetime.now()
        self.asked_for = ""  # the date, once the template has asked for it

    def strftime_now(self, form: str) -> str:
        """The function of that name, which templates call."""
        self.asked_for = self._moment.isoformat()
        return self._moment.strftime(form)
