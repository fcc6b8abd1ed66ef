"""Print the rooms of the program, from the top down: what each holds, and what it imports.

    python tools/rooms.py

Names and order are those of tests/test_architecture.py, what a room holds is the first
line of its docstring, and the imports are read from the files.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from string import ascii_letters

CHECKOUT = Path(__file__).parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests")]
from test_architecture import FLOORS, ROOT, imports, room  # noqa: E402

OUTSIDE = {"__init__", "__main__"}  # the package's own name, and the way to start it


def files() -> dict[str, list[Path]]:
    """The files of every room; first the one whose docstring says what is in it."""
    rooms: dict[str, list[Path]] = {}
    for path in sorted(ROOT.rglob("*.py"), key=lambda path: (len(path.parts), path.name)):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        rooms.setdefault(room(module), []).append(path)
    return rooms


def holds(paths: list[Path]) -> str:
    """The first line of a room's docstring."""
    docstring = ast.get_docstring(ast.parse(paths[0].read_text(encoding="utf-8"))) or ""
    return docstring.split("\n")[0]


def main() -> None:
    """Print a line for each room, then a line of imports for each."""
    rooms = files()
    names = [name for name in sorted(FLOORS, key=lambda n: (-FLOORS[n], n)) if name not in OUTSIDE]
    letters = dict(zip(names, ascii_letters, strict=False))
    wide = max(map(len, names))
    for name in names:
        print(f"{letters[name]}  {name:{wide}}  {holds(rooms[name])}".rstrip())
    print()
    for name in names:
        needed = {other for path in rooms[name] for other in imports(path)} - {name}
        marks = (letters[o] if o in needed else "\\" if o == name else "·" for o in names)
        print(f"{letters[name]}  {name:{wide}}  {' '.join(marks)}")


if __name__ == "__main__":
    main()
