"""How well models predict a text (perplexity)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from llmparams_cli.analysis.perplexity import Plan, TextResult, plan, result_of, scored
from llmparams_cli.backends.open import opened
from llmparams_cli.env import STDIN, Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.jobs.prompt import read_place
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source
from llmparams_cli.protocol import Encoded, Progress

CHUNK = Origin(Source.FLAG, "--chunk")
LEAST = 8  # tokens in a chunk


@dataclass(frozen=True)
class Wanted:
    """A text, and how it is read: in chunks of `size` tokens, `strided` or side by side; of the
    chunks the first `most`, if that is given. The user may choose a size of `least` tokens or more.
    """

    text: str
    size: int
    strided: bool = False
    most: int | None = None
    least: int = LEAST


def text_of(env: Environment, file: str) -> str:
    """The text of --text; - is standard input."""
    read = env.read_stdin if file == STDIN else resolve_path(file, env.directory).read_bytes
    text = read_place(f"--text {file}", read)
    if not text.strip():
        raise UsageError(f"--text {file} is empty", "give a text file")
    return text


def evaluate(
    env: Environment, models: Sequence[Prepared], wanted: Wanted, progress: Progress
) -> list[TextResult]:
    """Let each model read the text."""
    return [_read(env, each, wanted, progress) for each in models]


def _read(env: Environment, prepared: Prepared, wanted: Wanted, progress: Progress) -> TextResult:
    settings = for_chunks(prepared.settings, wanted)
    with Control() as control, opened(env, prepared.model, settings, control, progress) as backend:
        text = backend.split(wanted.text)
        cut = cut_up(text, wanted)
        began = time.perf_counter()
        logprobs = []
        for number, found in enumerate(scored(cut, backend.logits(cut.chunks, settings)), 1):
            logprobs.append(found)
            progress("reading", number / len(cut.chunks), len(cut.chunks) * cut.size)
        return result_of(backend.info, text, cut, logprobs, time.perf_counter() - began)


def for_chunks(settings: Settings, wanted: Wanted) -> Settings:
    """The settings with room for one chunk."""
    return settings.but(Assignment("context", wanted.size, CHUNK))


def cut_up(text: Encoded, wanted: Wanted) -> Plan:
    """The chunks of a text; raises UsageError if it fills none."""
    cut = plan(text, wanted.size, strided=wanted.strided, most=wanted.most)
    if not cut.chunks:
        count = len(text.ids)
        smaller = f"--chunk {max(wanted.least, count // 2)} reads it in smaller ones"
        raise UsageError(
            f"the text has {count} tokens, and a chunk {wanted.size}",
            smaller if count >= wanted.least else "give a longer text",
        )
    return cut
