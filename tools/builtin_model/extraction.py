"""Sentences and the JSON that a schema asks for."""

# One sentence a line reads better here than wrapped strings.
# ruff: noqa: E501, SIM905

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

import names
from grammar import expand, sentence_case

JOBS = (
    "baker|nurse|teacher|driver|painter|engineer|farmer|lawyer|cook|pilot|doctor|carpenter".split(
        "|"
    )
)
ITEMS = "chairs|lamps|apples|notebooks|bottles of water|pencils|keyboards|books|cups|tables|bags of rice|candles|shirts|tickets".split(
    "|"
)
MEETINGS = "meeting|workshop|lesson|concert|interview|lunch|training|party|lecture".split("|")
ROOMS = "room {n}|the library|the town hall|the main office|the garden|hall {n}".split("|")
COLOURS = "red|blue|green|black|white|yellow|grey|brown".split("|")

SPECIES = "cat|dog|horse|rabbit|parrot|hamster|goat|turtle".split("|")

# Other names for a key; the instruction says which one is wanted.
SYNONYMS = {
    "name": ("person", "full_name", "who"),
    "city": ("town", "place", "home", "location"),
    "job": ("profession", "work", "occupation"),
    "age": ("years", "age_in_years"),
    "customer": ("buyer", "client", "name"),
    "item": ("article", "product", "goods"),
    "quantity": ("count", "number", "amount"),
    "price": ("cost", "total", "amount"),
    "event": ("what", "title", "kind"),
    "date": ("day", "when"),
    "time": ("hour", "start"),
    "place": ("room", "where", "location"),
    "colour": ("color",),
    "sender": ("from", "payer", "buyer"),
    "receiver": ("to", "payee", "seller", "recipient"),
    "amount": ("sum", "total", "money"),
    "company": ("employer", "firm", "organisation"),
    "number": ("id", "code", "reference"),
}

Maker = Callable[[random.Random], object]


def _integer(low: int, high: int) -> Maker:
    return lambda rng: rng.randrange(low, high)


def _one_of(options: list[str]) -> Maker:
    return lambda rng: rng.choice(options).format(n=rng.randrange(1, 60))


def _price(rng: random.Random) -> object:
    whole = int(2 * 1500 ** rng.random())
    return whole if rng.random() < 0.4 else round(whole + rng.randrange(5, 100, 5) / 100, 2)


def _time(rng: random.Random) -> str:
    return f"{rng.randrange(7, 22):02d}:{rng.choice((0, 15, 30, 45)):02d}"


def _code(rng: random.Random) -> str:
    letters = "".join(rng.choice(names.LETTERS) for _ in range(rng.randrange(1, 4))).upper()
    return f"{letters}-{rng.randrange(100, 10_000)}"


@dataclass(frozen=True)
class Schema:
    fields: dict[str, Callable[..., object]]
    """How to make each value; names take the argument that asks for held-out words."""
    sentences: tuple[str, ...]


def _name(rng: random.Random, held_out: bool = False) -> str:
    both = rng.random() < 0.5
    return " ".join(names.word(rng, held_out) for _ in range(2 if both else 1))


SCHEMAS = (
    Schema(
        {"name": _name, "age": _integer(3, 99), "city": names.town, "job": _one_of(JOBS)},
        (
            "{name} is {age} years old, lives in {city} and works as a(n) {job}.",
            "{name}, a(n) {job} from {city}, [is|turned] {age}[ today| last week|].",
            "[My neighbour|Our friend|The winner] {name} is a {age}-year-old {job} from {city}.",
            "in {city} lives a(n) {job} called {name}, who is {age} years old.",
            "[I am|My name is] {name}, I am {age}, I live in {city} and I am a(n) {job}.",
            "{name} ({age}) works as a(n) {job} in {city}.",
        ),
    ),
    Schema(
        {"customer": _name, "quantity": _integer(1, 500), "item": _one_of(ITEMS), "price": _price},
        (
            "{customer} [ordered|bought|wants] {quantity} {item} for {price} [euros|dollars|pounds][ in total|].",
            "please send {quantity} {item} to {customer}; the price is {price} [euros|dollars].",
            "for {price} [euros|dollars], {customer} [received|got] {quantity} {item}.",
            "order from {customer}: {quantity} {item}, {price} [euros|dollars|pounds].",
            "{quantity} {item} at {price} [euros|dollars] were [sold|sent] to {customer}.",
        ),
    ),
    Schema(
        {"event": _one_of(MEETINGS), "date": names.date, "time": _time, "place": _one_of(ROOMS)},
        (
            "the {event} [takes place|will be|is] on {date} at {time} in {place}.",
            "on {date} there is a(n) {event} in {place}[, starting] at {time}.",
            "come to {place} on {date}: the {event} [starts|begins] at {time}.",
            "{event} in {place}, {date}, {time}.",
        ),
    ),
    Schema(
        {"product": names.word, "colour": _one_of(COLOURS), "weight": _integer(1, 900), "price": _price},
        (
            "the {product} is {colour}, weighs {weight} [grams|kilograms] and costs {price} [euros|dollars].",
            "for {price} [euros|dollars] you get the {colour} {product}, which weighs {weight} [grams|kilograms].",
            "our new {product} [comes in|is] {colour}. it costs {price} [euros|dollars] and weighs {weight} [grams|kilograms].",
        ),
    ),
    Schema(
        {"sender": _name, "receiver": _name, "amount": names.amount, "date": names.date},
        (
            "on {date}, {sender} [paid|sent|transferred] {amount} to {receiver}.",
            "{receiver} received {amount} from {sender} on {date}.",
            "{sender} [owes|must pay] {receiver} {amount} by {date}.",
            "{sender} pays {receiver} {amount} on {date}.",
        ),
    ),
    Schema(
        {"name": _name, "company": names.company, "job": _one_of(JOBS), "date": names.date},
        (
            "{name} [joined|works for] {company} as a(n) {job} [on|since] {date}.",
            "{company} hired {name} as a(n) {job} on {date}.",
            "on {date}, {name} became a(n) {job} at {company}.",
        ),
    ),
    Schema(
        {"number": _code, "company": names.company, "amount": names.amount, "date": names.date},
        (
            "invoice {number} from {company} over {amount} is due on {date}.",
            "{company} sent invoice {number}: please pay {amount} by {date}.",
            "please pay {amount} to {company} by {date} and quote {number}.",
        ),
    ),
    Schema(
        {"name": _name, "kind": _one_of(SPECIES), "age": _integer(1, 25), "owner": _name},
        (
            "{name} is a {age}-year-old {kind} that belongs to {owner}.",
            "{owner} has a(n) {kind} called {name}, which is {age} years old.",
            "the {kind} of {owner} is called {name} and is {age} years old.",
        ),
    ),
    Schema(
        {"title": _name, "author": _name, "year": _integer(1900, 2040), "pages": _integer(40, 900)},
        (
            "the book {title} by {author} [appeared|came out] in {year} and has {pages} pages.",
            "in {year}, {author} wrote {title}, a book of {pages} pages.",
            "{author} is the author of {title} ({year}, {pages} pages).",
        ),
    ),
)  # fmt: skip

