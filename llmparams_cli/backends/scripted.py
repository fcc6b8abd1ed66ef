"""Answers from a file, by the rules of a real backend but without a model.

They come token by token, several requests in turn, with made-up but consistent probabilities: what
builds on answers (pipelines, presets, pages) can be tried without weights.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any

from llmparams_cli.backends.reply import Reply
from llmparams_cli.backends.words import END, Words
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.env import Environment
from llmparams_cli.errors import LlmparamsError, ModelError, UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import ScriptedModel
from llmparams_cli.models.script import Script
from llmparams_cli.params import seeds
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import (
    Candidate,
    Capabilities,
    Chunk,
    Encoded,
    Endings,
    Failed,
    Finished,
    ModelInfo,
    Numbered,
    Passage,
    Piece,
    Request,
    Scored,
    Started,
    Timing,
    Token,
    Usage,
    Work,
    numbered,
)
from llmparams_cli.templates import overflow, rendering
from llmparams_cli.templates.choice import template_for
from llmparams_cli.templates.rendering import Prompt
from llmparams_cli.templates.repairs import Repairs
from llmparams_cli.text.shorten import brief

FOLLOWED = frozenset(
    {
        *("seed", "max_tokens", "stop", "ignore_eos", "time_limit", "context"),
        *("thinking", "template_arg", "chat_template"),
    }
)
AT_ONCE = 32  # answers
BLOCK = 64  # a kept prefix counts in whole blocks, as with llama.cpp
NAP = 0.02  # seconds between two looks at the clock and at Ctrl-C
SURE = (0.95, 0.9, 0.8, 0.65, 0.5)  # the script's share; the token before picks one
RANKS = 128  # other tokens that are possible at one position
NO_LOGITS = "a scripted model has no logits to look at"
NO_SPEED = "a scripted model computes nothing whose speed could be measured"
CURE = "--model names a GGUF file"

Arrival = tuple[int, "_Answer | Failed"] | None  # None: nobody waits now


class ScriptedBackend:
    """Follows a script. For `cached_tokens`, it pretends to keep the conversation answered last."""

    def __init__(
        self, env: Environment, resolved: ScriptedModel, control: Control, slots: int
    ) -> None:
        self._env = env
        self._control = control
        self.script = resolved.script
        self._templates = resolved.templates
        self.words = Words(resolved.script.context)
        self.odds = _Odds(resolved.script, self.words)
        self._repairs = Repairs()
        self._kept: tuple[int, Sequence[int]] = (0, ())  # the context's size, and what it holds
        self.info = ModelInfo(resolved.reference, resolved.name, parameters=0, quantization="")
        self.capabilities = Capabilities(
            parameters=FOLLOWED, ids=True, logprobs=True, traces=False, scores=False, slots=slots
        )

    def count(self, request: Request) -> int:
        return len(self._encode(request).tokens)

    def encode(self, text: str, *, special: bool = False) -> tuple[int, ...]:
        return tuple(self.words.tokenize(text, special=special))

    def context(self, settings: Settings) -> int:
        return int(settings["context"]) or self.script.context

    def answer(self, requests: Iterable[Request | None]) -> Generator[Numbered, None, None]:
        # As in the llama room: a list is known beforehand, a stream is not.
        room = AT_ONCE if isinstance(requests, Sequence) else self.capabilities.slots
        waiting, more = self._arrivals(requests), True
        active: dict[int, _Answer] = {}
        while more or active:
            if more:
                more = yield from self._admit(waiting, active, room)
            self._wait(active.values())
            yield from self._advance(active)

    def read_ahead(self, request: Request) -> None:
        pass

    def score(self, passages: Iterable[Passage]) -> Iterator[tuple[int, Scored | Failed]]:
        for number, _ in enumerate(passages):
            yield number, Failed(UsageError(NO_LOGITS, CURE))

    def split(self, text: str) -> Encoded:
        raise UsageError(NO_LOGITS, CURE)

    def logits(self, chunks: Iterable[Chunk], settings: Settings) -> Iterator[Any]:
        raise UsageError(NO_LOGITS, CURE)

    def endings(self, forks: Sequence[Endings], settings: Settings) -> Iterator[list[Any]]:
        raise UsageError(NO_LOGITS, CURE)

    def squares(self, chunks: Iterable[Chunk], settings: Settings) -> Iterator[Any]:
        raise UsageError(NO_LOGITS, CURE)

    def seconds(self, work: Work, settings: Settings) -> Iterator[float]:
        raise UsageError(NO_SPEED, CURE)

    def bandwidth(self, threads: int) -> float | None:
        return None

    def products(self, type: str, columns: int, threads: int) -> float | None:
        return None

    def facts(self) -> Mapping[str, Any]:
        """Nothing but the file and this program decides what is answered."""
        return {}

    def close(self) -> None:
        pass

    def _arrivals(self, requests: Iterable[Request | None]) -> Iterator[Arrival]:
        """Each request made ready when its turn has come. None: nobody waits."""
        for number, request in numbered(requests):
            if request is None:
                yield None
                continue
            try:
                yield number, self._prepared(request)
            except LlmparamsError as error:
                yield number, Failed(error)

    def _admit(
        self, waiting: Iterator[Arrival], active: dict[int, _Answer], room: int
    ) -> Generator[Numbered, None, bool]:
        """Begin requests that wait, while there is room. Can more come later?"""
        while len(active) < room and not self._control.is_leaving:
            try:
                arrival = next(waiting)
            except StopIteration:
                return False
            if arrival is None:
                break
            number, answer = arrival
            if isinstance(answer, Failed):
                yield number, answer
            else:
                active[number] = answer
                yield number, answer.started
        return not self._control.is_leaving

    def _advance(self, active: dict[int, _Answer]) -> Iterator[Numbered]:
        """One token, or the end, for each of them."""
        # A copy: those that end leave the dictionary.
        for number, answer in list(active.items()):
            for piece in answer.step(self._control.stop):
                yield number, piece
            if answer.stop:
                del active[number]
                self._kept = answer.started.context, answer.sequence
                yield number, answer.finished()

    def _prepared(self, request: Request) -> _Answer:
        began = time.perf_counter()
        if request.record:
            raise UsageError(NO_LOGITS, CURE)
        limit = self.context(request.settings)
        prompt = overflow.fitting(
            self.words, request, self._encode, size=limit, note=self._env.note
        )
        seed = seeds.in_use(request.settings)
        written = [self.words.tokenize(text) for text in self._texts(request)]
        started = Started(
            prompt.text,
            tuple(prompt.tokens),
            seed,
            self.info,
            limit,
            prompt.date,
            prompt.marks,
            prompt.phase,
        )
        cached = self._cached(prompt.tokens, limit)
        return _Answer(self, request, started, written, cached, began)

    def _texts(self, request: Request) -> tuple[str, ...]:
        """The answers that the script has for the user's last message."""
        said = [message.content for message in request.messages if message.role == "user"]
        message = (said or [""])[-1]
        texts = self.script.texts(message)
        if not texts:
            raise ModelError(
                f"{self.info.path} has no answer to {brief(repr(message), 60)}",
                "an answer without `when:` matches every message",
            )
        return texts

    def _cached(self, tokens: Sequence[int], limit: int) -> int:
        size, held = self._kept
        if size != limit:
            return 0
        # The last token is never kept: a model must decode something to draw from.
        same = takewhile(lambda pair: pair[0] == pair[1], zip(tokens[:-1], held, strict=False))
        return sum(1 for _ in same) // BLOCK * BLOCK

    def _encode(self, request: Request) -> Prompt:
        template = template_for(self._templates, request)
        return rendering.prompt(self.words, template, request, self._env.note, self._repairs)

    def _wait(self, answers: Iterable[_Answer]) -> None:
        """Sleep until one of them has something to do."""
        due = min((answer.due for answer in answers), default=0.0)
        while (rest := due - time.perf_counter()) > 0 and not self._control.stop:
            time.sleep(min(rest, NAP))
            if any(answer.is_unwanted for answer in answers):
                return


