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

Maker = Callable[[random.Random], object]


def _integer(low: int, high: int) -> Maker:
    return lambda rng: rng.randrange(low, high)


def _one_of(options: list[str]) -> Maker:
    return lambda rng: rng.choice(options).format(n=rng.randrange(1, 60))


def _price(rng: random.Random) -> object:
    whole = rng.randrange(2, 3000)
    return whole if rng.random() < 0.4 else round(whole + rng.randrange(5, 100, 5) / 100, 2)


def _time(rng: random.Random) -> str:
    return f"{rng.randrange(7, 22):02d}:{rng.choice((0, 15, 30, 45)):02d}"


def _name(rng: random.Random) -> str:
    return f"{names.word(rng)} {names.word(rng)}" if rng.random() < 0.5 else names.word(rng)


@dataclass(frozen=True)
class Schema:
    fields: dict[str, Maker]
    sentences: tuple[str, ...]


SCHEMAS = (
    Schema(
        {"name": _name, "age": _integer(3, 99), "city": names.town, "job": _one_of(JOBS)},
        (
            "{name} is {age} years old, lives in {city} and works as a(n) {job}.",
            "{name}, a(n) {job} from {city}, [is|turned] {age}[ today| last week|].",
            "[My neighbour|Our friend|The winner] {name} is a {age}-year-old {job} from {city}.",
            "in {city} lives a(n) {job} called {name}, who is {age} years old.",
        ),
    ),
    Schema(
        {"customer": _name, "quantity": _integer(1, 500), "item": _one_of(ITEMS), "price": _price},
        (
            "{customer} [ordered|bought|wants] {quantity} {item} for {price} [euros|dollars|pounds][ in total|].",
            "please send {quantity} {item} to {customer}; the price is {price} [euros|dollars].",
            "for {price} [euros|dollars], {customer} [received|got] {quantity} {item}.",
        ),
    ),
    Schema(
        {"event": _one_of(MEETINGS), "date": names.date, "time": _time, "place": _one_of(ROOMS)},
        (
            "the {event} [takes place|will be|is] on {date} at {time} in {place}.",
            "on {date} there is a(n) {event} in {place}[, starting] at {time}.",
            "come to {place} on {date}: the {event} [starts|begins] at {time}.",
        ),
    ),
    Schema(
        {"product": names.word, "colour": _one_of(COLOURS), "weight": _integer(1, 900), "price": _price},
        (
            "the {product} is {colour}, weighs {weight} [grams|kilograms] and costs {price} [euros|dollars].",
            "for {price} [euros|dollars] you get the {colour} {product}, which weighs {weight} [grams|kilograms].",
        ),
    ),
    Schema(
        {"sender": _name, "receiver": _name, "amount": names.amount, "date": names.date},
        (
            "on {date}, {sender} [paid|sent|transferred] {amount} to {receiver}.",
            "{receiver} received {amount} from {sender} on {date}.",
            "{sender} [owes|must pay] {receiver} {amount} by {date}.",
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


def _json_schema(record: dict[str, object]) -> str:
    kinds = {str: "string", int: "integer", float: "number"}
    properties = {key: {"type": kinds[type(value)]} for key, value in record.items()}
    schema = {"type": "object", "properties": properties, "required": list(record)}
    return json.dumps(schema)


def _instruction(rng: random.Random, record: dict[str, object]) -> str:
    kind = rng.random()
    if kind < 0.5:
        keys = list(record)
        joined = (
            ", ".join(keys) if rng.random() < 0.5 else ", ".join(keys[:-1]) + " and " + keys[-1]
        )
        return expand(rng.choice(KEY_PROMPTS), {"keys": joined}, rng)
    if kind < 0.75:
        return expand(rng.choice(SCHEMA_PROMPTS), {"schema": _json_schema(record)}, rng)
    return expand(rng.choice(OPEN_PROMPTS), {}, rng)


def messages(rng: random.Random) -> list[dict[str, str]]:
    """A sentence, an instruction in the system or the user message, and the JSON."""
    schema = rng.choice(SCHEMAS)
    values = {key: make(rng) for key, make in schema.fields.items()}
    sentence = sentence_case(
        expand(rng.choice(schema.sentences), {k: str(v) for k, v in values.items()}, rng)
    )
    keys = list(values)
    instruction_keys = keys
    if rng.random() < 0.4:
        instruction_keys = rng.sample(keys, rng.randrange(2, len(keys) + 1))
    record = {key: values[key] for key in instruction_keys}
    instruction = _instruction(rng, record)
    if not all(key in instruction for key in record):
        record = values
    answer = {"role": "assistant", "content": json.dumps(record, ensure_ascii=False)}
    if rng.random() < 0.6:
        return [
            {"role": "system", "content": instruction},
            {"role": "user", "content": sentence},
            answer,
        ]
    return [{"role": "user", "content": f"{instruction.rstrip('.')}: {sentence}"}, answer]
