"""Print samples of a GGUF file: chat and raw completion, greedy and at temperature 0.8.

python sample.py --gguf model.gguf [--seed 1]      (needs llama-cpp-python)
"""

from __future__ import annotations

import argparse
from typing import Any

import llama_cpp

SUMMARY_SYSTEM = (
    "Summarise the following contract clause in one sentence. "
    "Name the parties, the amounts and the dates."
)
CLAUSE = (
    "This agreement is made on 3 May 2029 between Brimolda Textiles, registered in Vantessa, "
    '("the Customer") and Okarin Shipping Ltd ("the Provider"). The Provider shall provide '
    "transport services to the Customer from 1 June 2029, and the Customer shall pay the Provider "
    "a fee of EUR 48,200 no later than 15 September 2029. Any additional work needs the written "
    "approval of the Customer. In case of late payment, interest of 4 percent per year is due. "
    "Either party may terminate this agreement with 30 days of written notice."
)
CHATS: tuple[tuple[str | None, str], ...] = (
    (None, "Once upon a time"),
    (None, "Tell me a story about a brave mouse."),
    ("You are a creative companion. Be playful.", "Write a short story"),
    (None, "hi"),
    (None, "What is temperature?"),
    (None, "What is the difference between the frequency penalty and the presence penalty?"),
    (SUMMARY_SYSTEM, CLAUSE),
    (
        "Extract the facts as JSON. Answer with JSON only.",
        "Marlinko Teed is 41 years old, lives in Oosterveld and works as a nurse.",
    ),
    (None, "Repeat after me: こんにちは مرحبا 🦊 4711"),
)
RAW = ("Once upon a time", "The old lighthouse")
MAX_TOKENS = 300


def chat_prompt(system: str | None, user: str) -> str:
    """The chat template, written out."""
    messages = [("system", system)] if system else []
    messages.append(("user", user))
    turns = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in messages)
    return turns + "<|im_start|>assistant\n"


def generate(engine: llama_cpp.Llama, prompt: str, temperature: float, seed: int) -> Any:
    """One completion, as llama_cpp returns it, with every sampler but temperature off."""
    engine.reset()
    return engine.create_completion(
        engine.tokenize(prompt.encode(), add_bos=False, special=True),
        max_tokens=MAX_TOKENS,
        temperature=temperature,
        seed=seed,
        top_k=0,
        top_p=1.0,
        min_p=0.0,
        repeat_penalty=1.0,
    )


def complete(engine: llama_cpp.Llama, prompt: str, temperature: float, seed: int) -> str:
    """The continuation and how it ended."""
    result = generate(engine, prompt, temperature, seed)
    count = result["usage"]["completion_tokens"]
    choice = result["choices"][0]
    return f"{choice['text']}\n    [{count} tokens, {choice['finish_reason']}]"


def main() -> None:
    """Print every prompt at both temperatures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    engine = llama_cpp.Llama(arguments.gguf, n_ctx=1024, verbose=False, n_threads=2)
    prompts = [(f"chat | {user}", chat_prompt(system, user)) for system, user in CHATS]
    prompts += [(f"raw | {text}", text) for text in RAW]
    for label, prompt in prompts:
        for temperature in (0.0, 0.8):
            print(f"--- {label} (temperature {temperature})")
            print(complete(engine, prompt, temperature, arguments.seed))


if __name__ == "__main__":
    main()
