"""Rows of tables: CSV with a header, and Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from llmparams_cli.errors import UsageError
from llmparams_cli.presets.nodes import Mark, Node
from llmparams_cli.rows.row import BadRow, Row, node

MOST_FIELD = 64_000_000  # characters; Python's own limit is 131,072
SEPARATOR = re.compile("sep=(.)", re.IGNORECASE)
DELIMITERS = (",", ";", "\t")  # of equally frequent ones the first
PARQUET = "pip install 'llmparams[parquet]'"
ROWS_AT_ONCE = 256  # of Parquet that are in memory


def separated(file: BinaryIO, place: str) -> Iterator[Row | BadRow]:
    """CSV: a header, then rows. Its delimiter is the one that the header has most of."""
    csv.field_size_limit(MOST_FIELD)
    # Bytes that are not UTF-8 become surrogates, so that they are the error of one row.
    with io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as text:
        above, header = 1, text.readline()
        told = SEPARATOR.fullmatch(header.rstrip())  # as Excel writes it
        if told:
            above, header = 2, text.readline()
        if not header.strip():
            raise UsageError(f"{place}: there is no header", "the first line names the columns")
        delimiter = told[1] if told else max(DELIMITERS, key=header.count)
        names = _names(next(csv.reader([header], delimiter=delimiter)), place)
        yield from _cells(csv.reader(text, delimiter=delimiter, strict=True), names, above)


def _cells(reader: Any, names: list[str], above: int) -> Iterator[Row | BadRow]:
    """The rows, below so many lines that were read apart."""
    number = 0
    while True:
        line = reader.line_num + above + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield BadRow(number, Mark(line, 1), f"not CSV: {error}")
            continue
        if values:  # an empty line is no row
            number += 1
            yield _row(number, line, names, values)


def _names(names: list[str], place: str) -> list[str]:
    names = [name.strip() for name in names]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"{place}: two columns are called {twice[0]!r}", "name each one once")
    return names


def _row(number: int, line: int, names: list[str], values: list[str]) -> Row | BadRow:
    mark = Mark(line, 1)
    if len(values) != len(names):
        return BadRow(number, mark, f"{len(values)} fields, and the header has {len(names)}")
    for name, value in zip(names, values, strict=True):
        if any("\udc80" <= char <= "\udcff" for char in value):
            return BadRow(number, mark, f"{name}: not UTF-8")
    return Row(number, line, {k: Node(mark, v) for k, v in zip(names, values, strict=True)})


def parquet(file: BinaryIO, place: str) -> Iterator[Row]:
    """The rows of a Parquet file, which counts as having a line for each."""
    try:
        batches = parquet_module(place).ParquetFile(file).iter_batches(ROWS_AT_ONCE)
        number = 0
        for batch in batches:
            for values in batch.to_pylist():
                number += 1
                yield Row(number, number, {k: node(v, number) for k, v in values.items()})
    except (OSError, ValueError) as error:
        raise UsageError(f"{place}: {error}", "give a Parquet file, or JSON lines") from error


def parquet_module(place: str) -> Any:
    """pyarrow.parquet; raises UsageError where it is not installed."""
    try:
        from pyarrow import parquet as module
    except ImportError as error:
        raise UsageError(f"{place}: Parquet files need pyarrow", PARQUET) from error
    return module
