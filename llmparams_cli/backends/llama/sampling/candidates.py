"""Candidates: tokens with their logits, of which the stages of a chain leave some and mark one."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from llmparams_cli.backends.llama.native.library import llama


def candidates(logits: Any, size: int) -> Any:
    """Tokens 0 to `size` - 1 with their logits (a pointer to float)."""
    import numpy as np

    return array_of(np.arange(size, dtype=np.int32), np.ctypeslib.as_array(logits, shape=(size,)))


def array_of(ids: Any, logits: Any) -> Any:
    """These tokens as a llama_token_data_array over a numpy table."""
    table = empty_table(len(ids))
    table["id"], table["logit"] = ids, logits
    return array_over(table)


def array_over(table: Any) -> Any:
    """The rows of such a table as a llama_token_data_array."""
    lib = llama()
    pointer = table.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
    array = lib.llama_token_data_array(data=pointer, size=len(table), selected=-1)
    array.table = table  # kept alive: the array points into it
    return array


def empty_table(size: int) -> Any:
    """Room for candidates, zeros so far."""
    import numpy as np

    return np.zeros(size, _layout())


@cache
def _layout() -> Any:
    """llama_token_data, for numpy."""
    import numpy as np

    return np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])


def left_of(array: Any) -> Any:
    """The part of the table that is still in the array. XTC removes at the front, by moving the
    pointer; the others lower the size.
    """
    offset = ctypes.addressof(array.data.contents) - array.table.ctypes.data
    start = offset // int(array.table.itemsize)
    return array.table[start : start + array.size]


def selected(array: Any) -> int:
    """The token that the last stage marked."""
    return int(array.data[array.selected].id)


def only(array: Any, token: int) -> Any:
    """These candidates (0 to n_vocab - 1), with this token alone left of them."""
    array.data[0] = array.data[token]
    array.size, array.selected = 1, 0
    return array
