"""What a run learns from: examples read, split and cut into rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from llmparams_cli.backends.llama.weights import vocabulary
from llmparams_cli.env import STANDARD_INPUT, STDIN, Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path
from llmparams_cli.jobs.prompt import read_place
from llmparams_cli.jobs.tuning.models import Asked, longest_prompt
from llmparams_cli.jobs.tuning.order import Order
from llmparams_cli.models.gguf import Header
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Progress
from llmparams_cli.templates.choice import chosen
from llmparams_cli.training.encoding import Encoder
from llmparams_cli.training.records import Data, Record, read_data, records_of
from llmparams_cli.training.rows import Document, Rows, held_out, rows_of
from llmparams_cli.training.trainer import Row

PROMPTS = 2  # answered at every check, where --prompt names none
BEGINNING = 12  # words of a plain text that make a prompt


@dataclass(frozen=True)
class Material:
    """Rows to learn from and rows held out, of so many documents and learned tokens each; the fixed
    prompts; a hash of all the rows; and what chat templates took for now (ISO 8601).
    """

    rows: tuple[Row, ...]
    held_out: tuple[Row, ...]
    documents: tuple[int, int]
    tokens: tuple[int, int]
    asked: Asked
    sha256: str
    date: str


def data_of(env: Environment, given: str) -> Data:
    """The examples of a file, a folder, or standard input (-)."""
    if given == STDIN:
        return Data(records_of(read_place(STANDARD_INPUT, env.read_stdin), STANDARD_INPUT))
    return read_data(resolve_path(given, env.directory), given)


def material_of(
    env: Environment,
    data: Data,
    tokenizer: Header,
    settings: Settings,
    order: Order,
    date: str,
    progress: Progress,
) -> Material:
    """The rows of these examples for a model with this tokenizer and chat template."""
    train, valid = _split(data, order)
    template = chosen(tokenizer.chat_templates, settings["chat_template"])
    with vocabulary(tokenizer.path) as model:
        encoder = Encoder(
            model,
            template,
            settings,
            date,
            env.note,
            mask_prompt=order.mask_prompt,
        )
        documents = [*_encoded(encoder, [*train, *valid], progress)]
        most = longest_prompt(tokenizer)
        prompts = _prompts(order, [*valid, *train], lambda text: len(model.tokenize(text)) <= most)
    rows = rows_of(documents[: len(train)], order.size)
    others = rows_of(documents[len(train) :], order.size)
    _tell(env, rows, others, order)
    _refuse_nothing(rows, others, order)
    return Material(
        rows.rows,
        others.rows,
        (len(train), len(valid)),
        (rows.tokens, others.tokens),
        Asked(prompts, _is_raw(train, template)),
        _sha256((*rows.rows, *others.rows)),
        date,
    )


def _split(data: Data, order: Order) -> tuple[Sequence[Record], Sequence[Record]]:
    if data.valid is not None:
        return data.train, data.valid
    if len(data.train) == 1 and order.hold_back and not data.train[0].messages:
        return _divided(data.train[0], order.hold_back)
    return held_out(data.train, order.hold_back, order.seed)


def _divided(record: Record, share: float) -> tuple[Sequence[Record], Sequence[Record]]:
    """A single text: its end is held out, from a blank on."""
    text = record.text
    place = text.rfind(" ", 0, max(1, round(len(text) * (1 - share))))
    if place < 1 or not text[place:].strip():
        return held_out([record], share, 0)
    return [replace(record, text=text[:place])], [replace(record, text=text[place + 1 :])]


def _encoded(encoder: Encoder, records: Sequence[Record], progress: Progress) -> Iterator[Document]:
    for number, record in enumerate(records, 1):
        yield encoder.document(record)
        progress("reading examples", number / len(records))


def _tell(env: Environment, rows: Rows, others: Rows, order: Order) -> None:
    if cut := rows.cut + others.cut:
        env.note(
            f"{cut} of the examples have more than {order.size} tokens: their ends are left out"
            " (--context)"
        )
    if dropped := rows.dropped + others.dropped:
        env.note(f"{dropped} of the examples have nothing to learn within {order.size} tokens")


def _refuse_nothing(rows: Rows, others: Rows, order: Order) -> None:
    if not rows.rows:
        raise UsageError("there is nothing to learn in the examples", "give longer ones")
    if not others.rows and (order.patience or order.schedule == "plateau"):
        option = "--patience" if order.patience else "--schedule plateau"
        raise UsageError(
            f"{option} judges by what is held out, and nothing is",
            "--hold-back 0.1, or a folder with valid.jsonl",
        )


def _is_raw(records: Sequence[Record], template: str) -> bool:
    """Do prompts go on as texts, rather than be answered?"""
    return not template or not any(record.messages for record in records)


def _prompts(
    order: Order, records: Sequence[Record], fits: Callable[[str], bool]
) -> tuple[str, ...]:
    """The fixed prompts: those of the user, or the first of the examples that are short enough."""
    for prompt in order.prompts:
        if not fits(prompt):
            raise UsageError("--prompt is too long to be answered at every check", "a shorter one")
    if order.prompts:
        return order.prompts
    found: list[str] = []
    for record in records:
        asked = [message.content for message in record.messages if message.role == "user"]
        words = record.text.split()[:BEGINNING]
        found += filter(fits, asked[:1] or ([" ".join(words)] if words else []))
        if len({*found}) == PROMPTS:
            break
    return tuple(dict.fromkeys(found))


def _sha256(rows: Sequence[Row]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(row.tokens.tobytes() + row.learned.tobytes())
    return digest.hexdigest()
