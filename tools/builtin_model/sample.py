"""Print samples of a GGUF file as a Markdown table: greedy, and at temperature 0.8.

python sample.py [--gguf model.gguf] [--seed 1]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from asking import Answer, Asker, Prompt

from llmparams_cli.models import builtin

SUMMARY_SYSTEM = (
    "Summarise the following contract clause in one sentence. "
    "Name the parties, the amounts and the dates."
)
JSON_SYSTEM = "Extract the facts as JSON. Answer with JSON only."
CLAUSE = (
    "This agreement is made on 3 May 2029 between Brimolda Textiles, registered in Vantessa, "
    '("the Customer") and Okarin Shipping Ltd ("the Provider"). The Provider shall provide '
    "transport services to the Customer from 1 June 2029, and the Customer shall pay the Provider "
    "a fee of EUR 48,200 no later than 15 September 2029. Any additional work needs the written "
    "approval of the Customer. In case of late payment, interest of 4 percent per year is due. "
    "Either party may terminate this agreement with 30 days of written notice."
)
DIFFERENCE = "What is the difference between the frequency penalty and the presence penalty?"
CHATS: tuple[tuple[str | None, str], ...] = (
    (None, "Once upon a time"),
    (None, "Tell me a story about a brave mouse."),
    ("You are a creative companion. Be playful.", "Write a short story"),
    (None, "hi"),
    (None, "What is temperature?"),
    (None, DIFFERENCE),
    (SUMMARY_SYSTEM, CLAUSE),
    (None, f"{CLAUSE}\n\nWho pays?"),
    (JSON_SYSTEM, "Marlinko Teed is 41 years old, lives in Oosterveld and works as a nurse."),
    (None, "Repeat after me: こんにちは مرحبا 🦊 4711"),
)
RAW = ("Once upon a time", "The old lighthouse")


def chat(system: str | None, user: str) -> list[dict[str, str]]:
    """The messages of one question."""
    messages = [{"role": "system", "content": system}] if system else []
    return [*messages, {"role": "user", "content": user}]


def cell(text: str) -> str:
    """Text that fits into a cell of a table."""
    return text.strip().replace("|", "\\|").replace("\n", "<br>")


def shown(answer: Answer) -> str:
    """The answer, and whether it ended."""
    return cell(answer.text) + ("" if answer.ended else " [...] (300 tokens, no end)")


def main() -> None:
    """Print every prompt at both temperatures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gguf", type=Path, default=builtin.PATH)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    model = Asker(arguments.gguf, arguments.threads)
    prompts: list[tuple[str, Prompt]] = [(user, chat(system, user)) for system, user in CHATS]
    prompts += [(f"raw: {text}", text) for text in RAW]
    print("| prompt | temperature 0 | temperature 0.8 |\n|---|---|---|")
    for label, prompt in prompts:
        answers = [
            model.ask(prompt, seeds=[arguments.seed], temperature=temperature)[0]
            for temperature in (0.0, 0.8)
        ]
        print(f"| {cell(label)} | {shown(answers[0])} | {shown(answers[1])} |")


if __name__ == "__main__":
    main()
