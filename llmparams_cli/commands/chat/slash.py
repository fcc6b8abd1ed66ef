"""The commands inside a chat: /set, /retry, /save and the others."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmparams_cli.commands.params import find as find_parameter
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import write_whole
from llmparams_cli.jobs.chat import export, sessions
from llmparams_cli.jobs.chat.choices import Choices, changes, is_live, live, portable
from llmparams_cli.jobs.chat.entries import configured
from llmparams_cli.jobs.chat.journal import Journal
from llmparams_cli.jobs.chat.transcript import Transcript
from llmparams_cli.jobs.explain import token_at
from llmparams_cli.params.kinds import Choice, Switch, did_you_mean
from llmparams_cli.params.settings import Assignment
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import values
from llmparams_cli.presets.document import Placed
from llmparams_cli.presets.files import resolve as resolve_path
from llmparams_cli.presets.find import available

if TYPE_CHECKING:
    from llmparams_cli.commands.chat.repl import Repl

ALL = "all"  # in /why: every draw
TOP = 8  # candidates of a draw that /why shows
NONE = "-"  # in /preset: no preset at all
NOTES = (
    "A message that begins with // is sent with one slash. Alt-Enter, or a backslash before "
    "Enter, begins a new line. Ctrl-C stops an answer; Ctrl-D leaves.",
)


class Leave(Exception):
    """The user wants to go."""


@dataclass(frozen=True)
class Slash:
    """A command: what comes behind it, what it does."""

    argument: str
    meaning: str
    act: Callable[[Repl, str], None]


def run(repl: Repl, line: str) -> None:
    """Obey a line that begins with a slash."""
    name, *rest = re.split(r"\s+", line[1:], maxsplit=1)
    if name not in SLASHES:
        raise UsageError(
            f"unknown command /{name}{_meant(name)}", "/help lists all; // begins a text with /"
        )
    command, argument = SLASHES[name], "".join(rest).strip()
    if argument and not command.argument:
        raise UsageError(f"/{name} takes nothing behind it, and got {argument!r}")
    if not argument and command.argument and not command.argument.startswith("["):
        raise UsageError(f"/{name} needs {command.argument}", f"/{name} {command.argument}")
    command.act(repl, argument)


def _meant(name: str) -> str:
    return did_you_mean(f"/{name}", [f"/{known}" for known in SLASHES])


def completions(env: Environment, before: str) -> Iterator[tuple[str, str]]:
    """What may complete the last word before the cursor, each with a hint."""
    if not before.startswith("/") or "\n" in before:
        return
    head, _, word = before.rpartition(" ")
    if not head:
        words = {f"/{name}": command.meaning for name, command in SLASHES.items()}
    else:
        words = _arguments(env, head.split())
    yield from ((text, hint) for text, hint in words.items() if text.startswith(word))


def _arguments(env: Environment, words: list[str]) -> dict[str, str]:
    match words:
        case ["/set" | "/unset" | "/params"]:
            system = {"system": "the system text"} if words == ["/unset"] else {}
            return {name: param.summary for name, param in PARAMS.items()} | system
        case ["/set", name] if name in PARAMS:
            kind = PARAMS[name].kind
            if isinstance(kind, Choice):
                return dict.fromkeys(kind.words, "")
            return {"true": "", "false": ""} if isinstance(kind, Switch) else {}
        case ["/preset", *_]:
            return dict.fromkeys(sorted(available(env)), "")
        case ["/load"]:
            return dict.fromkeys(sessions.names(env), "")
        case ["/export"]:
            return dict.fromkeys(export.FORMATS, "")
    return {}


def _set(repl: Repl, argument: str) -> None:
    name, value = values.pair(argument, values.EQUALS_OR_BLANK)
    param = find_parameter(name)
    if not value:
        raise UsageError(f"/set {name} needs a value", values.see(param))
    place = f"/set {param.name}"
    many = param.kind.many
    texts = _words(value, place, values.see(param)) if many else [_unquoted(value)]
    checked = values.given(param, texts, repl.env.directory, place)
    new = Assignment(param.name, checked, live("/set"))
    before = repl.chat.settings[param.name]
    _choose(repl, repl.chat.choices.with_values(new))
    if before == checked:
        repl.view.remark(f"{param.name} was {param.kind.show(checked)} already")


def _words(text: str, place: str, hint: str) -> list[str]:
    """Split as a shell does."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{place}: {error}", hint) from error


