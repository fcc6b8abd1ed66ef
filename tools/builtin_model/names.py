"""Names composed of syllables, amounts and dates: material that can only be copied, not recalled.

A tenth of all composed words never occurs in training (`is_held_out`), so that an evaluation can
ask for names that the model has certainly not seen.
"""

# Word lists are easier to read and to extend as text.
# ruff: noqa: SIM905

from __future__ import annotations

import random
import zlib

ONSETS = (
    "b br c ch cl d dr f fl g gl gr h j k kl kr l m n p pl pr qu r s sh sk st sv t th tr v w y z"
).split()
NUCLEI = "a a a e e e i i o o u ai ea ei ia io oa ou y".split()
CODAS = ["", "", "", "", *"l m n n r r s t x ck ld nd ng nk rd rn sk st th".split()]

COMPANY_FORMS = (
    "Ltd Limited Inc LLC plc GmbH AG KG SA BV Oy Corp Group Holdings Partners Trading Foods "
    "Logistics Systems Software Energy Textiles Motors Farms Shipping Studios Labs Media Pharma "
    "Tools Paper Glass Steel Timber Optics Robotics Bakery Printing Consulting Brothers"
).split()
TITLES = ("Mr", "Ms", "Dr", "Mrs", "Professor")
TOWN_ENDINGS = ("ville", "burg", "ton", "mouth", "field", "stad", "port", "haven", "", "", "")

MONTHS = (
    "January February March April May June July August September October November December"
).split()
CURRENCIES = "EUR USD GBP CHF SEK JPY CAD AUD NOK DKK PLN INR CNY BRL ZAR NZD".split()
CURRENCY_WORDS = "euros dollars pounds francs crowns yen rupees pesos".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ACCENTS = str.maketrans("aeioucn", "äéíöüçñ")


def is_held_out(word: str) -> bool:
    """True for the tenth of all words that training must never contain."""
    return zlib.crc32(word.lower().encode()) % 10 == 0


def word(rng: random.Random, held_out: bool = False) -> str:
    """A capitalised word of two to four syllables, from the training or the held-out set."""
    while True:
        candidate = _composed(rng)
        if is_held_out(candidate) == held_out:
            return candidate


def _composed(rng: random.Random) -> str:
    """Mostly pronounceable. The rest keeps the model from trusting in syllables."""
    if rng.random() < 0.12:
        return "".join(rng.choice(LETTERS) for _ in range(rng.randrange(2, 9))).capitalize()
    count = rng.choice((1, 2, 2, 2, 2, 3, 3, 4))
    syllables = [rng.choice(ONSETS) + rng.choice(NUCLEI) for _ in range(count)]
    if rng.random() < 0.3:
        syllables[0] = syllables[0].lstrip("bcdfghjklmnpqrstvwxyz") or syllables[0]
    candidate = ("".join(syllables) + rng.choice(CODAS)).capitalize()
    return candidate.translate(ACCENTS) if rng.random() < 0.03 else candidate


def company(rng: random.Random, held_out: bool = False) -> str:
    """A company such as Relgoth & Viasi Ltd."""
    parts = [word(rng, held_out)]
    if rng.random() < 0.3:
        parts.append(rng.choice(("&", "and", "")) + " " + word(rng, held_out))
    parts.append(rng.choice(COMPANY_FORMS))
    return " ".join(" ".join(parts).split())


def person(rng: random.Random, held_out: bool = False) -> str:
    """A given name and a family name, sometimes with a title."""
    full = f"{word(rng, held_out)} {word(rng, held_out)}"
    return f"{rng.choice(TITLES)} {full}" if rng.random() < 0.2 else full


def town(rng: random.Random, held_out: bool = False) -> str:
    """A place name such as Moulgerburg."""
    return word(rng, held_out) + rng.choice(TOWN_ENDINGS)


def number(rng: random.Random, low: int = 100, high: int = 2_000_000) -> str:
    """A whole number of any magnitude between the bounds; mostly round, sometimes not."""
    value = int(low * (high / low) ** rng.random())
    unit = 10 ** max(0, len(str(value)) - rng.choice((1, 2, 2, 3, 3, 7)))
    value = max(low, value // unit * unit)
    return f"{value:,}" if rng.random() < 0.8 else str(value)


def amount(rng: random.Random) -> str:
    """Money in one of four notations."""
    digits = number(rng)
    if rng.random() < 0.15 and "," in digits:
        digits += f".{rng.randrange(100):02d}"
    style = rng.randrange(4)
    if style == 0:
        return f"{digits} {rng.choice(CURRENCY_WORDS)}"
    if style == 1:
        return f"{rng.choice('$€£')}{digits}"
    return f"{currency(rng)} {digits}"


def currency(rng: random.Random) -> str:
    """A currency code; now and then one that does not exist, so that codes are copied, too."""
    if rng.random() < 0.1:
        return "".join(rng.choice(LETTERS) for _ in range(3)).upper()
    return rng.choice(CURRENCIES)


def date(rng: random.Random) -> str:
    """A random date in one of three notations."""
    return write_date(rng, random_day(rng))


def random_day(rng: random.Random) -> tuple[int, int, int]:
    """Year, month (from 0) and day: tuples that sort by time."""
    return rng.randrange(2018, 2040), rng.randrange(12), rng.randrange(1, 29)


def write_date(rng: random.Random, when: tuple[int, int, int]) -> str:
    """A day in one of three notations."""
    year, month, day = when
    style = rng.randrange(5)
    if style == 0:
        return f"{MONTHS[month]} {day}, {year}"
    if style == 1:
        return f"{year}-{month + 1:02d}-{day:02d}"
    return f"{day} {MONTHS[month]} {year}"
