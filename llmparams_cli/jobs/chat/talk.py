"""The model at work on a chat: answers, second tries, and a context that fills.

The model is loaded for the first answer, not before, and its context is kept from one
answer to the next: only what is new of a prompt is read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.env import Environment
from llmparams_cli.errors import ContextOverflow, UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.chat.choices import Choices, configure, live
from llmparams_cli.jobs.chat.entries import (
    Answered,
    Cleared,
    Dropped,
    Retried,
    Said,
    Undone,
    configured,
)
from llmparams_cli.jobs.chat.journal import Journal
from llmparams_cli.jobs.chat.transcript import Transcript, Turn
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.settings import Assignment, Settings
from llmparams_cli.params.spec import Scope
from llmparams_cli.protocol import (
    Event,
    Finished,
    Message,
    Piece,
    Request,
    Started,
    Stop,
    StopReason,
    Usage,
)

if TYPE_CHECKING:
    from llmparams_cli.backends.llama.decoding.answer import Progress
    from llmparams_cli.backends.llama.decoding.generate import Conversation, Engine

RESERVE = 4  # a quarter of the context at most is kept free for the answer
AFTER_DROPPING = 2  # half of it is filled then, so that not every further turn drops one
SUMMARY = 8  # an eighth of it at most goes to a summary, ...
LONGEST_SUMMARY = 256  # ... and no more tokens than this
SUMMARIZE = (
    "Summarise our conversation so far in a few sentences, for yourself: keep names, facts, "
    "numbers and what was decided."
)


@dataclass(frozen=True)
class Measure:
    """Where the context's tokens go. `answer` is kept free for the next one, as far as there
    is room; `out_of_view` counts turns.
    """

    context: int
    system: int
    history: int
    answer: int
    out_of_view: int
    summarized: bool

    @property
    def free(self) -> int:
        return self.context - self.system - self.history - self.answer


class Chat:
    """One conversation. Close it: it holds a model."""

    def __init__(
        self,
        env: Environment,
        journal: Journal,
        choices: Choices,
        progress: Progress,
        logprobs: int | None = None,
    ) -> None:
        self.env = env
        self.journal = journal
        self.choices = choices
        self.prepared = configure(env, choices)
        self._progress = progress
        self._logprobs = logprobs
        self._interrupt = _Interrupt()
        self._engine: Engine | None = None
        self._conversation: Conversation | None = None
        self._last: Request | None = None
        self._loaded: list[Any] = []
        self._size = 0
        self._sized: list[Any] = []

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
        """Go on with other choices; what they were and what they are, resolved."""
        before, self.prepared = self.prepared, configure(self.env, choices)
        self.choices = choices
        if not self.journal.is_new:
            self._settle()
        return before, self.prepared

    def turn_to(self, journal: Journal, choices: Choices) -> None:
        """Leave this chat for another one."""
        prepared = configure(self.env, choices)
        self.journal.close()
        self.journal, self.choices, self.prepared = journal, choices, prepared
        self._last = None

    def reloads(self, before: Prepared, after: Prepared) -> tuple[bool, bool]:
        """Will the next answer have to load a model, and to make a context?"""
        if self._engine is None:
            return False, False
        loads = self._of_model(before) != self._of_model(after)
        return loads, not loads and _of_context(before.settings) != _of_context(after.settings)

    def say(self, text: str) -> bool:
        """Take a message of the user's; was there one without an answer, which it replaces?"""
        template = self.prepared.template
        said = Said(text, template.render(text) if template else text)
        self._settle()
        replaces = self.transcript.waiting
        if replaces:
            self.journal.record(Undone())
        self.journal.record(said)
        return replaces

    def again(self) -> None:
        """Take the last answer back, for another one to come."""
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
        """Begin anew; how many turns there were."""
        count = len(self.transcript.turns)
        if count:
            self.journal.record(Cleared())
        return count

    def answer(self) -> Generator[Event | Dropped, None, None]:
        """Answer the last message: a Dropped if turns had to leave the model's view, then a
        Started, Pieces, a Finished. Whatever ends it, what was written is kept.
        """
        turn = self.transcript.turns[-1]
        settings = _for_try(self.settings, turn.tries)
        with self._interrupt.armed(settings["time_limit"]):
            self._load(settings)
            dropped = self._make_room(settings)
            if self._interrupt.stop:
                raise KeyboardInterrupt
        if dropped:
            yield dropped
        with self._interrupt.armed(settings["time_limit"]):
            yield from self._generate(settings)

    def measure(self) -> Measure:
        """Count where the context's tokens go; loads the model if it must."""
        with self._interrupt.armed():
            engine = self._load(self.settings)
            system = self.transcript.messages(self.system, [])
            head = sum(len(engine.model.tokenize(message.content)) for message in system)
            view = self.transcript.view
            history = self._count(self.transcript.messages(self.system)) - head if view else 0
        left = max(0, self._size - head - history)
        answer = min(_reserve(self.settings, self._size), left)
        hidden = len(self.transcript.turns) - len(view)
        return Measure(self._size, head, history, answer, hidden, bool(self.transcript.summary))

    def explain(self, top: int) -> Explanation:
        """Ask for the last answer again, with its seed, and look at every draw."""
        from llmparams_cli.jobs.explain import looked_at

        if self._last is None:
            raise UsageError("/why: nothing was answered since this program started")
        request = self._last
        settings = request.settings
        with self._interrupt.armed(), self._load(settings).recording() as recording:
            assert self._engine is not None and self._conversation is not None
            for event in self._conversation.ask(request, recording):
                if isinstance(event, Started):
                    started = event
                elif isinstance(event, Finished):
                    finished = event
            if finished.stop.reason is StopReason.INTERRUPTED:
                raise KeyboardInterrupt
            return looked_at(self._engine, recording, settings, started, finished, top)

    def close(self) -> None:
        self._unload()
        self.journal.close()

    def _settle(self) -> None:
        """Let the file say with what choices the chat goes on."""
        last = self.transcript.configured
        if last is None or last.choices != self.choices:
            model = self.prepared.model.header.name
            self.journal.record(configured(self.choices, model, self.settings))

    def _refuse_hidden(self, command: str) -> None:
        if not self.transcript.turns[-1].in_view:
            raise UsageError(f"{command}: the last turn is out of the model's view", "/undo it")

    def _load(self, settings: Settings) -> Engine:
        """The model, and the size of the context, that these settings ask for."""
        from llmparams_cli.backends.llama.decoding.generate import Engine
        from llmparams_cli.backends.llama.host.placement import context_size

        wanted = self._of_model(self.prepared)
        if self._engine is None or wanted != self._loaded:
            self._unload()
            engine = Engine(
                self.env, self.prepared.model, settings, self._interrupt, self._progress
            )
            self._engine, self._conversation = engine, engine.conversation()
            self._loaded, self._sized = wanted, []
        if self._sized != _of_context(settings):
            assert self._conversation is not None
            self._conversation.close()  # its memory counts as free for the next one
            self._size = context_size(self.env, settings, self._engine.header)
            self._sized = _of_context(settings)
        return self._engine

    def _unload(self) -> None:
        if self._conversation:
            self._conversation.close()
        if self._engine:
            self._engine.model.close()
        self._engine = self._conversation = None

    def _of_model(self, prepared: Prepared) -> list[Any]:
        values = [s.value for s in prepared.settings if s.param.scope is Scope.LOAD]
        return [prepared.model.path, *values]

    @property
    def _raw(self) -> bool:
        return not self.prepared.model.header.chat_template

    def _count(self, messages: tuple[Message, ...]) -> int:
        assert self._engine is not None
        return len(self._engine.tokens(messages, raw=self._raw)[0])

    def _make_room(self, settings: Settings) -> Dropped | None:
        """When too little is left for the answer, let the oldest turns go, or refuse."""
        size, reserve = self._size, _reserve(settings, self._size)
        view = self.transcript.view
        count = self._count(self.transcript.messages(self.system))
        if count + reserve <= size:
            return None
        if self.choices.when_full == "refuse":
            raise ContextOverflow(
                f"the chat is full: its prompt of {count} tokens and {reserve} for the answer "
                f"are more than the {size} of the context",
                "/undo, /clear, /set context N and /retry, or --when-full drop",
            )

        def left(gone: int) -> int:
            return self._count(self.transcript.messages(self.system, view[gone:]))

        gone = len(view) - 1  # the message itself stays
        if left(gone) >= size:
            raise ContextOverflow(
                f"the message has {left(gone)} tokens and the context holds {size}",
                "/set context N makes room, where the model can take it; then /retry",
            )
        for limit in (size // AFTER_DROPPING, size - reserve):
            if left(gone) <= limit:
                gone = bisect_left(range(gone), -limit, key=lambda n: -left(n))
                break
        if gone == 0:
            return None
        summary = ""
        if self.choices.when_full == "summarize":
            summary = self._summary(settings, view[:gone])
        dropped = Dropped(gone, summary)
        self.journal.record(dropped)
        return dropped

    def _summary(self, settings: Settings, turns: list[Turn]) -> str:
        """What these turns were about, in the model's own words; empty if that does not fit."""
        room = min(self._size // SUMMARY, LONGEST_SUMMARY)
        messages = (*self.transcript.messages(self.system, turns), Message("user", SUMMARIZE))
        if self._count(messages) + room > self._size:
            return ""
        plain = {"temperature": 0.0, "grammar": "", "json_schema": None, "stop": []}
        values = plain | {"ignore_eos": False, "max_tokens": room}
        faithful = settings
        for name, value in values.items():
            faithful = faithful.but(Assignment(name, value, live("summary")))
        assert self._conversation is not None
        finished = None
        for event in self._conversation.ask(Request(messages, faithful, self._raw)):
            finished = event
        assert isinstance(finished, Finished)
        if finished.stop.reason is StopReason.INTERRUPTED:
            raise KeyboardInterrupt
        return finished.text.strip()

    def _generate(self, settings: Settings) -> Generator[Event, None, None]:
        assert self._conversation is not None
        messages = self.transcript.messages(self.system)
        request = Request(messages, settings, self._raw, self._logprobs)
        partial = _Partial()
        try:
            with closing(self._conversation.ask(request)) as events:
                for event in events:
                    if isinstance(event, Finished) and (
                        event.text or event.stop.reason is not StopReason.INTERRUPTED
                    ):
                        self._keep(partial, event.text, event.stop, event.usage)
                    if isinstance(event, Started):
                        drawn = Assignment("seed", event.seed, live("drawn"))
                        self._last = Request(messages, settings.but(drawn), self._raw)
                    partial.see(event)
                    yield event
        finally:
            if partial.text and self.transcript.waiting:
                stop = Stop(StopReason.INTERRUPTED, "Ctrl-C")
                self._keep(partial, partial.text, stop, partial.usage)

    def _keep(self, partial: _Partial, text: str, stop: Stop, usage: Usage) -> None:
        self.journal.record(Answered(text, stop, partial.seed, usage))


class _Partial:
    """What is there of an answer that may not come to its end."""

    def __init__(self) -> None:
        self.seed = 0
        self.text = ""
        self._prompt_tokens = self._pieces = 0

    @property
    def usage(self) -> Usage:
        return Usage(self._prompt_tokens, self._pieces)

    def see(self, event: Event) -> None:
        if isinstance(event, Started):
            self.seed, self._prompt_tokens = event.seed, event.prompt_tokens
        elif isinstance(event, Piece):
            self.text += event.text
            self._pieces += 1


class _Interrupt(Control):
    """One that serves answer after answer: the context keeps a pointer to its flag."""

    def armed(self, time_limit: float = 0.0) -> _Interrupt:
        self.stop = None
        self._flag[0] = b"\0"
        self._presses = 0
        self._limit = time_limit
        return self


def _of_context(settings: Settings) -> list[Any]:
    return [s.value for s in settings if s.param.scope is Scope.CONTEXT or s.param.name == "lora"]


def _reserve(settings: Settings, size: int) -> int:
    """Tokens that an answer needs at least; a quarter of the context, or max_tokens."""
    limit: int = settings["max_tokens"]
    return min(limit, size // RESERVE) if limit > 0 else size // RESERVE


def _for_try(settings: Settings, tries: int) -> Settings:
    """With a seed that is set, every further try takes the next one."""
    seed: int = settings["seed"]
    if seed < 0 or not tries:
        return settings
    return settings.but(Assignment("seed", (seed + tries) % (2**32 - 1), live("/retry")))
