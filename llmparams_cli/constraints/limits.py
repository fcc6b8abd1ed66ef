"""How much time and memory a grammar of llguidance may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llguidance import LLParserLimits


def limits() -> LLParserLimits:
    """Those of this program. They count units of work, not seconds: what one machine follows, every
    other one does.
    """
    from llguidance import LLParserLimits

    return LLParserLimits(
        initial_lexer_fuel=1_000_000,  # 20 ms
        step_lexer_fuel=200_000,  # 15 ms
        max_items_in_row=20_000,  # of alternatives: so many quarters are optional properties
        step_max_items=200_000,  # 10 ms
        max_lexer_states=250_000,  # 500 MB at most
        max_grammar_size=50_000,  # thousands of optional properties: 3 s
        verbose_errors=False,  # they would contain the whole grammar
    )
