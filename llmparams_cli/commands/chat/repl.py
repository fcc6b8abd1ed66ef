"""The loop of a chat: a message or a command in, an answer out."""

from __future__ import annotations

from contextlib import closing

from llmparams_cli.commands.chat import slash
from llmparams_cli.commands.chat.dialogue import Dialogue, Edited, Next, Say, Then
from llmparams_cli.commands.chat.lines import Lines, PipedLines
from llmparams_cli.commands.chat.terminal import left_as_found
from llmparams_cli.env import Environment
from llmparams_cli.errors import LlmparamsError
from llmparams_cli.interrupt import orderly_end
from llmparams_cli.jobs.chat.talk import Chat
from llmparams_cli.jobs.judging import warn_if_invalid
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.params.settings import DEFAULT
from llmparams_cli.params.table import PARAMS
from llmparams_cli.protocol import Finished, Piece, Started, StopReason
from llmparams_cli.records.chats.choices import Choices
from llmparams_cli.records.chats.entries import Dropped, configured
from llmparams_cli.records.chats.journal import ChatJournal
from llmparams_cli.render.chat import ChatView
from llmparams_cli.render.progress import ProgressBar


def run(
    env: Environment,
    view: ChatView,
    journal: ChatJournal,
    choices: Choices,
    first: str = "",
    *,
    wants_numbers: bool,
) -> None:
    """Talk until the user leaves; the `first` message may be known already. `wants_numbers`: the
    renderer colours tokens by their numbers.
    """
    bar = ProgressBar(env)
    try:
        # From here on the chat closes the journal, unless it cannot be made.
        chat = Chat(env, journal, choices, bar, 0 if wants_numbers else None)
    except BaseException:
        journal.close()
        raise
    with orderly_end(), left_as_found(env), closing(chat):
        note_model(env, chat.prepared)
        here = Dialogue(env, chat, view, _lines(env, chat, view), bar)
        _show_standing(here)
        _loop(here, first)


def _lines(env: Environment, chat: Chat, view: ChatView) -> Lines:
    if not (env.stdin_is_tty and (env.stdout_is_tty or env.stderr_is_tty)):
        return PipedLines(env)
    from llmparams_cli.commands.chat.terminal import TerminalLines

    saved = chat.journal.path is not None
    # --no-save: nothing of the chat may stay on disk, its typed lines included.
    history = env.state_dir / "chat-history" if saved else None
    return TerminalLines(env, history, view.color, lambda text: slash.completions(env, text))


def _loop(here: Dialogue, first: str) -> None:
    """Take turns until the user leaves."""
    if first and here.env.stdout_is_tty:
        here.view.asked(first)
    while True:
        try:
            text, first = first or _read(here), ""
            if text.strip() and not _turn(here, text):
                break
        except EOFError:
            break
        except KeyboardInterrupt:  # at the prompt: only the line is dropped
            if not here.lines.is_interactive:
                raise
    journal = here.chat.journal
    if here.lines.is_interactive and journal.path and not journal.is_new:
        here.view.remark(f"kept as {journal.path.stem}: llmparams chat --continue goes on")


def _read(here: Dialogue) -> str:
    if not here.lines.is_interactive:  # nobody is typing: there is no time to read ahead
        return here.lines.read()
    with here.chat.reading_ahead():
        return here.lines.read()


def _turn(here: Dialogue, text: str) -> bool:
    """Handle a message or a command. On a terminal the chat survives what goes wrong with it.

    False: the user wants to leave.
    """
    try:
        if not _do(here, _meaning(here, text)):
            return False
    except LlmparamsError as error:
        if not here.lines.is_interactive:
            raise
        here.view.error(f"{error.message} ({error.hint})" if error.hint else error.message)
    except KeyboardInterrupt:
        if not here.lines.is_interactive:
            raise
        here.view.remark("interrupted")
    if here.lines.is_interactive or here.env.stdout_is_tty:
        here.view.gap()
    return True


def _meaning(here: Dialogue, text: str) -> Next:
    """What a line asks for; if it is a command, that has been run."""
    if text.startswith("/") and not text.startswith(slash.LITERAL):
        return slash.run(here, text)
    return Say(text[1:] if text.startswith(slash.LITERAL) else text)


def _do(here: Dialogue, what: Next) -> bool:
    """Do what comes next. False: leave."""
    if isinstance(what, Edited):
        if command := slash.within(what):
            return _do(here, slash.run(here, command))
        here.chat.undo()
        what = Say(what.text)
    if isinstance(what, Say):
        if here.chat.say(what.text):
            here.view.remark("this message replaces the one before, which had no answer")
        _answer(here)
    elif what is Then.ANSWER:
        _answer(here)
    elif what is Then.SHOW:
        _show_standing(here)
    return what is not Then.LEAVE


def _answer(here: Dialogue) -> None:
    """Let the model answer the last message."""
    settings = here.chat.settings
    renderer = here.view.renderer()
    with here.bar, closing(here.chat.answer()) as events:
        for event in events:
            if isinstance(event, Dropped):
                when_full = here.chat.choices.when_full or "drop"
                here.view.dropped(event.turns, when_full, event.summary)
            elif isinstance(event, Started):
                started = event
                renderer.started(event)
            elif isinstance(event, Piece):
                renderer.piece(event)
            elif isinstance(event, Finished):
                renderer.finished(event)
                here.last = (started, event, settings)
                warn_if_invalid(here.env, event, settings)
                _stopped(here, event)


def _stopped(here: Dialogue, finished: Finished) -> None:
    if finished.stop.reason is not StopReason.INTERRUPTED:
        return
    if not here.lines.is_interactive:
        raise KeyboardInterrupt  # a script ends with the exit code of Ctrl-C
    if not finished.text:
        here.view.remark("nothing was answered: /retry asks again")


def _show_standing(here: Dialogue) -> None:
    """Show where a chat stands that is being continued."""
    journal, view = here.chat.journal, here.view
    if journal.torn:
        view.remark(f"{journal.path}: its last line was incomplete and has been removed")
    if journal.is_new:
        if here.lines.is_interactive:
            view.remark("/help lists the commands; Ctrl-D leaves")
        return
    _say_what_changed(here)
    turns = journal.transcript.turns
    hidden = len(turns) - len(journal.transcript.view)
    view.goes_on(journal.path.stem if journal.path else "", len(turns), hidden)
    if turns:
        answer = turns[-1].answer
        cut = answer is not None and answer.stop.reason is StopReason.INTERRUPTED
        view.last_turn(turns[-1].said.text, answer.text if answer else None, cut)
    if journal.transcript.waiting:
        view.remark("the last message has no answer yet: /retry asks for it")


def _say_what_changed(here: Dialogue) -> None:
    """Compare the settings that the chat was left with to those that it goes on with."""
    chat = here.chat
    if not (before := chat.transcript.configured):
        return
    now = configured(chat.choices, chat.prepared.model.name, chat.settings)
    if before.model != now.model:
        here.view.remark(f"model: was {before.model}, is {now.model}")
    for name in sorted({*before.settings, *now.settings}):
        (old, _), (new, origin) = (
            entry.settings.get(name, (PARAMS[name].default if name in PARAMS else None, DEFAULT))
            for entry in (before, now)
        )
        if old != new:
            here.view.remark(f"{name}: was {old}, is {new} ({origin})")
