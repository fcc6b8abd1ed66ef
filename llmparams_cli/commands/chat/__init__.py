"""`llmparams chat`: a conversation whose parameters change live."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.chat.choices import chosen
from llmparams_cli.options import (
    ColorOption,
    HelpInSections,
    HideThinkingOption,
    ModelOption,
    NoCacheOption,
    PresetOption,
    QuietOption,
    SystemOption,
    VarOption,
    VerboseOption,
    with_parameters,
)
from llmparams_cli.records.chats import sessions
from llmparams_cli.records.chats.choices import WhenFull
from llmparams_cli.records.chats.journal import ChatJournal

HELP = HelpInSections
LIST = "list"


@with_parameters
def command(
    ctx: typer.Context,
    message: Annotated[
        str | None,
        typer.Argument(
            metavar="[MESSAGE|list]", help="The first message; list shows the chats that were kept."
        ),
    ] = None,
    model: ModelOption = None,
    preset: PresetOption = None,
    var: VarOption = None,
    system: SystemOption = None,
    go_on: Annotated[
        bool, typer.Option("--continue", help="Go on with the chat that was used last.")
    ] = False,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="NAME", help="Go on with this chat, or begin it."),
    ] = None,
    no_save: Annotated[bool, typer.Option("--no-save", help="Keep nothing of this chat.")] = False,
    when_full: Annotated[
        WhenFull | None,
        typer.Option(
            "--when-full",
            help="What to do with the oldest turns when the context is full. [drop]",
            show_default=False,
        ),
    ] = None,
    color: ColorOption = "auto",
    color_by: Annotated[
        Literal["probability", "entropy"] | None,
        typer.Option("--color-by", help="Colour every token by the model's own numbers."),
    ] = None,
    hide_thinking: HideThinkingOption = False,
    no_cache: NoCacheOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Talk with a model. Settings change live, with /set; chats are kept, and go on with
    --continue.

    Without a terminal, every line of standard input is a message or a command, and the first
    error ends the chat with its exit code.

    \b
    llmparams chat -p creative-chat
    llmparams chat "Who are you?"
    llmparams chat --continue --temperature 0.2
    llmparams chat list
    printf '%s\\n' "Who are you?" "/set seed 7" "Tell me a story." | llmparams chat --no-save
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet, env.keeps_prompts = verbose, quiet, not (no_cache or no_save)
    if message == LIST:
        _list(env)
        return
    # Here, so that `chat list` and --help do not wait for these imports.
    from llmparams_cli.commands.chat.repl import run
    from llmparams_cli.render.chat import ChatView

    choices = chosen(
        env, preset or [], var or [], {**flags, "model": model, "system": system}, when_full
    )
    journal = _open(env, go_on, session, no_save)
    view = ChatView(env, color, color_by, hide_thinking=hide_thinking)
    run(env, view, journal, choices, message or "", wants_numbers=bool(color_by))


def _open(env: Environment, go_on: bool, session: str | None, no_save: bool) -> ChatJournal:
    """The chat that --continue, --session or --no-save asks for; otherwise a new one."""
    if go_on + (session is not None) + no_save > 1:
        raise UsageError("--continue, --session and --no-save exclude each other")
    if no_save:
        return ChatJournal(None)
    if go_on:
        return ChatJournal(sessions.newest(env))
    return ChatJournal(sessions.fresh(env) if session is None else sessions.path_of(env, session))


def _list(env: Environment) -> None:
    from llmparams_cli.render.chat import ListedChat, chat_list

    chats = [
        ListedChat(chat.name, chat.changed, chat.turns, chat.words, chat.model, chat.fault)
        for chat in sessions.summaries(env)
    ]
    if not chats:
        env.note("no chats were kept yet")
    chat_list(env, chats)
