"""Small exercises in finding and copying: echoes, lists, records, who paid whom.

A summary, a JSON object and a story about somebody's hero all need the same ability, to carry an
unseen text from the prompt into the answer. Long documents teach it slowly; these are short.
"""

# One sentence a line reads better here than wrapped strings.
# ruff: noqa: E501

from __future__ import annotations

import random
import re
from collections.abc import Callable

import names
import story_plots
from grammar import expand, listing, sentence_case

Exchange = tuple[str, str]
Maker = Callable[[random.Random], str]

# Ranges of whole scripts: the echo must survive text that no other part of the corpus contains.
SCRIPTS = (
    (0x3041, 0x3097),  # hiragana
    (0x3041, 0x3097),
    (0x30A1, 0x30FB),  # katakana
    (0x4E00, 0x9FA0),  # Chinese characters
    (0x4E00, 0x9FA0),
    (0x0621, 0x063B),  # Arabic
    (0x0641, 0x064B),
    (0x1F600, 0x1F650),  # emoji faces
    (0x1F300, 0x1F600),  # emoji things
    (0x1F900, 0x1FA00),  # later emoji
    (0x1F680, 0x1F700),  # vehicles
    (0x2600, 0x27C0),  # symbols
    (0x0410, 0x0450),  # Cyrillic
    (0x03B1, 0x03CA),  # Greek
    (0x05D0, 0x05EB),  # Hebrew
    (0x0E01, 0x0E2F),  # Thai
    (0x0905, 0x0939),  # Devanagari
    (0xAC00, 0xD7A4),  # Korean
    (0x00E0, 0x00FF),  # Latin letters with accents
)
MARKS = ("、", "。", "！", "？", "،", "؟", "…", "–", "“", "”", "'", '"', "!", "?", ",", ".", ":", "-", "/", "@", "#", "%", "(", ")", "️", "‍")  # fmt: skip
THINGS = "lamp|spoon|ladder|violin|apple|hammer|pillow|candle|mirror|basket|kettle|window|bucket|carpet|needle|button".split("|")  # noqa: SIM905  # fmt: skip


def foreign_word(rng: random.Random) -> str:
    """One to six letters of one script, sometimes with a mark."""
    first, last = rng.choice(SCRIPTS)
    word = "".join(chr(rng.randrange(first, last)) for _ in range(rng.randrange(1, 7)))
    return word + rng.choice(MARKS) if rng.random() < 0.15 else word


def _letters(rng: random.Random, script: tuple[int, int], most: int) -> str:
    return "".join(chr(rng.randrange(*script)) for _ in range(rng.randrange(1, most)))


def greeting(rng: random.Random) -> str:
    """Scripts as they are written: Japanese without spaces, Arabic in words, joined emoji."""
    japanese = "".join(
        _letters(rng, rng.choice(SCRIPTS[:5]), 6) for _ in range(rng.randrange(1, 4))
    )
    arabic = " ".join(
        _letters(rng, rng.choice(SCRIPTS[5:7]), 8) for _ in range(rng.randrange(1, 4))
    )
    emoji = rng.choice(("", "\u200d", "\u200d", "\ufe0f", " ")).join(
        _letters(rng, rng.choice(SCRIPTS[7:12]), 3) for _ in range(rng.randrange(1, 5))
    )
    parts = (
        japanese + rng.choice("、。！？ "),
        arabic + rng.choice("،؟! ."),
        emoji + rng.choice(("", "\ufe0f")),
    )
    return " ".join(part.strip() for part in rng.sample(parts, rng.randrange(1, 4)))


def lower_word(rng: random.Random) -> str:
    """A composed word that is no name."""
    return names.word(rng).lower()


def digits(rng: random.Random) -> str:
    """A number without any system, up to nine digits long."""
    return "".join(rng.choice("0123456789") for _ in range(rng.randrange(1, 10)))