class _Answer:
    """One request on its way through the script."""

    def __init__(
        self,
        backend: ScriptedBackend,
        request: Request,
        started: Started,
        written: Sequence[list[int]],
        cached: int,
        began: float,
    ) -> None:
        self.started = started
        self._delay = backend.script.delay
        self._words = backend.words
        self._odds = backend.odds
        self._request = request
        self._written = written[started.seed % len(written)]
        self._possible = written  # those that begin with the text so far
        self._cached = cached
        self._reply = Reply(request.settings, started)
        self._began = began
        self._ready = self._first = self._last = time.perf_counter()
        limit: float = request.settings["time_limit"]
        self._deadline = began + limit if limit > 0 else math.inf

    @property
    def stop(self) -> Stop | None:
        return self._reply.stop

    @property
    def sequence(self) -> list[int]:
        """The ids of prompt and answer."""
        return [*self.started.tokens, *(token.id for token in self._reply.tokens)]

    @property
    def due(self) -> float:
        """When it has something to do next, on the clock of time.perf_counter."""
        return min(self._deadline, self._last + self._delay)

    @property
    def is_unwanted(self) -> bool:
        control = self._request.control
        return control is not None and control.stop is not None

    def step(self, stop: Stop | None) -> list[Piece]:
        """The text that its next token makes certain, if the token is due. If `stop` is given, it
        ends.
        """
        stop = stop or self._interrupted()
        if stop is not None:
            pieces = self._reply.end(stop)
        elif self.stop is not None or time.perf_counter() < self.due:
            pieces = []
        elif (token := self._next()) is None:
            pieces = self._reply.end_token(self._words.name(END))
        else:
            pieces = self._take(token)
        return pieces

    def finished(self) -> Finished:
        """The event that tells how it ended."""
        assert self.stop is not None
        reply = self._reply
        usage = Usage(
            self.started.prompt_tokens, len(reply.tokens), self._cached, reply.reasoning_tokens
        )
        ended = time.perf_counter()
        timing = Timing(
            load_s=0.0,
            prompt_s=self._ready - self._began,
            generation_s=ended - self._ready,
            first_token_s=self._first - self._began,
        )
        return Finished(
            reply.text,
            self.stop,
            usage,
            timing,
            reply.marked,
            reasoning=reply.reasoning,
        )

    def _interrupted(self) -> Stop | None:
        control, limit = self._request.control, self.started.context
        if control and control.stop:
            return control.stop
        if time.perf_counter() >= self._deadline:
            return Stop(StopReason.TIME_LIMIT, f"{self._request.settings['time_limit']:g} s")
        if self.started.prompt_tokens + len(self._reply.tokens) >= limit:
            return Stop(StopReason.CONTEXT_FULL, f"{limit} tokens")
        return None

    def _next(self) -> int | None:
        """The next token of the text, None at its end; there it begins again if end tokens are
        ignored.
        """
        place, length = len(self._reply.tokens), len(self._written)
        if place >= length and not (length and self._request.settings["ignore_eos"]):
            return None
        return self._written[place % length]

    def _take(self, id: int) -> list[Piece]:
        token, place = self._token(id), len(self._reply.tokens)
        pieces = self._reply.add(self._words, token)
        self._possible = [text for text in self._possible if text[place : place + 1] == [id]]
        self._last = time.perf_counter()
        if place == 0:
            self._first = self._last
        return pieces

    def _token(self, id: int) -> Token:
        text, count, place = self._words.text(id), self._request.logprobs, len(self._reply.tokens)
        if count is None:
            return Token(id, text)
        ranked = self._ranked(id)
        best = list(ranked.items())[:count]
        top = tuple(Candidate(other, self._words.name(other), each) for other, each in best)
        wanted = self._request.expected[place : place + 1]
        expected = ranked.get(wanted[0], -math.inf) if wanted else None
        return Token(id, text, ranked[id], _entropy(ranked.values()), top, expected)

    def _ranked(self, id: int) -> dict[int, float]:
        """The log probabilities at this position, the best first; `id` was chosen."""
        place, tokens = len(self._reply.tokens), self._reply.tokens
        nexts = [text[place] if place < len(text) else END for text in self._possible]
        before = tokens[-1].id if tokens else 0
        return self._odds.after(before, nexts if id in nexts else [id], id)


