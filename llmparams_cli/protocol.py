"""What flows between the program's rooms: requests, tokens, stops, results.

A backend takes a `Request` and yields events: one `Started`, any number of `Piece`s,
one `Finished`. Renderers consume events and know nothing of engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from llmparams_cli.errors import ExitCode
from llmparams_cli.params.settings import Setting, Settings


class StopReason(str, Enum):
    """Why generation ended."""

    END_OF_GENERATION = "end-of-generation"
    STOP_SEQUENCE = "stop-sequence"
    MAX_TOKENS = "max-tokens"
    CONTEXT_FULL = "context-full"
    TIME_LIMIT = "time-limit"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Stop:
    """A reason with its detail: the token, the sequence, the limit that was reached."""

    reason: StopReason
    detail: str


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
    """The model as reported to the user. `parameters` is their number."""

    path: str
    name: str
    parameters: int
    quantization: str


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
    answer, to be compared with this one.
    """

    messages: tuple[Message, ...]
    settings: Settings
    raw: bool = False
    logprobs: int | None = None
    overflow: str = "refuse"
    expected: tuple[int, ...] = ()


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
class Effect:
    """One setting against its neutral value: at how many draws another token would have come
    from the same random number, which they were, and at how many it touched anything.
    """

    setting: Setting
    draws: int
    changed: tuple[int, ...]


@dataclass(frozen=True)
class Finished:
    """The end of a generation; `tokens` includes those cut off by a stop sequence. `effects`
    only where they were asked for.
    """

    text: str
    stop: Stop
    usage: Usage
    timing: Timing
    tokens: tuple[Token, ...] = ()
    effects: tuple[Effect, ...] = ()


Event = Started | Piece | Finished


@dataclass(frozen=True)
class Divergence:
    """How differently two settings draw one token: half the sum of the absolute differences
    of probabilities, 0 to 1. `best` is each one's most probable token, with its probability.
    """

    token: str
    variation: float
    best: tuple[tuple[str, float], ...]


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
