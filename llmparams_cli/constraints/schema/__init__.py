"""JSON Schema as a grammar that llguidance follows, and what that does otherwise than the schema.

`place`: where in the schema, and how references resolve. `forms` (with `keywords` and `negation`):
which values are valid, kind by kind, as `sets`. `writer` (with `objects`, `arrays`, `strings`,
`numbers`, `tokens`): these sets as rules in `lark`'s notation.
"""

from __future__ import annotations

from typing import Any

from llmparams_cli.constraints.difference import Difference, NotFollowed


def followed(schema: Any) -> tuple[str, list[Difference]]:
    """The grammar (as LLMatcher takes it), and its differences. Raises NotFollowed."""
    from llguidance import LLMatcher

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
        raise NotFollowed("$", "", "no value is valid for it")
    grammar = LLMatcher.grammar_from_lark(text)
    problem = LLMatcher.validate_grammar(grammar)
    if problem:
        raise NotFollowed("$", "", " ".join(problem.split())[:200])
    return grammar, notes.all()
