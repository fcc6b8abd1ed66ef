"""What flows between the program's rooms: requests, events, results; and what a backend is.

A backend takes `Request`s and yields numbered events. For each request they are a `Started`, any
number of `Piece`s, and a `Finished`; or, at any point, a `Failed`, which ends that request alone.
Renderers consume events and know nothing of backends.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

# Exported again: events carry them, and whoever reads events needs nothing else of `ending`.
from llmparams_cli.ending import Stop as Stop
from llmparams_cli.ending import StopReason as StopReason
from llmparams_cli.errors import ExitCode, LlmparamsError
from llmparams_cli.interrupt import Control
from llmparams_cli.params.settings import Settings
from llmparams_cli.text.speech import PLAIN, Marks, Phase
from llmparams_cli.trace import Divergence, Effect, Trace

Item = TypeVar("Item")
AS_ENDLESS = 512  # tokens reserved for an answer without a limit, where many share a context


@dataclass(frozen=True)
class Candidate:
    """One token of the model's own distribution, before any sampler stage."""

    id: int
    text: str
    logprob: float


@dataclass(frozen=True)
class Token:
    """One generated token; all but id and text only if the request asks for probabilities.

    `logprob` (natural logarithm) and `entropy` (bits) are those of the model's own distribution,
    before penalties, truncation and temperature; `drawn_entropy` is that of what was drawn from,
    after them. `expected_logprob` is that of the token at this position in `Request.expected`.
    `is_thought`: it belongs to the thoughts, or to a mark around them, and not to the answer.
    """

    id: int
    text: str
    logprob: float | None = None
    entropy: float | None = None
    top: tuple[Candidate, ...] = ()
    expected_logprob: float | None = None
    drawn_entropy: float | None = None
    is_thought: bool = False


@dataclass(frozen=True)
class ModelInfo:
    """The model as reported to the user: the numbers of its `parameters` and, where known, of the
    tokens in its `vocabulary`. `known_as` is the name under which it was found; empty for a path.
    """

    path: str
    name: str
    parameters: int
    quantization: str
    vocabulary: int | None = None
    known_as: str = ""


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer. `cached_tokens` of the prompt had been read already, for an earlier
    answer or run; `reasoning_tokens` of the completion were thoughts, marks included.
    `drafted_tokens` were guessed before they were drawn, and `accepted_tokens` of them were drawn.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def read_tokens(self) -> int:
        return self.prompt_tokens - self.cached_tokens

    @property
    def tokens_per_call(self) -> float:
        """How many tokens a call of the model brought: each accepted one saved a call."""
        return self.completion_tokens / max(1, self.completion_tokens - self.accepted_tokens)


@dataclass(frozen=True)
class Timing:
    """Seconds of wall-clock time. `first_token_s` counts from the start of the prompt."""

    load_s: float
    prompt_s: float
    generation_s: float
    first_token_s: float


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant. `reasoning` is what an
    assistant thought before it answered. `literal` are ranges of characters (start, end) in which
    names of control tokens stay text, whatever the request says.
    """

    role: str
    content: str
    reasoning: str = ""
    literal: tuple[tuple[int, int], ...] = ()

    def runs(self, special: bool) -> Iterator[tuple[str, bool]]:
        """The content in parts, each with the answer: is it literal? All of it is if the names of
        control tokens are not to be read (`special`).
        """
        literal = self.literal if special else ((0, len(self.content)),)
        at = 0
        for start, end in literal:
            yield self.content[at:start], False
            yield self.content[start:end], True
            at = end
        yield self.content[at:], False


@dataclass(frozen=True)
class Request:
    """One generation: what to complete, and how.

    `raw` bypasses the chat template; `special` reads the names of control tokens in a raw prompt,
    and in a passage after it, as such. `date` (ISO 8601, local) is today's for templates that write
    it; empty: now. `logprobs` is how many alternatives are wanted for each token (None: no
    probabilities at all). `overflow` is 'refuse', 'truncate-start' or 'truncate-middle'. `expected`
    are the token ids of an earlier answer, whose log probabilities are reported beside those of
    this one. `drawn_entropy` asks for that of every token. `record` keeps the logits, from which a
    `Trace` is made. `control` ends this request alone.
    """

    messages: tuple[Message, ...]
    settings: Settings
    raw: bool = False
    logprobs: int | None = None
    overflow: str = "refuse"
    expected: tuple[int, ...] = ()
    drawn_entropy: bool = False
    record: bool = False
    control: Control | None = None
    special: bool = False
    date: str = ""

    @property
    def longest_answer(self) -> int:
        """How many tokens to reserve for the answer."""
        limit: int = self.settings["max_tokens"]
        return limit if limit >= 0 else AS_ENDLESS


@dataclass(frozen=True)
class Passage:
    """A given text, to be scored as the answer to a request (teacher forcing)."""

    request: Request
    text: str


@dataclass(frozen=True)
class Encoded:
    """A text as tokens: their ids and the bytes that each stands for; `begin` is the token that a
    text of this model begins with, if any (it is the first of the ids then).
    """

    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]
    begin: int | None


@dataclass(frozen=True)
class Chunk:
    """Tokens that are read by themselves; wanted are the logits for those from `first` on."""

    tokens: tuple[int, ...]
    first: int


@dataclass(frozen=True)
class Endings:
    """Several ways to go on after the same tokens, of which there is at least one."""

    before: tuple[int, ...]
    endings: tuple[tuple[int, ...], ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest whole."""
        return len(self.before) + max(map(len, self.endings))

    @property
    def size(self) -> int:
        """Tokens of all together."""
        return len(self.before) + sum(map(len, self.endings))


