r"""What a part of a regular expression matches, sorted by the anchors it needs.

Rust's expressions for a grammar know no anchors: they match a whole text. `Pieces` keeps apart
what may stand anywhere, what must stand at the start of the text, at its end, or at both; joining
two parts leaves out what can never hold (`a^b`) and makes empty what has to be (`a?^b`).
"""

from __future__ import annotations

from dataclasses import dataclass

ANYTHING = "(?s:.)*"


@dataclass(frozen=True)
class Expression:
    """In Rust's syntax. `binds`: 2 for what can be repeated as it stands, 1 for a sequence, 0 for
    alternatives.
    """

    text: str
    is_nullable: bool
    binds: int

    def at_least(self, binds: int) -> str:
        return self.text if self.binds >= binds else f"(?:{self.text})"


EMPTY = Expression("", True, 1)


@dataclass(frozen=True)
class Pieces:
    """None: nothing is matched in this place."""

    anywhere: Expression | None = None
    at_start: Expression | None = None
    at_end: Expression | None = None
    at_both: Expression | None = None

    def all(self) -> tuple[Expression, ...]:
        found = (self.anywhere, self.at_start, self.at_end, self.at_both)
        return tuple(piece for piece in found if piece is not None)

    def is_anchored(self) -> bool:
        return not self.at_start is self.at_end is self.at_both is None

    def is_nullable(self) -> bool:
        return any(piece.is_nullable for piece in self.all())


NOTHING = Pieces()
NO_TEXT = Pieces(anywhere=EMPTY)
START = Pieces(at_start=EMPTY)
END = Pieces(at_end=EMPTY)


def character(text: str) -> Pieces:
    """One character, whose expression can be repeated as it stands."""
    return Pieces(anywhere=Expression(text, False, 2))


def joined(first: Pieces, second: Pieces) -> Pieces:
    """`first`, then `second`. What stands before a piece at the start is empty, and so is what
    stands behind a piece at the end.
    """
    empty, rest = _if_empty(first), _if_empty(second)
    return Pieces(
        anywhere=_then(first.anywhere, second.anywhere),
        at_start=_either(
            _then(first.at_start, second.anywhere),
            _then(empty.anywhere, second.at_start),
            _then(empty.at_start, second.at_start),
        ),
        at_end=_either(
            _then(first.anywhere, second.at_end),
            _then(first.at_end, rest.anywhere),
            _then(first.at_end, rest.at_end),
        ),
        at_both=_either(
            _then(first.at_start, second.at_end),
            _then(first.at_both, rest.anywhere),
            _then(first.at_both, rest.at_end),
            _then(empty.anywhere, second.at_both),
            _then(empty.at_start, second.at_both),
            _if_no_text(first, second),
        ),
    )


def _if_no_text(*parts: Pieces) -> Expression | None:
    """In an empty text all anchors hold."""
    is_bound = any(part.is_anchored() for part in parts)
    return EMPTY if is_bound and all(part.is_nullable() for part in parts) else None


def either(first: Pieces, second: Pieces) -> Pieces:
    """`first` or `second`."""
    return Pieces(
        _either(first.anywhere, second.anywhere),
        _either(first.at_start, second.at_start),
        _either(first.at_end, second.at_end),
        _either(first.at_both, second.at_both),
    )


def repeated(part: Pieces, fewest: int, most: int | None) -> Pieces:
    """Between `fewest` and `most` times in a row. Of several pieces at the start all but the last
    are empty, of several at the end all but the first; in between stand only free ones.
    """
    if most == 0:
        return NO_TEXT
    if not part.is_anchored():
        return Pieces(anywhere=_times(part.anywhere, fewest, most))

    def free(taken: int, *fillers: Expression | None) -> Expression | None:
        """The free pieces beside the `taken` ones. Empty pieces fill up what is missing."""
        if most is not None and most < taken:
            return None
        is_filled = any(piece is not None and piece.is_nullable for piece in fillers)
        rest = None if most is None else most - taken
        return _times(part.anywhere, 0 if is_filled else max(0, fewest - taken), rest)

    start, end = part.at_start, part.at_end
    beside_both = free(1, part.anywhere, start, end)
    return Pieces(
        anywhere=_times(part.anywhere, fewest, most),
        at_start=_then(start, free(1, part.anywhere, start)),
        at_end=_then(free(1, part.anywhere, end), end),
        at_both=_either(
            part.at_both if beside_both is not None and beside_both.is_nullable else None,
            _then(_then(start, free(2, part.anywhere, start, end)), end),
            EMPTY if part.is_nullable() or fewest == 0 else None,
        ),
    )


def whole(part: Pieces) -> str | None:
    """An expression for the texts that `part` matches from the first character to the last."""
    found = None
    for piece in part.all():
        found = _either(found, piece)
    return None if found is None else found.text


def searched(part: Pieces) -> str | None:
    """An expression for the texts in which `part` is found; None if there is none."""
    anything = Expression(ANYTHING, True, 1)
    found = _either(
        _then(_then(anything, part.anywhere), anything),
        _then(part.at_start, anything),
        _then(anything, part.at_end),
        part.at_both,
    )
    return None if found is None else found.text


def _if_empty(part: Pieces) -> Pieces:
    """The same part where it has to match the empty text."""

    def emptied(piece: Expression | None) -> Expression | None:
        return EMPTY if piece is not None and piece.is_nullable else None

    return Pieces(*map(emptied, (part.anywhere, part.at_start, part.at_end, part.at_both)))


def _then(first: Expression | None, second: Expression | None) -> Expression | None:
    if first is None or second is None:
        return None
    if not first.text or not second.text:
        return second if not first.text else first
    text = first.at_least(1) + second.at_least(1)
    return Expression(text, first.is_nullable and second.is_nullable, 1)


def _either(*parts: Expression | None) -> Expression | None:
    found = {part.text: part for part in parts if part is not None}
    is_nullable = any(part.is_nullable for part in found.values())
    if any(part.is_nullable and part.text for part in found.values()):
        found.pop("", None)  # another has it
    if len(found) < 2:
        return next(iter(found.values()), None)
    return Expression("|".join(found), is_nullable, 0)


def _times(part: Expression | None, fewest: int, most: int | None) -> Expression | None:
    if most == 0 or part is None:
        return EMPTY if fewest == 0 else None
    if not part.text:
        return EMPTY
    if (fewest, most) == (1, 1):
        return part
    return Expression(part.at_least(2) + _written(fewest, most), fewest == 0 or part.is_nullable, 1)


def _written(fewest: int, most: int | None) -> str:
    if most is None:
        return {0: "*", 1: "+"}.get(fewest, f"{{{fewest},}}")
    if (fewest, most) == (0, 1):
        return "?"
    return f"{{{fewest}}}" if fewest == most else f"{{{fewest},{most}}}"
