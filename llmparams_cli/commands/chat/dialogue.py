"""What the loop of a chat and its slash commands share, so that neither imports the other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from llmparams_cli.commands.chat.lines import Lines
from llmparams_cli.env import Environment
from llmparams_cli.jobs.chat.talk import Chat
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Finished, Started
from llmparams_cli.render.chat import ChatView
from llmparams_cli.render.progress import ProgressBar


@dataclass
class Dialogue:
    """A chat and its user: all that a slash command may look at and use.

    `last` is the latest answer in this run; `bar` shows the progress of the chat's work.
    """

    env: Environment
    chat: Chat
    view: ChatView
    lines: Lines
    bar: ProgressBar
    last: tuple[Started, Finished, Settings] | None = None


@dataclass(frozen=True)
class Say:
    """Send this message, and let it be answered."""

    text: str


@dataclass(frozen=True)
class Edited:
    """The last message was `before`, and this was typed in its place."""

    before: str
    text: str


class Then(Enum):
    """What else the loop may have to do after a command."""

    ANSWER = auto()  # answer the last message again
    SHOW = auto()  # show where the chat stands: it is another one now
    LEAVE = auto()  # end the program


Next = Say | Edited | Then | None
