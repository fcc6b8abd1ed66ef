"""Keys and tensors, a line each, for people and for grep; and one value in full."""

from __future__ import annotations

from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.models.cursor import Array
from llmparams_cli.models.gguf import Header
from llmparams_cli.render.inspect.words import count
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.view import View
from llmparams_cli.text.safe import encodable, one_line, printable
from llmparams_cli.text.shorten import beginning
from llmparams_cli.text.units import size_text

LONGEST_KEY, LONGEST_VALUE = 100, 200  # characters
FEW = 8  # items of a list that are printed


def show_keys(env: Environment, header: Header) -> None:
    """Every key with its value; of long texts and lists, the beginning."""
    view = View(env, "never")
    for key, value in header.metadata.items():
        view.line(f"{_cut(key, LONGEST_KEY)} = {_value(value)}")


def _value(value: Any) -> str:
    if isinstance(value, Array):
        return f"{count(len(value))} items"
    if isinstance(value, list):
        items = ", ".join(map(_value, value[:FEW]))
        return f"[{items}{f', … {count(len(value))} items' if len(value) > FEW else ''}]"
    if isinstance(value, bool):
        return str(value).lower()
    return _cut(value if isinstance(value, str) else str(value), LONGEST_VALUE)


def show_tensors(env: Environment, header: Header) -> None:
    """Every tensor: name, type, shape (rows before columns), elements, bytes."""
    view = View(env, "never")
    names = [_cut(tensor.name, LONGEST_KEY) for tensor in header.tensors]
    width = max(map(len, names), default=0)
    for name, tensor in zip(names, header.tensors, strict=True):
        shape = " × ".join(map(str, tensor.shape[::-1]))
        view.line(
            f"{name:<{width}}  {tensor.type.name:<7} {shape:<18} {count(tensor.elements):>15}"
            f" {size_text(tensor.bytes):>10}"
        )


def show_value(env: Environment, header: Header, key: str, *, as_json: bool) -> None:
    """One value of the metadata: texts as they are, an item of a list on each line."""
    value = header.metadata[key]
    whole = header.array(key) if isinstance(value, (list, Array)) else value
    if as_json:
        write_json(env, whole)
        return
    for item in whole if isinstance(whole, list) else [whole]:
        shown = str(item).lower() if isinstance(item, bool) else str(item)
        env.stdout.write(encodable(printable(shown), env.stdout) + "\n")


def _cut(text: str, most: int) -> str:
    return beginning(one_line(text[: 2 * most]), most)
