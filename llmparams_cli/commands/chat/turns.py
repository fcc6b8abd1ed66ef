"""The slash commands that look at turns, take them back, and keep them: /why, /undo, /save, …"""

from __future__ import annotations

from llmparams_cli.commands.chat.dialogue import Dialogue, Edited, Next, Say, Then
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path, write_whole
from llmparams_cli.jobs.chat import export
from llmparams_cli.jobs.explain import token_at
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.records.chats import sessions

ALL = "all"  # in /why: every draw
SHOWN = {"show": True, "hide": False}  # in /thoughts
TOP = 8  # candidates of a draw that /why shows


def why(here: Dialogue, argument: str) -> None:
    """How the last answer, one of its draws, or every draw came about."""
    if here.last is None:
        raise UsageError("/why: nothing was answered since this program started")
    if not argument:
        here.view.why(*here.last)
        return
    if argument != ALL and not argument.isdecimal():
        raise UsageError(f"/why: {argument!r} is neither {ALL} nor the number of a draw")
    from llmparams_cli.render.explanation.draw import show_token
    from llmparams_cli.render.explanation.overview import show

    with here.bar:
        explanation = here.chat.explain(TOP)
    _, finished, _ = here.last
    if [token.id for token in explanation.finished.tokens] != [t.id for t in finished.tokens]:
        here.view.remark("the same seed gave another answer this time; this is about that one")
    if argument == ALL:
        show(here.env, explanation, color=here.view.color)
        return
    token = token_at(explanation, int(argument))
    show_token(here.env, explanation, token, color=here.view.color)


def thoughts(here: Dialogue, argument: str) -> None:
    """Show what was thought before the last answer; or show or hide thoughts from here on."""
    if argument:
        if argument not in SHOWN:
            raise UsageError(f"/thoughts: {argument!r} is neither {' nor '.join(SHOWN)}")
        here.view.hide_thinking = not SHOWN[argument]
        here.view.remark(f"thoughts are {'shown' if SHOWN[argument] else 'hidden'} from here on")
        return
    answers = [turn.answer for turn in here.chat.transcript.turns if turn.answer]
    if not answers or not answers[-1].reasoning:
        raise UsageError("/thoughts: nothing was thought before the last answer")
    here.view.thoughts(answers[-1].reasoning)


def retry(here: Dialogue, _: str) -> Next:
    """Answer again, with another seed."""
    here.chat.again()
    settings, turn = here.chat.settings, here.chat.transcript.turns[-1]
    if turn.tries and settings["temperature"] == 0:
        here.view.remark("at temperature 0 nothing is drawn: the answer will be the same")
    return Then.ANSWER


def undo(here: Dialogue, _: str) -> None:
    """Take the last turn back."""
    turn = here.chat.undo()
    here.view.remark(f"taken back: {turn.said.text[:60]}")


def edit(here: Dialogue, argument: str) -> Next:
    """Change the last message and answer it."""
    turns = here.chat.transcript.turns
    if not turns:
        raise UsageError("/edit: nothing was said yet")
    before = turns[-1].said.text
    if argument:
        here.chat.undo()
        return Say(argument)
    try:
        text = here.lines.read(before)
    except EOFError:  # Ctrl-D: the message stays as it was
        return None
    return Edited(before, text) if text.strip() else None


def save(here: Dialogue, name: str) -> None:
    """Keep this chat under a name."""
    here.chat.journal.move(sessions.path_of(here.env, name))
    here.view.remark(f"this chat is kept as {name}")


def load(here: Dialogue, name: str) -> Next:
    """Leave this chat for another one."""
    path = sessions.existing(here.env, name)
    if path == here.chat.journal.path:
        raise UsageError(f"/load: this chat is {name} already")
    here.chat.turn_to(path)
    here.last = None
    return Then.SHOW


def export_(here: Dialogue, argument: str) -> None:
    """Write the chat as Markdown or JSON."""
    form, *file = argument.split(maxsplit=1)
    if form not in export.FORMATS:
        raise UsageError(
            f"/export: {form!r} is not a format{did_you_mean(form, export.FORMATS)}", "md or json"
        )
    chat = here.chat
    name = chat.journal.path.stem if chat.journal.path else ""
    model = chat.prepared.model.name
    text = export.FORMATS[form](chat.transcript, name, model, chat.system)
    if not file:
        here.view.write(text.rstrip("\n"))
        return
    path = resolve_path(file[0], here.env.directory)
    try:
        write_whole(path, text, replace=False)
    except FileExistsError as error:
        raise UsageError(f"/export: {path} is there already", "choose another name") from error
    except (OSError, ValueError) as error:  # a path may hold a zero byte
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"/export: {path}: {reason}") from error
    here.view.remark(f"written to {path}")


def tokens(here: Dialogue, _: str) -> None:
    """How full the context is."""
    with here.bar:
        measure = here.chat.measure()
    parts = (measure.system, measure.history, measure.answer, max(0, measure.free))
    here.view.tokens(parts, measure.context)
    if measure.out_of_view:
        here.view.out_of_view(measure.out_of_view, summarized=measure.summarized)


def clear(here: Dialogue, _: str) -> None:
    """Forget the whole conversation."""
    count = here.chat.clear()
    here.view.remark(f"{count} turns are forgotten" if count else "there was nothing to forget")