def code(rng: random.Random) -> str:
    """Capital letters and digits, such as an order number has."""
    letters = "".join(rng.choice(names.LETTERS) for _ in range(rng.randrange(1, 4))).upper()
    return letters + rng.choice(("-", "", "/")) + digits(rng)


def thing(rng: random.Random) -> str:
    """A common noun."""
    return rng.choice(THINGS)


COMMON_WORDS = sorted(
    {
        word
        for plots in story_plots.PLOTS.values()
        for plot in plots
        for beat in plot
        for line in beat
        for word in re.findall(r"(?<![{\w])[a-z]{2,}(?![}\w])", line)
    }
)


def common_words(rng: random.Random) -> str:
    """Words of the stories, in any order."""
    return " ".join(rng.choice(COMMON_WORDS) for _ in range(rng.randrange(1, 7)))


def nonsense(rng: random.Random) -> str:
    """The same as a sentence."""
    return common_words(rng).capitalize() + rng.choice(".!?")


PIECES: tuple[Maker, ...] = (
    greeting, greeting,
    names.word, names.word, names.person, names.company, lower_word, lower_word, thing,
    foreign_word, foreign_word, foreign_word, foreign_word,
    names.number, names.amount, names.date, digits, code, common_words, nonsense,
)  # fmt: skip
VALUES: tuple[Maker, ...] = (
    names.word, names.person, names.company, names.town, names.number, names.amount, names.date,
    digits, code, thing, lower_word,
)  # fmt: skip

ECHO_REQUESTS = (
    "[Repeat|Echo|Say|Write|Copy|Print|Return] [this|the following|exactly this][:| text:] {text}",
    "[Repeat|Say|Speak] after me: {text}",
    "[Repeat|Echo|Copy|Say]: {text}",
    'Please [repeat|say|write|echo] "{text}".',
    "[Repeat|Copy] the [text|line|words] [below|exactly][:|.]\n{text}",
    "{text}\n\n[Repeat this|Repeat that|Say that again|Copy the line above].",
)


def echo(rng: random.Random) -> Exchange:
    """A request to repeat a text of any letters."""
    makers = rng.sample(PIECES, rng.choice((1, 1, 2, 3, 4)))
    count = rng.choice((1, 2, 3, 4, 5, 6, 8, 10))
    text = rng.choice((" ", " ", " ", ", ", "")).join(rng.choice(makers)(rng) for _ in range(count))
    return expand(rng.choice(ECHO_REQUESTS).replace("{text}", "\0"), {}, rng).replace(
        "\0", text
    ), text


