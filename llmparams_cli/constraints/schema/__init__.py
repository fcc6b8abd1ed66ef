"""JSON Schema as a grammar that llguidance follows, and what that does otherwise than the schema.

`place`: where in the schema, and how references resolve. `forms`, `keywords` and `negation`: which
values are valid, kind by kind, as `sets`; `values` are those of enum and const. `writer` (with
`objects`, `arrays`, `strings`, `numbers`, `multiples`, `tokens`): these sets as rules in `lark`'s
notation, regular expressions as `regex` writes them. `notes`: what differs from the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmparams_cli.constraints.difference import Difference, NotFollowed

if TYPE_CHECKING:
    from llmparams_cli.constraints.schema.notes import Notes


def followed(schema: Any) -> tuple[str, list[Difference]]:
    """The grammar (as LLMatcher takes it), and its differences. Raises NotFollowed."""
    from llguidance import LLMatcher

    from llmparams_cli.constraints.matching import matcher
    from llmparams_cli.constraints.schema.notes import Notes
    from llmparams_cli.constraints.schema.place import Document
    from llmparams_cli.constraints.schema.writer import Writer

    notes = Notes()
    try:
        root = Document(schema).root()
        text = Writer(notes).write((root,))
    except RecursionError as error:
        raise NotFollowed("$", "", "this is nested too deeply") from error
    if text is None:
        raise _contradiction(notes)
    grammar = LLMatcher.grammar_from_lark(text)
    follower = matcher(grammar)
    if follower.is_error():
        raise NotFollowed("$", "", f"it is too large: {follower.get_error().splitlines()[0]}")
    return grammar, notes.all()


def _contradiction(notes: Notes) -> NotFollowed:
    for found in notes.contradictions:
        return NotFollowed(found.path, found.keyword, f"no value is valid: {found.text}")
    return NotFollowed("$", "", "no value is valid")
