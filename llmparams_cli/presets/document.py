"""One file that sets parameters: a preset, the user's config.yaml or a llmparams.yaml.

    description: what it is for
    extends: balanced              # a name, a path, or a list of them
    model: ./tiny.gguf
    system: Answer briefly.
    prompt: "Translate into {{ language }}: {{ input }}"
    variables:
      language: English            # a default; nothing after the colon: must be given
    parameters:
      temperature: 0.2
    tests: []                      # see presets.tests

Paths are relative to the file. Everything is checked, and every value remembers its line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from llmparams_cli.errors import PresetError
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.params.settings import Assignment, Origin, Source
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import template, values
from llmparams_cli.presets.files import brief, read_text, resolve, shown
from llmparams_cli.presets.nodes import Node, Unreadable, compose
from llmparams_cli.presets.tests import Case, read_tests

KEYS = (
    "description",
    "extends",
    "model",
    "system",
    "prompt",
    "variables",
    "parameters",
    "tests",
)


@dataclass(frozen=True)
class Placed:
    """A text and where it was written."""

    text: str
    origin: Origin


@dataclass(frozen=True)
class Document:
    """What a file says, checked. `place` is its path as shown to people.

    `variables` are those of the prompt's template, with their defaults if they have any.
    """

    path: Path
    place: str
    description: str = ""
    extends: tuple[Placed, ...] = ()
    model: Placed | None = None
    system: Placed | None = None
    prompt: Placed | None = None
    variables: dict[str, Placed | None] = field(default_factory=dict)
    assignments: tuple[Assignment, ...] = ()
    tests: tuple[Case, ...] = ()


def load(path: Path, source: Source, directory: Path) -> Document:
    """Read a file of the layer `source`, or raise its first problem as a PresetError.

    `directory` is the working directory, from which paths in messages are seen.
    """
    document, problems = examine(path, source, directory)
    if problems:
        raise problems[0]
    return document


def examine(path: Path, source: Source, directory: Path) -> tuple[Document, list[PresetError]]:
    """Read a file; return what is good of it and all its problems, from top to bottom."""
    reader = _Reader(path, source, directory)
    document = reader.document()
    reader.problems.sort(key=lambda problem: problem[0])
    return document, [error for _, error in reader.problems]


class _Reader:
    def __init__(self, path: Path, source: Source, directory: Path) -> None:
        self.path = path
        self.source = source
        self.place = shown(path, directory)
        self.problems: list[tuple[int, PresetError]] = []

    def document(self) -> Document:
        entries = self._entries()
        description = self._text(entries.get("description"), "description")
        model = self._text(entries.get("model"), "model")
        return Document(
            path=self.path,
            place=self.place,
            description=description.text if description else "",
            extends=self._extends(entries.get("extends")),
            model=model and Placed(_model(model.text, self.path.parent), model.origin),
            system=self._text(entries.get("system"), "system"),
            prompt=self._prompt(entries.get("prompt")),
            variables=self._variables(entries.get("variables")),
            tests=read_tests(entries.get("tests"), self.path.parent, self._problem),
            assignments=self._assignments(entries.get("parameters")),
        )

    def _entries(self) -> dict[str, Node]:
        try:
            root = compose(read_text(self.path), self._problem)
        except Unreadable as error:
            self._problem(error.line, error.reason)
            return {}
        except ValueError as error:
            self._problem(0, str(error))
            return {}
        if root is None and self.source is Source.PRESET:
            self._problem(0, "empty; a preset has `parameters:` or at least `system:`")
        if root is None:
            return {}
        if not isinstance(root.value, dict):
            self._problem(root.line, f"not a mapping with the keys {', '.join(KEYS)}")
            return {}
        for key, node in root.value.items():
            if key not in KEYS:
                self._unknown_key(key, node)
        return root.value

    def _unknown_key(self, key: str, node: Node) -> None:
        if key in PARAMS:
            self._problem(node.line, f"{key} is a parameter: indent it under `parameters:`")
        else:
            guess = did_you_mean(key, KEYS) or f"; the keys are {', '.join(KEYS)}"
            self._problem(node.line, f"unknown key {key!r}{guess}")

    def _text(self, node: Node | None, key: str) -> Placed | None:
        if node is None:
            return None
        if isinstance(node.value, str):
            return Placed(node.value, self._origin(node))
        if node.value is None:
            self._problem(node.line, f"{key}: no text is given")
        else:
            self._problem(node.line, f"{key}: {node.plain()!r} is not text; put text in quotes")
        return None

    def _prompt(self, node: Node | None) -> Placed | None:
        prompt = self._text(node, "prompt")
        if prompt and node:
            try:
                template.names(prompt.text)
            except ValueError as error:
                self._problem(node.line, f"prompt: {error}")
        return prompt

    def _variables(self, node: Node | None) -> dict[str, Placed | None]:
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self._problem(node.line, "variables: not a mapping such as `language: English`")
            return {}
        variables: dict[str, Placed | None] = {}
        for name, item in node.value.items():
            if not name.isidentifier() or name == template.INPUT:
                self._problem(item.line, f"variables: {name!r} cannot be a variable's name")
            elif isinstance(item.value, (dict, list)):
                self._problem(item.line, f"variables: {name} must be one text")
            else:
                text = None if item.value is None else template.text_of(item.value)
                variables[name] = None if text is None else Placed(text, self._origin(item))
        return variables

    def _extends(self, node: Node | None) -> tuple[Placed, ...]:
        if node is None:
            return ()
        items = node.value if isinstance(node.value, list) else [node]
        texts = (self._text(item, "extends") for item in items)
        return tuple(text for text in texts if text)

    def _assignments(self, node: Node | None) -> tuple[Assignment, ...]:
        if node is None or node.value is None:
            return ()
        if not isinstance(node.value, dict):
            self._problem(node.line, "parameters: not a mapping such as `temperature: 0.2`")
            return ()
        assignments = (self._assignment(name, item) for name, item in node.value.items())
        return tuple(assignment for assignment in assignments if assignment)

    def _assignment(self, name: str, node: Node) -> Assignment | None:
        if name not in PARAMS:
            reason = f"unknown parameter {name!r}{values.suggestion(name)}"
            self._problem(node.line, reason, "`llmparams params` lists them all")
            return None
        param = PARAMS[name]
        try:
            value = values.from_yaml(param, node.plain(), self.path.parent)
        except ValueError as error:
            self._problem(node.line, f"{name}: {error}", values.see(param))
            return None
        return Assignment(name, value, self._origin(node))

    def _origin(self, node: Node) -> Origin:
        return Origin(self.source, f"{self.place}:{node.line}")

    def _problem(self, line: int, reason: str, hint: str = "") -> None:
        """Note what is wrong; line 0 is the file as a whole."""
        where = f"{self.place}:{line}" if line else self.place
        self.problems.append((line, PresetError(f"{where}: {brief(reason)}", hint)))


def _model(text: str, directory: Path) -> str:
    """Make a path absolute; other names, such as user/repo:Q4_K_M, mean the same everywhere."""
    is_path = text.startswith(("./", "../", "~", "/"))
    if is_path or (text.endswith(".gguf") and ":" not in text):
        return str(resolve(text, directory))
    return text
