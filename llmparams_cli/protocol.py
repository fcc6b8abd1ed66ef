"""What flows between the program's rooms: requests, events, results; and what a backend is.

A backend takes `Request`s and yields numbered events. For each request: a `Started`, any
number of `Piece`s, a `Finished`; or at any point a `Failed`, which ends that request alone.
Renderers consume events and know nothing of backends.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from llmparams_cli.ending import Stop as Stop
from llmparams_cli.ending import StopReason as StopReason
from llmparams_cli.errors import ExitCode, LlmparamsError
from llmparams_cli.interrupt import Control
from llmparams_cli.params.settings import Settings
from llmparams_cli.trace import Divergence, Effect, Trace

AS_ENDLESS = 512  # tokens that an answer without a limit is given room for, beside others


@dataclass(frozen=True)
class Candidate:
    """One token of the model's own distribution, before any sampler stage."""

    id: int
    text: str
    logprob: float


@dataclass(frozen=True)
class Token:
    """One generated token; all but the first two only when the request asks for probabilities.

    `logprob` (natural logarithm) and `entropy` (bits) are those of the model's own
    distribution, before penalties, truncation and temperature. `expected_logprob` is that
    of the token that `Request.expected` has in this place.
    """

    id: int
    text: str
    logprob: float | None = None
    entropy: float | None = None
    top: tuple[Candidate, ...] = ()
    expected_logprob: float | None = None


@dataclass(frozen=True)
class ModelInfo:
    """The model as reported to the user. `parameters` is their number, `vocabulary` that of its
    tokens.
    """

    path: str
    name: str
    parameters: int
    quantization: str
    vocabulary: int | None = None


@dataclass(frozen=True)
class Usage:
    """`cached_tokens` of the prompt were in memory already, from an earlier turn."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Timing:
    """Seconds of wall-clock time. `first_token_s` counts from the start of the prompt."""

    load_s: float
    prompt_s: float
    generation_s: float
    first_token_s: float


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Request:
    """One generation: what to complete, and how.

    `raw` bypasses the chat template. `logprobs` is the number of alternatives wanted
    per token (None: no probabilities at all). `overflow` is 'refuse',
    'truncate-start' or 'truncate-middle'. `expected` are the token ids of an earlier
    answer, to be compared with this one. `record` keeps what a `Trace` is made from.
    `control` ends this request alone.
    """

    messages: tuple[Message, ...]
    settings: Settings
    raw: bool = False
    logprobs: int | None = None
    overflow: str = "refuse"
    expected: tuple[int, ...] = ()
    record: bool = False
    control: Control | None = None

    @property
    def longest_answer(self) -> int:
        """Tokens that its answer is given room for."""
        limit: int = self.settings["max_tokens"]
        return limit if limit >= 0 else AS_ENDLESS


@dataclass(frozen=True)
class Passage:
    """A given text as the answer to a request (teacher forcing)."""

    request: Request
    text: str


@dataclass(frozen=True)
class Started:
    """Everything known before the first token. `prompt` is the text after the template,
    and `tokens` are its ids.
    """

    prompt: str
    tokens: tuple[int, ...]
    seed: int
    model: ModelInfo
    context: int

    @property
    def prompt_tokens(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Piece:
    """Text that is certain to belong to the answer, and the token that completed it.

    Several pieces may share a token, and a token may yield no piece at all (half a
    character, or text still held back as the possible beginning of a stop sequence).
    """

    text: str
    token: Token


@dataclass(frozen=True)
class Finished:
    """The end of a generation; `tokens` includes those cut off by a stop sequence. `effects`
    only where they were asked for. Whoever asked to record closes the `trace`.
    """

    text: str
    stop: Stop
    usage: Usage
    timing: Timing
    tokens: tuple[Token, ...] = ()
    effects: tuple[Effect, ...] = ()
    trace: Trace | None = None


@dataclass(frozen=True)
class Failed:
    """A request that could not be answered, or not to its end; its neighbours go on."""

    error: LlmparamsError


@dataclass(frozen=True)
class Scored:
    """A passage with its logits, up to where `stop` says that it was given up. Close the
    `trace`.
    """

    started: Started
    trace: Trace
    stop: Stop | None = None


Event = Started | Piece | Finished | Failed
Numbered = tuple[int, Event]  # with the place of its request, from 0


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do: the `parameters` that it follows, by name, whether it knows token
    `ids` and `logprobs`, records `traces`, scores passages; and how many answers it works on
    at a time (`slots`).
    """

    parameters: frozenset[str]
    ids: bool
    logprobs: bool
    traces: bool
    scores: bool
    slots: int


class Backend(Protocol):
    """A model that answers. Opened by `backends.open`, which closes it."""

    info: ModelInfo
    capabilities: Capabilities

    def count(self, messages: Sequence[Message], *, raw: bool = False) -> int | None:
        """How many tokens the prompt of these messages has; None: not known."""

    def encode(self, text: str) -> tuple[int, ...] | None:
        """The token ids of a text; None: not known."""

    def context(self, settings: Settings) -> int:
        """How many tokens prompt and answer may have together."""

    def answer(
        self, requests: Iterable[Request | None]
    ) -> Generator[tuple[int, Event], None, None]:
        """Answer all requests, several at a time.

        Requests are taken as there is room; None means that nobody waits now. Ctrl-C ends all
        that have started with an INTERRUPTED. Exhaust or close it before the next call.
        """

    def read_ahead(self, request: Request) -> None:
        """Read what is certain of a prompt that is going to be longer, while nobody waits, until
        the request's control says stop. Nothing where nothing is kept of prompts.
        """

    def score(self, passages: Iterable[Passage]) -> Iterator[tuple[int, Scored | Failed]]:
        """Read given texts as answers."""

    def facts(self) -> Mapping[str, Any]:
        """What else decides how sums are rounded: the library, its build, the device, batches;
        for receipts.
        """

    def close(self) -> None: ...


@dataclass(frozen=True)
class EffectPoint:
    """A parameter at one value: bits of entropy that are left to the draw, and the share of
    draws (0 to 1) that come out otherwise than at the value that all are compared with.
    """

    value: str
    entropy: float
    changed: float


@dataclass(frozen=True)
class ParamEffect:
    """What a parameter does along `text` (in words), at several values. All are compared with
    the one called `against`, where the parameter is off if it can be; `beside` it are on.
    """

    points: tuple[EffectPoint, ...]
    against: str
    beside: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class PresetDiff:
    """Two presets side by side: their names, the texts that differ, all values; and, along
    an answer to `prompt`, how differently they draw.
    """

    names: tuple[str, str]
    texts: dict[str, tuple[str | None, str | None]]
    settings: tuple[Settings, Settings]
    prompt: str
    divergences: tuple[Divergence, ...] = ()


class Health(str, Enum):
    """Of one part of an installation: `FAIL` prevents generating, `WARN` makes it worse."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing that `doctor` looked at; `cure` is for those that are not well.

    `exit_code` is what a failed one makes of the whole run.
    """

    section: str
    name: str
    value: str
    health: Health = Health.OK
    cure: str = ""
    exit_code: ExitCode = ExitCode.SUCCESS
