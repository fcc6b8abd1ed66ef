"""Records as a file: JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from llmparams_cli.rows.tables import parquet_module

Record = Mapping[str, Any]
Records = Callable[[], Iterator[Record]]  # all of them, as often as it is called
AT_ONCE = 1000  # rows of Parquet that are written together


def flat(record: Record, above: str = "") -> Iterator[tuple[str, Any]]:
    """The values by column: 'usage.prompt_tokens'. A list is the text of its JSON."""
    for name, value in record.items():
        column = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{column}.")
        else:
            is_one = value is None or isinstance(value, (str, int, float))
            yield column, value if is_one else json.dumps(value, ensure_ascii=False)


def columns(records: Iterator[Record]) -> dict[str, set[type]]:
    """The columns of all records in the order of their first use, with the types in them."""
    found: dict[str, set[type]] = {}
    for record in records:
        for column, value in flat(record):
            kinds = found.setdefault(column, set())
            if value is not None:
                kinds.add(type(value))
    return found


def write_csv(path: Path, records: Records) -> None:
    """CSV with a header; what a record lacks is empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*columns(records())])
        writer.writeheader()
        for record in records():
            writer.writerow(dict(flat(record)))


def write_parquet(path: Path, records: Records) -> None:
    """A Parquet file; a column with values of several types is one of texts."""
    parquet = parquet_module(str(path))
    import pyarrow

    kinds = columns(records())
    schema = pyarrow.schema([(name, _type(pyarrow, kinds[name])) for name in kinds])
    rows = (dict(flat(record)) for record in records())
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, AT_ONCE)):
            texts = [name for name in kinds if schema.field(name).type == pyarrow.string()]
            for row in batch:
                row.update({k: _text(row[k]) for k in texts if row.get(k) is not None})
            writer.write_table(pyarrow.Table.from_pylist(batch, schema))


def _type(pyarrow: Any, kinds: set[type]) -> Any:
    if kinds == {bool}:
        return pyarrow.bool_()
    if kinds == {int}:
        return pyarrow.int64()
    return pyarrow.float64() if kinds and kinds <= {int, float} else pyarrow.string()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
