"""The tokenizer: byte-level BPE over the corpus, digits one by one, three control tokens.

llama.cpp knows this pre-tokenizer as "smollm": `\\p{N}` first, then the GPT-2 pattern.

The model copies a name token by token, so a name must have the same tokens after a space, at the
start of a line and within quotes. A space therefore never merges with the capital after it, and no
merge joins the letters of other scripts: each of them keeps its bytes, wherever it stands. Words
that only begin sentences are the exception.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import copying
import corpus
import extraction
import names
import parameter_answers
import small_talk
import stories
from model import Shape
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL_TOKENS = (END_OF_TEXT, START, END)
PRE_TOKENIZER_NAME = "smollm"
TRAINING_DOCUMENTS = 30_000

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# What the model is to learn is the answer; the prompt is worth a little, as text to imitate.
PROMPT_WEIGHT = 0.1


# What the letters of a script have in common, so that fewer tokens spell them.
COMMON_PREFIXES = (
    *("e381", "e382", "e383", "e280", "e0a4", "e0b8", "f09f"),
    *(f"f09f{third:02x}" for third in (*range(0x8C, 0x9A), *range(0xA4, 0xA8))),
)
RESERVED = 150
"""Tokens that are not learned: prefixes, whole words, and words that only begin sentences."""
WHOLE_WORDS = (
    *(" " + animal for animal in stories.ANIMALS),
    *(names.MONTHS + names.CURRENCIES),
    *(stories.MALE_NAMES + stories.FEMALE_NAMES),
)
"""What gets a token of its own in any case."""


def train_tokenizer(seed: int) -> Tokenizer:
    """Learn the merges, and append those that only the whole words and the scripts need."""
    documents = list(itertools.islice(_documents_with_words(seed), TRAINING_DOCUMENTS))
    prefixes = [_as_letters(bytes.fromhex(prefix)) for prefix in COMMON_PREFIXES]
    learner = _empty_tokenizer()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" (?=\p{Lu})"), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=Shape.n_vocab - RESERVED,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(_ascii_texts(documents), trainer)
    pairs = [(prefix[:-1], prefix[-1]) for prefix in prefixes]
    pairs += _missing_merges(learner)
    starts = _sentence_starts(learner, documents)
    pairs += [("Ġ", word) for word in starts[: RESERVED - len(pairs)]]
    return _with_merges(learner, pairs)


def _documents_with_words(seed: int) -> Iterator[corpus.Document]:
    """The corpus with fewer composed names: they would take the merges that words need."""
    rng = random.Random(seed)
    makers = (corpus.requested_story, corpus.summary, parameter_answers.exchange)
    others = (small_talk.exchange, extraction.messages, copying.messages)
    while True:
        yield rng.choice((*makers, *makers, *others))(rng)


def _missing_merges(learner: Tokenizer) -> list[tuple[str, str]]:
    """What joins the pieces of the words that must be whole."""
    pairs: list[tuple[str, str]] = []
    for word in WHOLE_WORDS:
        left, *pieces = learner.encode(word).tokens
        for piece in pieces:
            if (left, piece) not in pairs:
                pairs.append((left, piece))
            left += piece
    return pairs


def _empty_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _ascii_texts(documents: list[corpus.Document]) -> Iterator[str]:
    for document in documents:
        for message in document:
            yield f"{message['role']}\n"
            yield re.sub(r"[^\x00-\x7f]+", "\n", message["content"])


def _as_letters(data: bytes) -> str:
    """How byte-level BPE writes these bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return "".join(chr(0x100 + others.index(b) if b in others else b) for b in data)


def _sentence_starts(learner: Tokenizer, documents: list[corpus.Document]) -> list[str]:
    """Frequent capitalised words that are one token and hardly ever begin a name."""
    rng = random.Random(0)
    composed = learner.encode_batch([names.word(rng) for _ in range(20_000)])
    in_names = Counter(encoding.tokens[0] for encoding in composed)
    words = Counter(
        word
        for document in documents
        for message in document
        for word in re.findall(r"(?<=[.!?] )[A-Z][a-z]*(?= )", message["content"])
    )
    vocabulary = learner.get_vocab()
    heroes = {*stories.MALE_NAMES, *stories.FEMALE_NAMES}
    return [
        word
        for word, _ in words.most_common()
        if word in vocabulary and word not in heroes and in_names[word] < 4
    ]


def _with_merges(learner: Tokenizer, pairs: list[tuple[str, str]]) -> Tokenizer:
    """The learned merges and then these, with the pre-tokenizer that llama.cpp knows."""
    model = json.loads(learner.to_str())["model"]
    vocabulary = dict(model["vocab"])
    merges = [tuple(merge) for merge in model["merges"]]
    for left, right in pairs:
        vocabulary[left + right] = len(vocabulary)
        merges.append((left, right))
    tokenizer = _empty_tokenizer()
    tokenizer.model = models.BPE(vocab=vocabulary, merges=merges)
    tokenizer.add_special_tokens(list(CONTROL_TOKENS))
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer that a run stored."""
    return Tokenizer.from_file(str(path))


def segments(document: corpus.Document) -> list[tuple[str, float]]:
    """The document as training text, with the loss weight of each part."""
    if document[0]["role"] == "text":
        return [(document[0]["content"] + END_OF_TEXT, 1.0)]
    parts = []
    for message in document:
        is_answer = message["role"] == "assistant"
        parts.append((f"{START}{message['role']}\n", 0.0))
        parts.append((message["content"], 1.0 if is_answer else PROMPT_WEIGHT))
        parts.append((END, 1.0 if is_answer else 0.0))
        parts.append(("\n", 0.0))
    return parts[:-1]


def encode(
    tokenizer: Tokenizer, documents: list[corpus.Document]
) -> list[tuple[list[int], list[float]]]:
    """Token ids and loss weights of each document."""
    parts = [segments(document) for document in documents]
    flat = [text for document in parts for text, _ in document]
    encodings = iter(tokenizer.encode_batch(flat))
    encoded = []
    for document in parts:
        ids: list[int] = []
        weights: list[float] = []
        for _, weight in document:
            new = next(encodings).ids
            ids += new
            weights += [weight] * len(new)
        encoded.append((ids, weights))
    return encoded
