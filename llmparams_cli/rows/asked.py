"""What a row asks for: a prompt or messages, a preset, values of its own.

    {"id": "r1", "prompt": "Why is the sky blue?"}
    {"id": "r2", "messages": [{"role": "user", "content": "Hi"}], "seed": 7}
    {"review": "Great!", "preset": "classify", "parameters": {"temperature": 0}}
    {"prompt": "A fox, as JSON", "schema": {"type": "object"}, "expect": {"json": true}}

Every other field is a variable of the preset's prompt. In a table, all of these are columns;
parameters.NAME is a column for one parameter, and an empty cell gives nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from llmparams_cli.params.settings import Assignment, Origin, Source
from llmparams_cli.params.spec import MADE_WITH
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import json_nodes, values
from llmparams_cli.presets.nodes import Mark, Node, Unreadable
from llmparams_cli.presets.prompt_template import text_of
from llmparams_cli.presets.tests import Case, read_tests
from llmparams_cli.protocol import Message
from llmparams_cli.rows.messages import messages_of
from llmparams_cli.rows.row import Row
from llmparams_cli.text.shorten import brief

PROMPTS = ("prompt", "input")
PARAMETERS = "parameters"
FIELDS = (
    "id", *PROMPTS, "messages", "system", "preset", PARAMETERS, "schema", "seed", "expect",
)  # fmt: skip

NOWHERE = Origin(Source.ROW)


@dataclass(frozen=True)
class Asked:
    """A row's wishes, checked. `variables` are its other fields; `expect` is a test of the answer;
    `model` is a name in it, which nothing follows; `notes` are for the user.
    """

    id: str | int | None = None
    presets: tuple[str, ...] = ()
    system: str | None = None
    prompt: str | None = None
    messages: tuple[Message, ...] = ()
    raw: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    assignments: tuple[Assignment, ...] = ()
    expect: Case | None = None
    logprobs: int | None = None
    model: str = ""
    origin: Origin = NOWHERE
    notes: tuple[str, ...] = ()


def asked(row: Row, place: str) -> Asked:
    """Read a row of this program's own form; raises Unreadable."""
    return _Reader(row, place).asked()


class _Reader:
    def __init__(self, row: Row, place: str) -> None:
        # What a table leaves empty was not given; a variable may be an empty text.
        self._fields = {
            k: v
            for k, v in row.fields.items()
            if v.value is not None and (v.value != "" or not _is_known(k))
        }
        self._line = row.line
        self._place = place

    def asked(self) -> Asked:
        given = [name for name in (*PROMPTS, "messages") if name in self._fields]
        if len(given) > 1:
            mark = self._fields[given[1]].mark
            raise Unreadable(mark, f"{given[0]} and {given[1]} exclude each other")
        messages = self._fields.get("messages")
        return Asked(
            origin=Origin(Source.ROW, "", self._place, self._line),
            id=self._id(),
            presets=tuple(self._presets()),
            system=self._text("system"),
            prompt=self._text(given[0]) if given and messages is None else None,
            messages=messages_of(self._json(messages)) if messages else (),
            variables=dict(self._variables()),
            assignments=tuple(values.in_layer(self._assignments())),
            expect=self._expect(),
        )

    def _id(self) -> str | int | None:
        node = self._fields.get("id")
        if node is None:
            return None
        if isinstance(node.value, bool) or not isinstance(node.value, (str, int)):
            raise Unreadable(node.mark, "id: neither text nor a whole number")
        return node.value

    def _text(self, name: str) -> str | None:
        node = self._fields.get(name)
        if node is None:
            return None
        if not isinstance(node.value, str):
            raise Unreadable(node.mark, f"{name}: not text; put text in quotes")
        return node.value

    def _presets(self) -> Iterator[str]:
        node = self._fields.get("preset")
        if node is None:
            return
        for each in node.value if isinstance(node.value, list) else [node]:
            if not isinstance(each.value, str):
                raise Unreadable(each.mark, "preset: not a name")
            # Rows are data, perhaps of others: they name presets, and no files to be read.
            if "/" in each.value or "\\" in each.value or each.value.endswith((".yaml", ".yml")):
                raise Unreadable(each.mark, "preset: a row gives a name, not a path (-p takes one)")
            yield each.value

    def _variables(self) -> Iterator[tuple[str, str]]:
        for name, node in self._fields.items():
            if _is_known(name):
                continue
            is_one = not isinstance(node.value, (list, dict))
            yield name, text_of(node.value) if is_one else json_nodes.dump(node.plain()).strip()

    def _assignments(self) -> Iterator[Assignment]:
        node = self._fields.get(PARAMETERS)
        if node is not None:
            node = self._json(node)
            if not isinstance(node.value, dict):
                raise Unreadable(node.mark, f'{PARAMETERS}: not {{"temperature": 0.2}}')
            for name, item in node.value.items():
                yield self._assignment(name, item)
        for name, item in self._fields.items():
            if name.startswith(f"{PARAMETERS}."):
                yield self._assignment(name.removeprefix(f"{PARAMETERS}."), item)
        if "schema" in self._fields:
            yield self._assignment("json_schema", self._json(self._fields["schema"]), "schema")
        if "seed" in self._fields:
            yield self._assignment("seed", self._fields["seed"])

    def _assignment(self, name: str, node: Node, written: str = "") -> Assignment:
        written = written or name
        target = values.known(name)
        if target is None:
            _refuse(node, f"unknown parameter {name!r}{values.suggestion(name)}")
        if target.param.scope in MADE_WITH:
            _refuse(node, f"{written}: it is the same for all rows; give {target.param.flag}")
        if target.when_thinking and (reason := values.not_by_phase(target.param)):
            _refuse(node, reason)
        try:
            value = _value(target.param.name, node.plain())
        except ValueError as error:
            _refuse(node, f"{written}: {error}")
        except RecursionError:
            _refuse(node, f"{written}: nested too deeply")
        origin = Origin(Source.ROW, "", self._place, node.mark.line)
        return Assignment(target.param.name, value, origin, target.when_thinking)

    def _expect(self) -> Case | None:
        node = self._fields.get("expect")
        if node is None:
            return None
        mark = node.mark
        test = Node(mark, {"expect": self._json(node)})

        def refuse(mark: Mark, reason: str) -> NoReturn:
            raise Unreadable(mark, reason.removeprefix("tests: "))

        (case,) = read_tests(Node(mark, [test]), Path(), refuse)
        return case

    def _json(self, node: Node) -> Node:
        """The value; in a table it is the text of JSON."""
        if not isinstance(node.value, str):
            return node
        return json_nodes.compose(node.value, node.mark.line)


def _is_known(name: str) -> bool:
    """Has the field a meaning of its own? Others are variables."""
    return name in FIELDS or name.startswith(f"{PARAMETERS}.")


def _value(name: str, value: Any) -> Any:
    """The checked value; a text, such as a table's, may stand for any. No file is read for it."""
    kind = PARAMS[name].kind
    if not isinstance(value, str):
        return kind.check(value)
    try:
        return kind.check(value)
    except ValueError:
        return kind.parse(value)


def _refuse(node: Node, reason: str) -> NoReturn:
    raise Unreadable(node.mark, brief(reason))
