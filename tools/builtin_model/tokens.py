"""The tokenizer: byte-level BPE over the corpus, digits one by one, three control tokens.

llama.cpp knows this pre-tokenizer as "smollm": `\\p{N}` first, then the GPT-2 pattern.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import corpus
from model import Shape
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

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
PROMPT_WEIGHT = 0.25


def train_tokenizer(seed: int) -> Tokenizer:
    """Learn the merges. All 256 bytes are in the alphabet, so that every script round-trips."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=Shape.n_vocab,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (
        part
        for document in itertools.islice(corpus.documents(seed), TRAINING_DOCUMENTS)
        for message in document
        for part in (f"{message['role']}\n", message["content"])
    )
    tokenizer.train_from_iterator(texts, trainer)
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