@dataclass(frozen=True)
class Started:
    """Everything known before the first token. `prompt` is the text after the chat template,
    `tokens` are its ids; prompt and answer may have `context` tokens together. `date` (ISO 8601,
    local) is the one that the template wrote into it, if it did; `marks` are those that the
    model sets around its thoughts, and `phase` says whether the prompt has opened them.
    """

    prompt: str
    tokens: tuple[int, ...]
    seed: int
    model: ModelInfo
    context: int
    date: str = ""
    marks: Marks = PLAIN
    phase: Phase = Phase.START

    @property
    def prompt_tokens(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Piece:
    """Text that is certain to belong to the answer, or to the thoughts before it (`is_thought`),
    and the token that completed it.

    Several pieces may share a token, and a token may yield no piece at all (half a
    character, or text still held back as the possible beginning of a stop sequence).
    """

    text: str
    token: Token
    is_thought: bool = False


@dataclass(frozen=True)
class Choice:
    """One of the texts that the answer could be. `logprob` (natural logarithm) is that of an answer
    which begins with it and not with a longer one, by the model's own distribution;
    `probability` is its share among all choices. Its `tokens` have their log probabilities.
    """

    text: str
    probability: float
    logprob: float
    tokens: tuple[Token, ...]

    def bare(self, said: str) -> str:
        """What was said without a blank before it that is none of the choice."""
        return said if self.text[0].isspace() else said.removeprefix(" ")


@dataclass(frozen=True)
class Finished:
    """The end of a generation: `text` is what was said, `reasoning` what was thought before it.
    `tokens` are those of both, of the marks between, and of what a stop sequence cut off; `effects`
    only where they were asked for. `choices` are what was chosen from, where the settings name any.
    Whoever asked to record must close the `trace`.
    """

    text: str
    stop: Stop
    usage: Usage
    timing: Timing
    tokens: tuple[Token, ...] = ()
    effects: tuple[Effect, ...] = ()
    trace: Trace | None = None
    reasoning: str = ""
    choices: tuple[Choice, ...] = ()

    @property
    def answer_tokens(self) -> tuple[Token, ...]:
        """The tokens of what was said."""
        return tuple(token for token in self.tokens if not token.is_thought)

    @property
    def is_unsaid(self) -> bool:
        """Did the model think to the end, without a word of an answer?"""
        return self.usage.reasoning_tokens > 0 and not self.text.strip()


@dataclass(frozen=True)
class Failed:
    """A request that failed before its answer or within it; its neighbours go on."""

    error: LlmparamsError


@dataclass(frozen=True)
class Scored:
    """The logits of a passage. Where `stop` is set, scoring was given up there and the rest is
    missing. Close the `trace`.
    """

    started: Started
    trace: Trace
    stop: Stop | None = None


Event = Started | Piece | Finished | Failed
Numbered = tuple[int, Event]  # with the index of its request, from 0


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do: which `parameters` it follows, by name; whether it reports token `ids`
    and `logprobs`, records `traces` and scores passages; how many answers it works on at a time
    (`slots`).
    """

    parameters: frozenset[str]
    ids: bool
    logprobs: bool
    traces: bool
    scores: bool
    slots: int


@dataclass(frozen=True)
class Work:
    """What a benchmark times: a prompt of `read` tokens, or else `written` tokens one after the
    other; behind `depth` tokens that are there already, in `width` sequences side by side.
    """

    read: int
    written: int
    depth: int = 0
    width: int = 1

    @property
    def tokens(self) -> int:
        """How many tokens the whole has, those that are there already apart."""
        return (self.read + self.written) * self.width


def numbered(requests: Iterable[Item | None]) -> Iterator[tuple[int, Item | None]]:
    """Requests, or what stands for them, with their numbers; a None takes none."""
    number = 0
    for request in requests:
        yield number, request
        number += request is not None


class Progress(Protocol):
    """Is told what is being done and how far it is, from 0 to 1; and how many tokens the whole has,
    where it is tokens.
    """

    def __call__(self, what: str, done: float, tokens: int = 0, /) -> None: ...


class Backend(Protocol):
    """A model that answers. Opened by `backends.open`, which closes it."""

    info: ModelInfo
    capabilities: Capabilities

    def count(self, request: Request) -> int | None:
        """How many tokens the prompt of this request has; None: unknown."""

    def encode(self, text: str, *, special: bool = False) -> tuple[int, ...] | None:
        """The token ids of a text that goes on after another, as after a prompt; None: unknown.
        `special` reads the names of control tokens as such.
        """

    def context(self, settings: Settings) -> int:
        """How many tokens prompt and answer may have together."""

    def answer(
        self, requests: Iterable[Request | None]
    ) -> Generator[tuple[int, Event], None, None]:
        """Answer all requests, several at a time.

        The next request is taken when there is a slot for it; a None among them says that none is
        waiting at the moment. Ctrl-C ends all that have started with INTERRUPTED. Exhaust or close
        the generator before the next call.
        """

    def read_ahead(self, request: Request) -> None:
        """Prefill the beginning of a prompt that is still being written, until the request's
        control says stop. Does nothing where no prompt is kept.
        """

    def score(self, passages: Iterable[Passage]) -> Iterator[tuple[int, Scored | Failed]]:
        """Score given texts as answers (teacher forcing)."""

    def split(self, text: str) -> Encoded:
        """A whole text as tokens, with the beginning that the model wants and without an end."""

    def logits(self, chunks: Iterable[Chunk], settings: Settings) -> Iterator[Any]:
        """For each chunk a numpy matrix of float32: a row of logits for each token from its `first`
        on. It is valid until the next one is asked for. Ctrl-C raises KeyboardInterrupt.
        """

    def endings(self, forks: Sequence[Endings], settings: Settings) -> Iterator[list[Any]]:
        """For each fork a numpy matrix of float32 for each ending: a row of logits for each of its
        tokens. What is before them is read once. Ctrl-C as for `logits`.
        """

    def squares(self, chunks: Iterable[Chunk], settings: Settings) -> Iterator[Mapping[str, Any]]:
        """Read whole chunks; after each, what the matrices of all layers were multiplied with so
        far: `models.importance.Squares` by the names of the tensors. Ctrl-C as for `logits`.
        """

    def seconds(self, work: Work, settings: Settings) -> Iterator[float]:
        """How long the work takes, again and again without an end, after a run that warms up.
        Ctrl-C as for `logits`.
        """

    def bandwidth(self, threads: int) -> float | None:
        """How many bytes a second so many threads read where the weights lie. None: unknown."""

    def products(self, type: str, columns: int, threads: int) -> float | None:
        """How many products of a weight of this type and a number so many threads compute in a
        second, where one of the model's matrices is multiplied with so many columns. None: unknown.
        """

    def facts(self) -> Mapping[str, Any]:
        """What else decides how sums are rounded: the library, its build, the device, the batch
        size. For receipts.
        """

    def close(self) -> None: ...


@dataclass(frozen=True)
class EffectPoint:
    """A parameter at one value: the entropy (bits) of what is drawn from, and the share of draws (0
    to 1) that come out differently than at the value of reference.
    """

    value: str
    entropy: float
    changed: float


@dataclass(frozen=True)
class ParamEffect:
    """What a parameter does along a text, which `text` describes, at several values. All are
    compared with the value `against`, at which it is off if it can be. `beside` are the settings
    that must be on for it to act.
    """

    points: tuple[EffectPoint, ...]
    against: str
    beside: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class PresetDiff:
    """Two presets side by side: their names, the texts that differ, all values; and how differently
    they draw, at each token of an answer to `prompt`.
    """

    names: tuple[str, str]
    texts: dict[str, tuple[str | None, str | None]]
    settings: tuple[Settings, Settings]
    prompt: str
    divergences: tuple[Divergence, ...] = ()


class Health(str, Enum):
    """State of one part of an installation: `FAIL` prevents generating, `WARN` makes it worse."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing that `doctor` checked; `cure` says what to do where it is not OK.

    `exit_code` is that of the whole run if this check fails.
    """

    section: str
    name: str
    value: str
    health: Health = Health.OK
    cure: str = ""
    exit_code: ExitCode = ExitCode.SUCCESS