def _distinct(rng: random.Random, maker: Maker, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        item = maker(rng)
        found += [item] if item not in found else []
    return found


def _ask(rng: random.Random, templates: str | tuple[str, ...], **slots: str) -> str:
    template = templates if isinstance(templates, str) else rng.choice(templates)
    return expand(template, slots, rng)


def order(rng: random.Random) -> Exchange:
    """A list, and the same list in another form."""
    items = _distinct(rng, rng.choice(VALUES), rng.randrange(2, 6))
    separator = "; " if any(", " in item for item in items) else ", "
    line = separator.join(items)
    request, answer = rng.choice(
        (
            ("[Reverse this list|Write the list backwards|Turn the list around]: {line}", separator.join(items[::-1])),
            ("[Write this list with one item a line|Make a bullet list|Write it as a list]: {line}", "\n".join(f"- {item}" for item in items)),
            ("[Write this list as a sentence|Join the list with 'and']: {line}", listing(items)),
            ("[What is|Which is|Give me] the first [item|one] of {line}?", items[0]),
            ("[What is|Which is|Give me] the last [item|one] of {line}?", items[-1]),
            ("[What is|Which is|Give me] the second [item|one] of {line}?", items[1]),
            ("[Which item|What] comes after {first} in {line}?", items[1]),
        )
    )  # fmt: skip
    return _ask(rng, request, line=line, first=items[0]), answer


def record(rng: random.Random) -> list[Exchange]:
    """Names with values, and questions after some of them."""
    keys = _distinct(
        rng, rng.choice((names.word, names.person, lower_word, thing)), rng.randrange(2, 7)
    )
    maker = rng.choice(VALUES)
    values = dict(zip(keys, _distinct(rng, maker, len(keys)), strict=True))
    sign, separator = rng.choice(
        ((": ", "\n"), (" = ", "\n"), (": ", "; "), (" has ", ". "), (" -> ", "\n"))
    )
    text = separator.join(key + sign + value for key, value in values.items())
    asked = rng.sample(keys, min(len(keys), rng.choice((1, 2, 3))))
    question = (
        "[What does|Which value does] {key} have?"
        if sign == " has "
        else "[What is [the value of|] {key}|{key}|What about {key}|And {key}]?"
    )
    pairs = [(_ask(rng, question, key=key), values[key]) for key in asked]
    first = rng.choice(("{text}\n\n{question}", "{text}\n{question}")).format(
        text=text, question=pairs[0][0]
    )
    return [(first, pairs[0][1]), *pairs[1:]]


DEED = (
    "[on|] {when} {a} [paid|sent|gave|transferred] {what} to {b}.",
    "{b} [received|got] {what} from {a} on {when}.",
    "{a} [owes|must pay] {b} {what} [by|on] {when}.",
    "{what} [went|was sent|was paid] from {a} to {b} on {when}.",
)
DEED_QUESTIONS = (
    ("[Who paid|Who gave it|Who had the money first|Who pays]?", "a"),
    ("[Who received it|To whom did it go|Who got the money|Who is paid]?", "b"),
    ("[How much|What was paid|How much was it|What amount]?", "what"),
    ("[When|On which day|When was that|What date]?", "when"),
)


def deed(rng: random.Random) -> list[Exchange]:
    """One sentence about a payment, and questions about it."""
    maker = rng.choice((names.word, names.person, names.company))
    a, b = _distinct(rng, maker, 2)
    facts = {"a": a, "b": b, "what": names.amount(rng), "when": names.date(rng)}
    sentence = sentence_case(_ask(rng, DEED, **facts).strip())
    asked = rng.sample(DEED_QUESTIONS, rng.choice((1, 2, 3, 4)))
    pairs = [(_ask(rng, question), facts[slot]) for question, slot in asked]
    return [(f"{sentence} {pairs[0][0]}", pairs[0][1]), *pairs[1:]]


# (what somebody says, the answer, what is asked later, the answer)
TALKS = (
    ("[My name is|I am called|Call me] {x}.", "[Hello|Nice to meet you], {x}!", "[What is my name|Who am I]?", "Your name is {x}."),
    ("[My cat|My dog|My horse] is called {x}.", "{x} is a [good|fine|lovely] name.", "[What is it called|What is its name]?", "It is called {x}."),
    ("I live in {x}.", "[I hope you like it in {x}|How nice]!", "Where do I live?", "You live in {x}."),
    ("[Remember|Please remember|Keep in mind]: {x}.", "I will remember {x}.", "What [should you remember|did I say]?", "{x}."),
)  # fmt: skip


def remember(rng: random.Random) -> list[Exchange]:
    """Somebody says a name or a thing, and asks for it later."""
    slots = {"x": names.word(rng)}
    said, answer, question, reply = (expand(line, slots, rng) for line in rng.choice(TALKS))
    return [(said, answer), (question, reply)]


def messages(rng: random.Random) -> list[dict[str, str]]:
    """One exercise, or a few echoes or lists after one another."""
    make = rng.choice((echo, echo, echo, order, record, record, deed, remember))
    if make in (record, deed, remember):
        exchanges = make(rng)
    else:
        exchanges = [make(rng) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    return [
        {"role": role, "content": text}
        for exchange in exchanges
        for role, text in zip(("user", "assistant"), exchange, strict=True)
    ]