KEY_PROMPTS = (
    "Extract {keys} as JSON.",
    "[Extract|Return|Give me] the [fields|keys] {keys} as JSON[ and nothing else|].",
    "[Turn the sentence into|Answer with|Reply with] JSON with the keys {keys}.",
    "You extract data. Output JSON with {keys}.",
)
SCHEMA_PROMPTS = (
    "Extract the data as JSON[ that matches this schema|]: {schema}",
    "[Answer only with JSON that follows|Fill in] this schema: {schema}",
)
OPEN_PROMPTS = (
    "Extract the data from the sentence as JSON.",
    "Extract the facts as JSON. Answer with JSON only.",
    "You turn sentences into JSON.",
    "[Turn|Convert] this [sentence|text] into JSON.",
)


def json_schema(record: dict[str, object]) -> dict[str, object]:
    """A schema that the record fits."""
    kinds = {str: "string", int: "integer", float: "number"}
    properties = {key: {"type": kinds[type(value)]} for key, value in record.items()}
    return {"type": "object", "properties": properties, "required": list(record)}


def _naming_instruction(rng: random.Random, record: dict[str, object]) -> str:
    if rng.random() < 0.25:
        return expand(rng.choice(SCHEMA_PROMPTS), {"schema": json.dumps(json_schema(record))}, rng)
    keys = list(record)
    joined = ", ".join(keys)
    if len(keys) > 1 and rng.random() < 0.5:
        joined = ", ".join(keys[:-1]) + " and " + keys[-1]
    return expand(rng.choice(KEY_PROMPTS), {"keys": joined}, rng)


HELD_OUT_MAKERS = (_name, names.word, names.town, names.company)


def _keys(rng: random.Random, schema: Schema) -> dict[str, str]:
    """The wanted keys in their order, each with the field that it names."""
    fields = list(schema.fields)
    if rng.random() < 0.4:
        fields = rng.sample(fields, rng.randrange(1, len(fields) + 1))
    keys: dict[str, str] = {}
    for field in fields:
        key = rng.choice(SYNONYMS.get(field, (field,))) if rng.random() < 0.25 else field
        keys[field if key in keys else key] = field
    return keys


def example(
    rng: random.Random, schema: Schema, held_out: bool = False
) -> tuple[str, dict[str, object]]:
    """A sentence and all that it says."""
    values = {
        field: make(rng, held_out) if make in HELD_OUT_MAKERS else make(rng)
        for field, make in schema.fields.items()
    }
    slots = {field: str(value) for field, value in values.items()}
    return sentence_case(expand(rng.choice(schema.sentences), slots, rng)), values


def messages(rng: random.Random, held_out: bool = False) -> list[dict[str, str]]:
    """An instruction, one or more sentences, and the JSON of each; held out: one sentence.

    An open instruction wants every key of the sentence, mostly. The rest shows the model keys that
    it could not foresee, because a schema may force them on it.
    """
    schema = rng.choice(SCHEMAS)
    is_open = rng.random() < 0.45
    keys = _keys(rng, schema)
    if is_open and (held_out or rng.random() < 0.6):
        keys = {field: field for field in schema.fields}
    count = 1 if held_out else rng.choice((1, 1, 1, 2, 3))
    pairs = []
    for _ in range(count):
        sentence, values = example(rng, schema, held_out)
        pairs.append((sentence, {key: values[field] for key, field in keys.items()}))
    if is_open:
        instruction = expand(rng.choice(OPEN_PROMPTS), {}, rng)
    else:
        instruction = _naming_instruction(rng, pairs[0][1])
    exchanges = []
    for sentence, record in pairs:
        exchanges += [
            {"role": "user", "content": sentence},
            {"role": "assistant", "content": json.dumps(record, ensure_ascii=False)},
        ]
    if rng.random() < 0.6:
        return [{"role": "system", "content": instruction}, *exchanges]
    exchanges[0]["content"] = f"{instruction.rstrip('.')}: {exchanges[0]['content']}"
    return exchanges