class _Odds:
    """Made-up probabilities that look like a model's: the tokens that the script has at a position
    share most of it, and other tokens the rest, each half as probable as the one before.
    """

    def __init__(self, script: Script, words: Words) -> None:
        texts = (text for answer in script.answers for text in answer.texts)
        told = (token for text in texts for token in words.tokenize(text))
        letters = range(ord(" "), ord("~") + 1)
        self._all = list(dict.fromkeys([END, *told, *letters]))
        self._place = {token: place for place, token in enumerate(self._all)}

    def after(self, before: int, written: Sequence[int], chosen: int) -> dict[int, float]:
        """The log probabilities of what may follow the token `before`, the best first, and of equal
        ones the `chosen` one. `written` has the next token of each text of the script that fits so
        far.
        """
        sure = SURE[before % len(SURE)]
        odds = {token: sure * n / len(written) for token, n in Counter(written).items()}
        start = self._place.get(before, 0)
        around = (*self._all[start:], *self._all[:start])
        others = list(islice((token for token in around if token not in odds), RANKS))
        odds |= {token: (1 - sure) / 2 ** (rank + 1) for rank, token in enumerate(others)}
        odds[others[-1]] *= 2  # the halves sum up to less than 1: the last one takes the rest
        best = sorted(odds, key=lambda token: (-odds[token], token != chosen))
        return {token: math.log(odds[token]) for token in best}


def _entropy(logprobs: Iterable[float]) -> float:
    """The entropy of a distribution, in bits, from natural logarithms."""
    return -sum(math.exp(each) * each for each in logprobs) / math.log(2)
