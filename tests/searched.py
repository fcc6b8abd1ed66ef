"""What `llmparams optimize` is tested with: a script whose best setting is known."""

from __future__ import annotations

from typing import Any

from program import Done, Program

LONG = " ".join(f"word{n}" for n in range(80))
TOKENS = "{tokens: {min: 20, max: 24}}"


class Task:
    """A scripted model with twenty cases, and the command that searches them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.cases = program.place / "cases.yaml"
        self.script = program.place / "script.yaml"
        self.expect(*[TOKENS] * 20)
        self.answer(f"- text: {LONG}")
        del program.variables["LLMPARAMS_THREADS"]  # a script has none

    def expect(self, *expected: str) -> None:
        self.cases.write_text(
            "".join(f"- {{input: case {n}, expect: {e}}}\n" for n, e in enumerate(expected))
        )

    def answer(self, *answers: str, delay: float = 0) -> None:
        self.script.write_text("\n".join([f"delay: {delay}", "answers:", *answers]))

    def arguments(self, *more: str) -> tuple[str, ...]:
        given = ("-m", f"scripted:{self.script}", "--cases", str(self.cases), *more)
        return ("optimize", *given)

    def call(self, *more: str, **variables: str) -> Done:
        return self.program.call(*self.arguments(*more), **variables)

    def search(self, *more: str) -> Any:
        done = self.call("--json", *more)
        assert done.code == 0, done.stderr
        return done.json
