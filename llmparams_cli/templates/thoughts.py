"""The marks that models set around their thoughts, recognised by their chat templates."""

from __future__ import annotations

from llmparams_cli.text.speech import Format

_HARMONY_TURN = "<|start|>assistant"
_SOLAR_TURN = "<|begin|>assistant"


def _turns(turn: str, *marks: str) -> tuple[str, ...]:
    """Marks that stand at the beginning of the answer, or of a turn of its own."""
    return tuple(before + mark for mark in marks for before in ("", turn))


# By a text that only templates of this format have. The first one counts that is found.
FORMATS = {
    "<|channel|>": Format(  # gpt-oss
        opens=_turns(_HARMONY_TURN, "<|channel|>analysis<|message|>"),
        closes=("<|end|>",),
        says=_turns(
            _HARMONY_TURN,
            "<|channel|>final<|message|>",
            "<|channel|>final <|constrain|>json<|message|>",
            "<|channel|>commentary<|message|>",
        ),
        ends=("<|end|>",),
        cut=f"<|end|>{_HARMONY_TURN}<|channel|>final<|message|>",
    ),
    "<|channel>": Format(opens=("<|channel>thought\n",), closes=("<channel|>",)),  # Gemma 4
    "<|think|>": Format(  # Solar
        opens=_turns(_SOLAR_TURN, "<|think|>"),
        closes=("<|end|>",),
        says=_turns(_SOLAR_TURN, "<|content|>"),
        ends=("<|end|>",),
        cut=f"<|end|>{_SOLAR_TURN}<|content|>",
    ),
    "[/THINK]": Format(opens=("[THINK]",), closes=("[/THINK]",)),
    "<|inner_suffix|>": Format(opens=("<|inner_prefix|>",), closes=("<|inner_suffix|>",)),
    "<|END_THINKING|>": Format(opens=("<|START_THINKING|>",), closes=("<|END_THINKING|>",)),
    "</seed:think>": Format(opens=("<seed:think>",), closes=("</seed:think>",)),
    "</mm:think>": Format(opens=("<mm:think>",), closes=("</mm:think>",)),
    "</thought>": Format(opens=("<thought>",), closes=("</thought>",)),
    "</thinking>": Format(opens=("<thinking>",), closes=("</thinking>",)),
}
USUAL = Format(opens=("<think>",), closes=("</think>",))


def format_of(template: str) -> Format:
    """The format of the model with this chat template. Without any mark in the template, the usual
    one: finetuned models think in it all the same.
    """
    return next((format for mark, format in FORMATS.items() if mark in template), USUAL)
