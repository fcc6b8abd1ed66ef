"""The errors that end the program, and their exit codes.

LlmparamsError                 (never raised itself)
├── UsageError          2      a flag, an argument, a variable or the prompt is wrong
├── PresetError         3      a preset or configuration file is wrong or missing
├── ModelError          4      a model file is missing, damaged or unknown
├── ContextOverflow     5      the prompt does not fit the context
├── BackendError        6      the inference library is missing, broken or gave up
├── UnwantedStop        7      generation ended for a reason named in --fail-on
├── OutputError        11      the output cannot be written: the disk is full
└── TrainingError      12      a training run went wrong: its learning rate is too high

Raised anywhere, printed once: in `cli.main`.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The process's exit status, on which scripts may rely, and its meaning."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        # An IntEnum would pass both items to int(); only the first is the number.
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    SUCCESS = 0, "success"
    INTERNAL = 1, "a bug in this program"
    USAGE = 2, "usage"
    PRESET = 3, "preset or configuration file"
    MODEL = 4, "model file"
    CONTEXT = 5, "the prompt does not fit the context"
    BACKEND = 6, "inference library"
    UNWANTED_STOP = 7, "stopped for a reason named in --fail-on"
    DIFFERENT = 8, "a replay differs from its receipt"
    TEST_FAILED = 9, "a preset's test failed, or a variant of evaluate --fail-under"
    NO_MEMORY = 10, "inspect --estimate-only: it does not fit into memory"
    OUTPUT = 11, "the output cannot be written"
    TRAINING = 12, "tune: the loss ran away"
    ROWS = 13, "batch: rows ended in errors"
    INTERRUPTED = 130, "interrupted"


class LlmparamsError(Exception):
    """One line for the user: what is wrong and where; `hint` is the cure."""

    exit_code = ExitCode.INTERNAL

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(LlmparamsError):
    exit_code = ExitCode.USAGE


class PresetError(LlmparamsError):
    exit_code = ExitCode.PRESET


class ModelError(LlmparamsError):
    exit_code = ExitCode.MODEL


class ContextOverflow(LlmparamsError):
    exit_code = ExitCode.CONTEXT


class BackendError(LlmparamsError):
    exit_code = ExitCode.BACKEND


class UnwantedStop(LlmparamsError):
    exit_code = ExitCode.UNWANTED_STOP


class OutputError(LlmparamsError):
    exit_code = ExitCode.OUTPUT


class TrainingError(LlmparamsError):
    exit_code = ExitCode.TRAINING
