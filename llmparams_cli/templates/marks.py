"""The marks that models set around their thoughts, recognised by their chat templates."""

from __future__ import annotations

from dataclasses import replace

from llmparams_cli.text.speech import Marks

_HARMONY_TURN = "<|start|>assistant"
_SOLAR_TURN = "<|begin|>assistant"
_MUSE_TURN = "<|start|>assistant "


def _turns(turn: str, *marks: str) -> tuple[str, ...]:
    """Marks that stand at the beginning of the answer, or of a turn of its own."""
    return tuple(before + mark for mark in marks for before in ("", turn))


def _cohere(says: str, ends: str) -> Marks:
    closes = "<|END_THINKING|>"
    return Marks(("<|START_THINKING|>",), (closes,), (says,), (ends,), f"{closes}{says}")


# By a text that only templates with these marks have. The first one counts that is found.
MARKS = {
    "<|channel|>": Marks(  # gpt-oss
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
    "<|channel>": Marks(opens=("<|channel>thought\n",), closes=("<channel|>",)),  # Gemma 4
    "<|think|>": Marks(  # Solar
        opens=_turns(_SOLAR_TURN, "<|think|>"),
        closes=("<|end|>",),
        says=_turns(_SOLAR_TURN, "<|content|>"),
        ends=("<|end|>",),
        cut=f"<|end|>{_SOLAR_TURN}<|content|>",
    ),
    "to=self": Marks(  # Muse
        opens=_turns(_MUSE_TURN, "to=self<|message|>"),
        closes=("<|eom|>",),
        says=_turns(_MUSE_TURN, "to=user<|message|>"),
        ends=("<|eot|>",),
        cut=f"<|eom|>{_MUSE_TURN}to=user<|message|>",
    ),
    "<|close|>": Marks(  # Kimi K3
        opens=("<|open|>think<|sep|>",),
        closes=("<|close|>think<|sep|>",),
        says=("<|open|>response<|sep|>",),
        ends=("<|close|>response<|sep|>",),
        cut="<|close|>think<|sep|><|open|>response<|sep|>",
    ),
    "<|START_TEXT|>": _cohere("<|START_TEXT|>", "<|END_TEXT|>"),
    "<|START_RESPONSE|>": _cohere("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    "[BEGIN FINAL RESPONSE]": Marks(  # Apriel; its prompts end in the first one
        opens=("Here are my reasoning steps:\n",),
        closes=("[BEGIN FINAL RESPONSE]",),
        ends=("[END FINAL RESPONSE]",),
    ),
    "<response></response>": Marks(  # Granite
        opens=("<think>",),
        closes=("</think>",),
        says=("<response>",),
        ends=("</response>",),
        cut="</think><response>",
    ),
    ">>>all\\n": Marks(says=("all\n",)),  # Functionary: whom it speaks to
    "</think{}>": Marks(opens=("<think:opensource>",), closes=("</think:opensource>",)),  # Hy3
    "[/THINK]": Marks(opens=("[THINK]",), closes=("[/THINK]",)),
    "<|inner_suffix|>": Marks(opens=("<|inner_prefix|>",), closes=("<|inner_suffix|>",)),
    "<|END_THINKING|>": Marks(opens=("<|START_THINKING|>",), closes=("<|END_THINKING|>",)),
    "</seed:think>": Marks(opens=("<seed:think>",), closes=("</seed:think>",)),
    "</mm:think>": Marks(opens=("<mm:think>",), closes=("</mm:think>",)),
    "</thought>": Marks(opens=("<thought>",), closes=("</thought>",)),
    "</thinking>": Marks(opens=("<thinking>",), closes=("</thinking>",)),
}
# Templates built into llama.cpp that have one of these.
NAMED = {"gpt-oss": "<|channel|>", "solar-open": "<|think|>", "seed_oss": "</seed:think>"}
USUAL = Marks(opens=("<think>",), closes=("</think>",))
GUESS = replace(USUAL, is_guess=True)


def marks_of(template: str) -> Marks:
    """The marks of the model with this chat template. Without any mark in the template, the usual
    one: finetuned models think in it all the same.
    """
    text = NAMED.get(template, template)
    found = next((marks for mark, marks in MARKS.items() if mark in text), None)
    return found or (USUAL if USUAL.closing in text else GUESS)