def _unquoted(text: str) -> str:
    """Quotes around all of it are for the shell, out of habit; '' is the empty text."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] in "'\"" else text


def _unset(repl: Repl, argument: str) -> None:
    choices = repl.chat.choices
    if argument == "system":
        if not is_live(choices.system):
            raise UsageError("/unset system: it was not set in this chat")
        _choose(repl, replace(choices, system=None))
        return
    param = find_parameter(argument)
    if not any(value.name == param.name and is_live(value) for value in choices.values):
        setting = repl.chat.settings.setting(param.name)
        raise UsageError(
            f"/unset {param.name}: it was not set in this chat", f"it comes from {setting.origin}"
        )
    _choose(repl, choices.without(param.name))


def _preset(repl: Repl, argument: str) -> None:
    words = _words(argument, "/preset", "a quote needs its counterpart")
    if not words:
        used = repl.chat.choices.presets
        repl.view.write(f"in use: {', '.join(used) or 'none'}")
        repl.view.write(f"there are {', '.join(sorted(available(repl.env)))}")
        return
    variables = tuple(word for word in words if "=" in word)
    names = [word for word in words if "=" not in word and word != NONE]
    presets = portable(repl.env, names)
    _choose(repl, replace(repl.chat.choices, presets=presets, variables=variables))


def _system(repl: Repl, argument: str) -> None:
    if argument:
        _choose(repl, replace(repl.chat.choices, system=Placed(argument, live("/system"))))
    elif system := repl.chat.prepared.system:
        repl.view.write(f"{system.text}  ({system.origin})")
    else:
        repl.view.write("there is no system text")


def _choose(repl: Repl, choices: Choices) -> None:
    """Take new choices, and tell what they change."""
    before, after = repl.chat.choose(choices)
    repl.view.changed(changes(before.settings, after.settings))
    if before.system != after.system:
        text = f"{after.system.text} ({after.system.origin})" if after.system else "none"
        repl.view.remark(f"system text: {text}")
    if before.model.path != after.model.path:
        repl.view.remark(f"model: {after.model.header.name} ({after.model_origin})")
    loads, makes = repl.chat.reloads(before, after)
    if loads:
        repl.view.remark("the model is loaded again for the next answer")
    elif makes:
        repl.view.remark("the context is made again, and the whole chat read, for the next answer")


def say_what_changed(repl: Repl, transcript: Transcript) -> None:
    """Compare the settings that a chat was left with to those that it goes on with."""
    if not (before := transcript.configured):
        return
    chat = repl.chat
    now = configured(chat.choices, chat.prepared.model.header.name, chat.settings)
    if before.model != now.model:
        repl.view.remark(f"model: was {before.model}, is {now.model}")
    for name in sorted({*before.settings, *now.settings}):
        (old, _), (new, origin) = (
            entry.settings.get(name, (PARAMS[name].default if name in PARAMS else None, "default"))
            for entry in (before, now)
        )
        if old != new:
            repl.view.remark(f"{name}: was {old}, is {new} ({origin})")


def _params(repl: Repl, argument: str) -> None:
    from llmparams_cli.render import settings_view

    prepared = repl.chat.prepared
    if argument:
        repl.view.setting(prepared.settings.setting(find_parameter(argument).name))
        return
    settings_view.show(
        repl.env,
        prepared.settings,
        model=(prepared.model.header.name, prepared.model_origin),
        system=prepared.system,
        prompt=prepared.template.source if prepared.template else None,
        color=repl.view.color,
    )


def _why(repl: Repl, argument: str) -> None:
    if repl.last is None:
        raise UsageError("/why: nothing was answered since this program started")
    if not argument:
        repl.view.why(*repl.last)
        return
    if argument != ALL and not argument.isdecimal():
        raise UsageError(f"/why: {argument!r} is neither {ALL} nor the number of a draw")
    from llmparams_cli.render.explanation.draw import show_token
    from llmparams_cli.render.explanation.overview import show

    with repl.progress_within():
        explanation = repl.chat.explain(TOP)
    _, finished, _ = repl.last
    if [token.id for token in explanation.finished.tokens] != [t.id for t in finished.tokens]:
        repl.view.remark("the same seed gave another answer this time; this is about that one")
    if argument == ALL:
        show(repl.env, explanation, color=repl.view.color)
        return
    token = token_at(explanation, int(argument))
    show_token(repl.env, explanation, token, color=repl.view.color)


def _retry(repl: Repl, _: str) -> None:
    repl.chat.again()
    settings, turn = repl.chat.settings, repl.chat.transcript.turns[-1]
    if turn.tries and settings["temperature"] == 0:
        repl.view.remark("at temperature 0 nothing is drawn: the answer will be the same")
    repl.answer()


def _undo(repl: Repl, _: str) -> None:
    turn = repl.chat.undo()
    repl.view.remark(f"taken back: {turn.said.text[:60]}")


def _edit(repl: Repl, argument: str) -> None:
    turns = repl.chat.transcript.turns
    if not turns:
        raise UsageError("/edit: nothing was said yet")
    try:
        text = argument or repl.lines.read(turns[-1].said.text)
    except EOFError:  # thought better of it
        return
    if text.strip():
        repl.chat.undo()
        repl.say(text)


def _save(repl: Repl, name: str) -> None:
    repl.chat.journal.move(sessions.path_of(repl.env, name))
    repl.view.remark(f"this chat is kept as {name}")


def _load(repl: Repl, name: str) -> None:
    path = sessions.existing(repl.env, name)
    if path == repl.chat.journal.path:
        raise UsageError(f"/load: this chat is {name} already")
    journal = Journal(path)
    try:
        repl.chat.turn_to(journal, repl.restored(journal, Choices()))
    except BaseException:
        journal.close()
        raise
    repl.last = None
    repl.show_restored()


def _export(repl: Repl, argument: str) -> None:
    form, *file = argument.split(maxsplit=1)
    if form not in export.FORMATS:
        raise UsageError(
            f"/export: {form!r} is not a format{did_you_mean(form, export.FORMATS)}", "md or json"
        )
    chat = repl.chat
    name = chat.journal.path.stem if chat.journal.path else ""
    model = chat.prepared.model.header.name
    text = export.FORMATS[form](chat.transcript, name, model, chat.system)
    if not file:
        repl.view.write(text.rstrip("\n"))
        return
    path = resolve_path(file[0], repl.env.directory)
    try:
        write_whole(path, text, replace=False)
    except FileExistsError as error:
        raise UsageError(f"/export: {path} is there already", "choose another name") from error
    except (OSError, ValueError) as error:  # a path may hold a zero byte
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"/export: {path}: {reason}") from error
    repl.view.remark(f"written to {path}")


def _tokens(repl: Repl, _: str) -> None:
    with repl.progress_within():
        measure = repl.chat.measure()
    parts = (measure.system, measure.history, measure.answer, max(0, measure.free))
    repl.view.tokens(parts, measure.context)
    if measure.out_of_view:
        repl.view.out_of_view(measure.out_of_view, summarized=measure.summarized)


def _clear(repl: Repl, _: str) -> None:
    count = repl.chat.clear()
    repl.view.remark(f"{count} turns are forgotten" if count else "there was nothing to forget")


def _help(repl: Repl, _: str) -> None:
    rows = [
        (f"/{name} {slash.argument}".rstrip(), slash.meaning) for name, slash in SLASHES.items()
    ]
    repl.view.help(rows, NOTES)


def _exit(_repl: Repl, _: str) -> None:
    raise Leave


SLASHES = {
    "set": Slash("NAME VALUE", "Change a parameter from here on.", _set),
    "unset": Slash("NAME", "Take a /set, or the /system, back.", _unset),
    "preset": Slash("[NAME...]", "Use these presets instead; - for none.", _preset),
    "system": Slash("[TEXT]", "Show or change the system text.", _system),
    "params": Slash("[NAME]", "All values, or one, and where they come from.", _params),
    "why": Slash("[N|all]", "How the last answer, its draw N, or every draw came about.", _why),
    "tokens": Slash("", "How full the context is.", _tokens),
    "retry": Slash("", "Answer again, with another seed.", _retry),
    "undo": Slash("", "Take the last turn back.", _undo),
    "edit": Slash("[TEXT]", "Change the last message and answer it.", _edit),
    "clear": Slash("", "Forget the whole conversation.", _clear),
    "save": Slash("NAME", "Keep this chat under a name.", _save),
    "load": Slash("NAME", "Leave this chat for another one.", _load),
    "export": Slash("md|json [FILE]", "Write the chat as Markdown or JSON.", _export),
    "help": Slash("", "This list.", _help),
    "exit": Slash("", "Leave; the chat is kept.", _exit),
}
