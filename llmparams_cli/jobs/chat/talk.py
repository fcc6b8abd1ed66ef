"""One conversation: its messages, answers and second tries, and the settings they are made with."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.answers import Seen, answer
from llmparams_cli.jobs.chat import room
from llmparams_cli.jobs.chat.choices import configure, live
from llmparams_cli.jobs.chat.loaded import LoadedModel
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params import seeds
from llmparams_cli.params.settings import Assignment, Settings
from llmparams_cli.protocol import (
    Finished,
    Message,
    Piece,
    Progress,
    Request,
    Started,
    Stop,
    StopReason,
    Usage,
)
from llmparams_cli.records.chats.choices import Choices
from llmparams_cli.records.chats.entries import (
    Answered,
    Cleared,
    Dropped,
    Retried,
    Said,
    Undone,
    configured,
)
from llmparams_cli.records.chats.journal import ChatJournal
from llmparams_cli.records.chats.transcript import Transcript, Turn


class Chat:
    """One conversation. Close it: it holds a model.

    What a kept chat was left with stays in force, below the `choices` of now.
    """

    def __init__(
        self,
        env: Environment,
        journal: ChatJournal,
        choices: Choices,
        progress: Progress,
        logprobs: int | None = None,
    ) -> None:
        self.env = env
        self.journal = journal
        self.choices = _continued(journal, choices)
        self.prepared = configure(env, self.choices)
        self._model = LoadedModel(env, progress)
        self._logprobs = logprobs
        self._last: Request | None = None

    @property
    def transcript(self) -> Transcript:
        return self.journal.transcript

    @property
    def settings(self) -> Settings:
        return self.prepared.settings

    @property
    def system(self) -> str:
        return self.prepared.system.text if self.prepared.system else ""

    def choose(self, choices: Choices) -> tuple[Prepared, Prepared]:
        """Go on with other choices; return the resolution before and after."""
        before, self.prepared = self.prepared, configure(self.env, choices)
        self.choices = choices
        if not self.journal.is_new:
            self._settle()
        return before, self.prepared

    def turn_to(self, path: Path) -> None:
        """Leave this chat for the one kept in `path`."""
        # All of the new chat first: if any of it fails, the old one goes on.
        journal = ChatJournal(path)
        try:
            choices = _continued(journal, Choices())
            prepared = configure(self.env, choices)
        except BaseException:
            journal.close()
            raise
        self.journal.close()
        self.journal, self.choices, self.prepared = journal, choices, prepared
        self._last = None

    def reloads(self, before: Prepared, after: Prepared) -> tuple[bool, bool]:
        """See `LoadedModel.reloads`."""
        return self._model.reloads(before, after)

    def say(self, text: str) -> bool:
        """Take a message from the user. Does it replace an earlier one that got no answer?"""
        template = self.prepared.prompt_template
        said = Said(text, template.render(text) if template else text)
        self._settle()
        replaces = self.transcript.waiting
        if replaces:
            self.journal.record(Undone())
        self.journal.record(said)
        return replaces

    def again(self) -> None:
        """Take the last answer back, so that another one can be made."""
        if not self.transcript.turns:
            raise UsageError("/retry: nothing was said yet")
        if not self.transcript.waiting:
            self._refuse_hidden("/retry")
            self._settle()
            self.journal.record(Retried())

    def undo(self) -> Turn:
        """Take the last turn back."""
        if not self.transcript.turns:
            raise UsageError("/undo: nothing was said yet")
        turn = self.transcript.turns[-1]
        self.journal.record(Undone())
        return turn

    def clear(self) -> int:
        """Start over; return how many turns there were."""
        count = len(self.transcript.turns)
        if count:
            self.journal.record(Cleared())
        return count

    def answer(self) -> Generator[Seen | Dropped, None, None]:
        """Answer the last message: a Dropped if turns had to leave the model's view, then a
        Started, Pieces, a Finished. However it ends, the text so far is kept.
        """
        turn = self.transcript.turns[-1]
        settings = _for_try(self.settings, turn.tries)
        with self._model.control.reset() as control:
            self._model.load(self.prepared, settings)
            dropped = self._make_room(settings)
            control.check()
        if dropped:
            yield dropped
        with self._model.control.reset():
            yield from self._generate(settings)

    @contextmanager
    def reading_ahead(self) -> Iterator[None]:
        """While the user types, prefill the last answer, so that the next one need not wait for
        that.
        """
        messages = self.transcript.messages(self.system)
        if not messages or self.transcript.waiting:
            yield
            return
        request = self._request(messages, self.settings)
        with self._model.reading_ahead(self.prepared, request):
            yield

    def measure(self) -> room.ContextUse:
        """Count where the context's tokens go; loads the model if necessary."""
        with self._model.control.reset():
            self._model.load(self.prepared, self.settings)
            system = self.transcript.messages(self.system, [])
            head = sum(self._model.length(message.content) for message in system)
            view = self.transcript.view
            history = self._count(self.transcript.messages(self.system)) - head if view else 0
        size = self._model.size
        left = max(0, size - head - history)
        answer = min(room.reserve(self.settings, size), left)
        hidden = len(self.transcript.turns) - len(view)
        return room.ContextUse(size, head, history, answer, hidden, bool(self.transcript.summary))

    def explain(self, top: int) -> Explanation:
        """Generate the last answer again, with its seed, and look at every draw."""
        from llmparams_cli.jobs.explain import looked_at, recorded, watching

        if self._last is None:
            raise UsageError("/why: nothing was answered since this program started")
        model, settings = self._model, self._last.settings
        with model.control.reset() as control:
            model.load(self.prepared, settings)
            started, finished = answer(model.backend, replace(self._last, record=True))
            with closing(recorded(finished)):
                watched = watching(control, model.progress)
                return looked_at(settings, started, finished, top, watched)

    def close(self) -> None:
        self._model.close()
        self.journal.close()

    def _settle(self) -> None:
        """Record the choices that the chat goes on with, if they have changed."""
        last = self.transcript.configured
        if last is None or last.choices != self.choices:
            model = self.prepared.model.name
            self.journal.record(configured(self.choices, model, self.settings))

    def _refuse_hidden(self, command: str) -> None:
        if not self.transcript.turns[-1].in_view:
            raise UsageError(f"{command}: the last turn is out of the model's view", "/undo it")

    def _count(self, messages: tuple[Message, ...]) -> int:
        return self._model.count(self._request(messages, self.settings))

    def _request(self, messages: tuple[Message, ...], settings: Settings) -> Request:
        return Request(messages, settings)

    def _make_room(self, settings: Settings) -> Dropped | None:
        """Where too little room is left for the answer, drop the oldest turns, or refuse."""
        size, view = self._model.size, self.transcript.view
        gone = room.leaving(
            len(view),
            lambda n: self._count(self.transcript.messages(self.system, view[n:])),
            size,
            room.reserve(settings, size),
            refuse=self.choices.when_full == "refuse",
        )
        if gone == 0:
            return None
        summary = ""
        if self.choices.when_full == "summarize":
            summary = self._summary(settings, view[:gone])
        dropped = Dropped(gone, summary)
        self.journal.record(dropped)
        return dropped

    def _summary(self, settings: Settings, turns: list[Turn]) -> str:
        """A summary of these turns by the model itself; empty if asking for it does not fit."""
        length = room.summary_length(self._model.size)
        question = Message("user", room.SUMMARIZE)
        messages = (*self.transcript.messages(self.system, turns), question)
        if self._count(messages) + length > self._model.size:
            return ""
        faithful = room.for_summary(settings, length)
        _, finished = answer(self._model.backend, self._request(messages, faithful))
        return finished.text.strip()  # without what was thought about it

    def _generate(self, settings: Settings) -> Generator[Seen, None, None]:
        messages = self.transcript.messages(self.system)
        request = replace(self._request(messages, settings), logprobs=self._logprobs)
        partial = _Partial()
        try:
            with closing(self._model.ask(request)) as events:
                for event in events:
                    if isinstance(event, Finished) and (
                        event.text
                        or event.reasoning
                        or event.stop.reason is not StopReason.INTERRUPTED
                    ):
                        # Before the event is passed on: whoever reads it may stop there.
                        self._keep(partial, event, event.stop)
                    if isinstance(event, Started):
                        # With the seed that was drawn, so that /why gets the same answer.
                        drawn = Assignment("seed", event.seed, live("drawn"))
                        self._last = self._request(messages, settings.but(drawn))
                    partial.see(event)
                    yield event
        finally:
            # No Finished came: closed half-way, or an error. The text so far is kept all the
            # same.
            if (partial.text or partial.reasoning) and self.transcript.waiting:
                stop = self._model.control.stop or Stop(StopReason.INTERRUPTED, "Ctrl-C")
                self._keep(partial, partial, stop)

    def _keep(self, partial: _Partial, answer: _Partial | Finished, stop: Stop) -> None:
        self.journal.record(
            Answered(answer.text, stop, partial.seed, answer.usage, answer.reasoning)
        )


class _Partial:
    """What there is of an answer so far, in case it does not come to its end."""

    def __init__(self) -> None:
        self.seed = 0
        self.text = self.reasoning = ""
        self._prompt_tokens = self._pieces = self._thoughts = 0

    @property
    def usage(self) -> Usage:
        return Usage(self._prompt_tokens, self._pieces, reasoning_tokens=self._thoughts)

    def see(self, event: Seen) -> None:
        if isinstance(event, Started):
            self.seed, self._prompt_tokens = event.seed, event.prompt_tokens
        elif isinstance(event, Piece):
            self._pieces += 1
            self._thoughts += event.is_thought
            if event.is_thought:
                self.reasoning += event.text
            else:
                self.text += event.text


def _continued(journal: ChatJournal, choices: Choices) -> Choices:
    """The choices that the chat was left with, overridden by those of now."""
    before = journal.transcript.configured
    return before.choices.under(choices) if before else choices


def _for_try(settings: Settings, tries: int) -> Settings:
    """The settings of a further try: a seed that is set goes up by one each time."""
    seed: int = settings["seed"]
    if seed < 0 or not tries:
        return settings
    return settings.but(Assignment("seed", seeds.after(seed, tries), live("/retry")))
