"""The slash commands of a chat: their table, and how a line becomes one of them.

Each gets the `Dialogue` and what follows its name, and returns what the loop has to do next;
nothing here knows the loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llmparams_cli.commands.chat import choosing, turns
from llmparams_cli.commands.chat.dialogue import Dialogue, Edited, Next, Then
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.chat import export
from llmparams_cli.models.names import known
from llmparams_cli.models.stores import STORES
from llmparams_cli.options.values import of_phase
from llmparams_cli.params.kinds import Choice, Switch, did_you_mean
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import values
from llmparams_cli.presets.find import available
from llmparams_cli.records.chats import sessions

LITERAL = "//"  # begins a message that itself begins with a slash
NOTES = (
    "A message that begins with // is sent with one slash. Alt-Enter, or a backslash before "
    "Enter, begins a new line. Ctrl-C stops an answer; Ctrl-D leaves.",
)


@dataclass(frozen=True)
class Slash:
    """A slash command: its argument ([...]: optional), its meaning for /help, what it does."""

    argument: str
    meaning: str
    act: Callable[[Dialogue, str], Next]


def run(here: Dialogue, line: str) -> Next:
    """Run a line that begins with a slash; return what the loop has to do next."""
    # Only the name is cut off: the rest may be a text in which blanks count.
    name, *rest = re.split(r"\s+", line[1:], maxsplit=1)
    name = ALIASES.get(name, name)
    if name not in SLASHES:
        raise UsageError(
            f"unknown command /{name}{_meant(name)}", "/help lists all; // begins a text with /"
        )
    command, argument = SLASHES[name], "".join(rest).strip()
    if argument and not command.argument:
        raise UsageError(f"/{name} takes no argument, but got {argument!r}")
    if not argument and command.argument and not command.argument.startswith("["):
        raise UsageError(f"/{name} needs {command.argument}", f"/{name} {command.argument}")
    return command.act(here, argument)


def _meant(name: str) -> str:
    return did_you_mean(f"/{name}", [f"/{known}" for known in SLASHES])


def completions(env: Environment, before: str) -> Iterator[tuple[str, str]]:
    """The possible completions of the last word before the cursor, each with a hint."""
    if not before.startswith("/") or "\n" in before:
        return
    head, _, word = before.rpartition(" ")
    if not head:
        words = {f"/{name}": command.meaning for name, command in SLASHES.items()}
    else:
        words = _arguments(env, head.split(), word)
    yield from ((text, hint) for text, hint in words.items() if text.startswith(word))


def _arguments(env: Environment, words: list[str], typed: str) -> dict[str, str]:
    match words:
        # The words before the one that is being completed.
        case ["/set" | "/unset" | "/params"]:
            others = {
                "/unset": {"system": "the system text", "model": "the model"},
                "/params": {choosing.ALL: "also those at their defaults"},
            }.get(words[0], {})
            names = {name: param.summary for name, param in PARAMS.items()}
            return names | of_phase(typed) | others
        case ["/set", name] if target := values.known(name):
            kind = target.param.kind
            if isinstance(kind, Choice):
                return dict.fromkeys(kind.words, "")
            return {"true": "", "false": ""} if isinstance(kind, Switch) else {}
        case ["/preset", *_]:
            return dict.fromkeys(sorted(available(env)), "")
        case ["/model"]:
            return {name: STORES[model.store].title for name, model in known(env).items()}
        case ["/load"]:
            return dict.fromkeys(sessions.names(env), "")
        case ["/thoughts"]:
            return dict.fromkeys(turns.SHOWN, "")
        case ["/export"]:
            return dict.fromkeys(export.FORMATS, "")
    return {}


def _help(here: Dialogue, _: str) -> None:
    rows = [
        (f"/{name} {slash.argument}".rstrip(), slash.meaning) for name, slash in SLASHES.items()
    ]
    here.view.help(rows, NOTES)


def _exit(_here: Dialogue, _: str) -> Next:
    return Then.LEAVE


SLASHES = {
    "set": Slash("NAME VALUE", "Change a parameter from here on.", choosing.set_),
    "unset": Slash("NAME", "Take a /set, or the /system or /model, back.", choosing.unset),
    "preset": Slash("[NAME...]", "Use these presets instead; - for none.", choosing.preset),
    "model": Slash("[NAME]", "Show or change the model.", choosing.model),
    "system": Slash("[TEXT]", "Show or change the system text.", choosing.system),
    "params": Slash(
        "[NAME|all]", "What is set, one value, or all, and where from.", choosing.params
    ),
    "why": Slash(
        "[N|all]", "How the last answer, its draw N, or every draw came about.", turns.why
    ),
    "thoughts": Slash(
        "[show|hide]", "The last answer's thoughts; or show or hide the next.", turns.thoughts
    ),
    "tokens": Slash("", "How full the context is.", turns.tokens),
    "retry": Slash("", "Answer again, with another seed.", turns.retry),
    "undo": Slash("", "Take the last turn back.", turns.undo),
    "edit": Slash("[TEXT]", "Change the last message and answer it.", turns.edit),
    "clear": Slash("", "Forget the whole conversation.", turns.clear),
    "save": Slash("NAME", "Keep this chat under a name.", turns.save),
    "save-preset": Slash("NAME", "Keep the settings as a preset.", choosing.save_preset),
    "load": Slash("NAME", "Leave this chat for another one.", turns.load),
    "export": Slash("md|json [FILE]", "Write the chat as Markdown or JSON.", turns.export_),
    "help": Slash("", "This list.", _help),
    "exit": Slash("", "Leave; the chat is kept. Also /quit and /bye.", _exit),
}
ALIASES = {"quit": "exit", "bye": "exit"}  # as other programs spell it


def within(edited: Edited) -> str:
    """The command that was typed where a message was to be edited: in its place, or behind it."""
    typed = edited.text.removeprefix(edited.before).strip()
    if not typed.startswith("/") or typed.startswith(LITERAL):
        return ""
    name = typed[1:].split(maxsplit=1)[:1]
    return typed if name and ALIASES.get(name[0], name[0]) in SLASHES else ""
