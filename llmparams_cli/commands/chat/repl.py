"""The loop of a chat: a message or a command in, an answer out."""

from __future__ import annotations

from contextlib import closing
from typing import Protocol

from llmparams_cli.commands.chat import slash
from llmparams_cli.commands.chat.lines import PipedLines
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode, LlmparamsError
from llmparams_cli.jobs.chat.choices import Choices
from llmparams_cli.jobs.chat.entries import Dropped
from llmparams_cli.jobs.chat.journal import Journal
from llmparams_cli.jobs.chat.talk import Chat
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Finished, Piece, Started, StopReason
from llmparams_cli.render.chat import ChatView
from llmparams_cli.render.progress import ProgressBar

LITERAL = "//"  # begins a message with a slash


class Lines(Protocol):
    """Where messages come from."""

    is_interactive: bool

    def read(self, prefilled: str = "") -> str: ...


class Repl:
    """One run of the program: a chat, or several after each other."""

    chat: Chat
    lines: Lines

    def __init__(self, env: Environment, view: ChatView, *, wants_numbers: bool) -> None:
        self.env = env
        self.view = view
        self.last: tuple[Started, Finished, Settings] | None = None
        self._numbers = 0 if wants_numbers else None  # those of the tokens themselves
        self._bar = ProgressBar(env)

    def run(self, journal: Journal, choices: Choices) -> ExitCode:
        """Talk until the user leaves; the exit code."""
        try:
            self.chat = Chat(
                self.env, journal, self.restored(journal, choices), self._progress, self._numbers
            )
        except BaseException:
            journal.close()
            raise
        with closing(self.chat):
            if self.chat.prepared.model.is_builtin:
                self.env.note("no --model given: using the small built-in model")
            self.lines = self._lines()
            self.show_restored()
            return self._loop()

    def restored(self, journal: Journal, choices: Choices) -> Choices:
        """What the chat was left with, under what is asked for now."""
        before = journal.transcript.configured
        return before.choices.under(choices) if before else choices

    def show_restored(self) -> None:
        """Tell where the chat stands that goes on."""
        journal, view = self.chat.journal, self.view
        if journal.torn:
            view.remark(f"{journal.path}: its last line was torn, and was taken away")
        if journal.is_new:
            if self.lines.is_interactive:
                view.remark("/help lists the commands; Ctrl-D leaves")
            return
        slash.say_what_changed(self, journal.transcript)
        turns = journal.transcript.turns
        hidden = len(turns) - len(journal.transcript.view)
        view.goes_on(journal.path.stem if journal.path else "", len(turns), hidden)
        if turns:
            answer = turns[-1].answer
            cut = answer is not None and answer.stop.reason is StopReason.INTERRUPTED
            view.last_turn(turns[-1].said.text, answer.text if answer else None, cut)
        if journal.transcript.waiting:
            view.remark("the last message has no answer yet: /retry asks for it")

    def answer(self) -> None:
        """Let the model answer the last message."""
        settings = self.chat.settings
        renderer = self.view.renderer()
        with ProgressBar(self.env) as self._bar, closing(self.chat.answer()) as events:
            for event in events:
                if isinstance(event, Dropped):
                    when_full = self.chat.choices.when_full or "drop"
                    self.view.dropped(event.turns, when_full, event.summary)
                elif isinstance(event, Started):
                    started = event
                    renderer.started(event)
                elif isinstance(event, Piece):
                    renderer.piece(event)
                elif isinstance(event, Finished):
                    renderer.finished(event)
                    self.last = (started, event, settings)
                    self._stopped(event)

    def _stopped(self, finished: Finished) -> None:
        if finished.stop.reason is not StopReason.INTERRUPTED:
            return
        if not self.lines.is_interactive:
            raise KeyboardInterrupt
        if not finished.text:
            self.view.remark("nothing was answered: /retry asks again")

    def _loop(self) -> ExitCode:
        while True:
            try:
                text = self.lines.read()
                if text.strip():
                    self._turn(text)
            except (EOFError, slash.Leave):
                self._leave()
                return ExitCode.SUCCESS
            except KeyboardInterrupt:  # at the prompt: the line is gone, nothing else
                if not self.lines.is_interactive:
                    raise

    def _turn(self, text: str) -> None:
        """A message or a command; on a terminal, the chat survives what goes wrong with it."""
        try:
            if text.startswith("/") and not text.startswith(LITERAL):
                slash.run(self, text)
            else:
                self.say(text[1:] if text.startswith(LITERAL) else text)
        except LlmparamsError as error:
            if not self.lines.is_interactive:
                raise
            self.view.error(f"{error.message} ({error.hint})" if error.hint else error.message)
        except KeyboardInterrupt:
            if not self.lines.is_interactive:
                raise
            self.view.remark("interrupted")
        if self.env.stdout_is_tty:
            self.view.gap()

    def _leave(self) -> None:
        journal = self.chat.journal
        if self.lines.is_interactive and journal.path and not journal.is_new:
            self.view.remark(f"kept as {journal.path.stem}: llmparams chat --continue goes on")

    def say(self, text: str) -> None:
        """Send a message and let it be answered."""
        if self.chat.say(text):
            self.view.remark("the message before had no answer, and this one takes its place")
        self.answer()

    def progress_within(self) -> ProgressBar:
        """A bar for work that is no answer."""
        self._bar = ProgressBar(self.env)
        return self._bar

    def _progress(self, what: str, done: float) -> None:
        self._bar(what, done)

    def _lines(self) -> Lines:
        env = self.env
        if not (env.stdin_is_tty and env.stdout_is_tty):
            return PipedLines(env)
        from llmparams_cli.commands.chat.terminal import TerminalLines

        saved = self.chat.journal.path is not None
        history = env.state_dir / "chat-history" if saved else None
        return TerminalLines(
            env, history, self.view.color, lambda text: slash.completions(env, text)
        )
