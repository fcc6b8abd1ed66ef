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
    thinking:
      temperature: 0.6             # only while the model thinks
    tests: []                      # see presets.tests

A llmparams.yaml may also hold whole presets by name, under the key `presets`.
Paths are relative to the file. Everything is checked, and every value keeps its line number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from llmparams_cli.errors import PresetError
from llmparams_cli.files import MOST_SETTINGS, read_text, resolve_path
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.params.settings import Assignment, Origin, Source, label
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import prompt_template, values
from llmparams_cli.presets.files import shown, special
from llmparams_cli.presets.nodes import Mark, Node, Unreadable, compose
from llmparams_cli.presets.tests import Case, read_tests
from llmparams_cli.text.shorten import brief

PRESETS = "presets"
SCRIPTED = "scripted:"  # before the path of a scripted model
NAME = r"\w[\w.-]*"  # of a preset: no / or @, which `find` reads as a path or a place
KEYS = (
    "description",
    "extends",
    "model",
    "system",
    "prompt",
    "variables",
    "parameters",
    "thinking",
    "tests",
)


@dataclass(frozen=True)
class Placed:
    """A text and where it was written."""

    text: str
    origin: Origin


def text_of(placed: Placed | None) -> str | None:
    """The text without its place."""
    return placed.text if placed else None


@dataclass(frozen=True)
class Document:
    """The checked content of a file. `place` is its path as shown to people.

    `variables` are those of the prompt template: name → default, or None for a variable
    that must be given.
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


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and where; `mark` is None for the file as a whole."""

    mark: Mark | None
    reason: str
    hint: str = ""

    def error(self, place: str) -> PresetError:
        where = f"{place}:{self.mark.line}" if self.mark else place
        return PresetError(f"{where}: {self.reason}", self.hint)


def load(path: Path, source: Source, directory: Path, entry: str = "") -> Document:
    """Read a file of the layer `source`, or raise its first problem as a PresetError.

    Messages show paths relative to `directory`, the working directory. With an `entry`, the
    preset of that name in a llmparams.yaml is read.
    """
    document, problems = examine(path, source, directory, entry)
    if problems:
        raise problems[0].error(document.place)
    return document


def examine(
    path: Path, source: Source, directory: Path, entry: str = "", waits: bool = False
) -> tuple[Document, list[Problem]]:
    """Read a file; return its valid part, and all its problems from top to bottom.

    Only with `waits` may it be a pipe, whose writer is waited for.
    """
    reader = _Reader(path, source, directory, entry, waits)
    document = reader.document()
    return document, sorted(reader.problems, key=lambda problem: problem.mark or Mark(0, 0))


def name_of(path: Path, entry: str) -> str:
    """The name of the preset in a file, or in this entry of a llmparams.yaml."""
    return entry or path.stem


def entries(path: Path) -> list[str]:
    """The names of the presets in a llmparams.yaml; none if it cannot be read."""
    if special(path):
        return []
    try:
        root, _ = _tree(read_text(path, MOST_SETTINGS))
    except ValueError:
        return []
    presets = root.value.get(PRESETS) if root and isinstance(root.value, dict) else None
    return list(presets.value) if presets and isinstance(presets.value, dict) else []


@lru_cache(maxsize=2)  # every preset in a llmparams.yaml is read from the same text
def _tree(text: str) -> tuple[Node | None, tuple[Problem, ...]]:
    """The YAML document, and what is wrong with its syntax."""
    problems: list[Problem] = []
    try:
        root = compose(text, lambda mark, reason: problems.append(Problem(mark, reason)))
    except Unreadable as error:
        return None, (*problems, Problem(error.mark, error.reason))
    return root, tuple(problems)


class _Reader:
    """Reads one file, collecting its problems instead of raising the first."""

    def __init__(
        self, path: Path, source: Source, directory: Path, entry: str, waits: bool
    ) -> None:
        self.path = path
        self.source = source
        self.place = shown(path, directory)
        self.entry = entry
        self.waits = waits
        self.problems: list[Problem] = []

    def document(self) -> Document:
        root = self._root()
        keys = self._entry(root, self.entry) if self.entry else self._keys(root)
        return self._document(keys)

    def _document(self, entries: dict[str, Node]) -> Document:
        description = self._text(entries.get("description"), "description")
        model = self._text(entries.get("model"), "model")
        return Document(
            path=self.path,
            place=self.place,
            description=description.text if description else "",
            extends=self._extends(entries.get("extends")),
            model=model and Placed(absolute_path(model.text, self.path.parent), model.origin),
            system=self._text(entries.get("system"), "system"),
            prompt=self._prompt(entries.get("prompt")),
            variables=self._variables(entries.get("variables")),
            tests=read_tests(entries.get("tests"), self.path.parent, self._problem),
            assignments=(
                *self._assignments(entries.get("parameters"), "parameters"),
                *self._assignments(entries.get("thinking"), "thinking"),  # lies above
            ),
        )

    def _root(self) -> Node | None:
        if (kind := special(self.path)) and not self.waits:
            self._problem(None, f"{kind}, not a file")
            return None
        try:
            root, problems = _tree(read_text(self.path, MOST_SETTINGS))
        except ValueError as error:
            self._problem(None, str(error))
            return None
        for problem in problems:
            self._problem(problem.mark, problem.reason)
        return root

    def _keys(self, root: Node | None) -> dict[str, Node]:
        """The file's own keys. The presets in a llmparams.yaml are checked here too."""
        is_preset = self.source is Source.PRESET
        if root is None:
            if is_preset and not self.problems:
                self._problem(None, "empty; a preset has `parameters:` or at least `system:`")
            return {}
        keys = self._mapping(root, KEYS if is_preset else (*KEYS, PRESETS))
        for name, body in self._presets(keys.get(PRESETS)).items():
            if not re.fullmatch(NAME, name):
                self._problem(body.mark, f"presets: {name!r} cannot be a preset's name")
            self._document(self._mapping(body, KEYS))  # for its problems alone
        return keys

    def _entry(self, root: Node | None, name: str) -> dict[str, Node]:
        """The keys of one preset in a llmparams.yaml."""
        if root is None or not isinstance(root.value, dict):
            return {}
        body = self._presets(root.value.get(PRESETS)).get(name)
        return self._mapping(body, KEYS) if body else {}

    def _presets(self, node: Node | None) -> dict[str, Node]:
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self._problem(node.mark, "presets: not a mapping of names to presets")
            return {}
        return node.value

    def _mapping(self, node: Node, known: tuple[str, ...]) -> dict[str, Node]:
        if not isinstance(node.value, dict):
            self._problem(node.mark, f"not a mapping with the keys {', '.join(KEYS)}")
            return {}
        for key, item in node.value.items():
            if key not in known:
                self._unknown_key(key, item, known)
        return node.value

    def _unknown_key(self, key: str, node: Node, known: tuple[str, ...]) -> None:
        if key in PARAMS:
            self._problem(node.mark, f"{key} is a parameter: indent it under `parameters:`")
        elif not self._is_for_thoughts(key, node):
            guess = did_you_mean(key, known) or f"; the keys are {', '.join(KEYS)}"
            self._problem(node.mark, f"unknown key {key!r}{guess}")

    def _is_for_thoughts(self, name: str, node: Node) -> bool:
        """Is the name thinking.PARAMETER? Then tell how a preset says that."""
        target = values.known(name)
        if target is None or not target.when_thinking:
            return False
        self._problem(node.mark, f"{name}: it is written as {target.param.name}, under `thinking:`")
        return True

    def _text(self, node: Node | None, key: str) -> Placed | None:
        if node is None:
            return None
        if isinstance(node.value, str):
            return Placed(node.value, self._origin(node))
        if node.value is None:
            self._problem(node.mark, f"{key}: no text is given")
        else:
            self._problem(node.mark, f"{key}: {node.plain()!r} is not text; put text in quotes")
        return None

    def _prompt(self, node: Node | None) -> Placed | None:
        prompt = self._text(node, "prompt")
        if prompt and node:
            try:
                prompt_template.names(prompt.text)
            except ValueError as error:
                self._problem(node.mark, f"prompt: {error}")
        return prompt

    def _variables(self, node: Node | None) -> dict[str, Placed | None]:
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self._problem(node.mark, "variables: not a mapping such as `language: English`")
            return {}
        variables: dict[str, Placed | None] = {}
        for name, item in node.value.items():
            if not name.isidentifier() or name == prompt_template.INPUT:
                self._problem(item.mark, f"variables: {name!r} cannot be a variable's name")
            elif isinstance(item.value, (dict, list)):
                self._problem(item.mark, f"variables: {name} must be one text")
            else:
                text = None if item.value is None else prompt_template.text_of(item.value)
                variables[name] = None if text is None else Placed(text, self._origin(item))
        return variables

    def _extends(self, node: Node | None) -> tuple[Placed, ...]:
        if node is None:
            return ()
        items = node.value if isinstance(node.value, list) else [node]
        texts = (self._text(item, "extends") for item in items)
        return tuple(text for text in texts if text)

    def _assignments(self, node: Node | None, key: str) -> tuple[Assignment, ...]:
        if node is None or node.value is None:
            return ()
        if not isinstance(node.value, dict):
            # `thinking: on` is meant for the parameter of that name.
            cure = "thinking is turned on or off under `parameters:`" if key in PARAMS else ""
            self._problem(node.mark, f"{key}: not a mapping such as `temperature: 0.2`", cure)
            return ()
        assignments = (
            self._assignment(name, item, when_thinking=key == "thinking")
            for name, item in node.value.items()
        )
        return tuple(assignment for assignment in assignments if assignment)

    def _assignment(self, name: str, node: Node, *, when_thinking: bool) -> Assignment | None:
        written = label(name, when_thinking)
        if self._is_for_thoughts(name, node):
            return None
        if name not in PARAMS:
            reason = f"unknown parameter {written!r}{values.suggestion(written)}"
            self._problem(node.mark, reason, "`llmparams params` lists them all")
            return None
        param = PARAMS[name]
        if when_thinking and (reason := values.not_by_phase(param)):
            cure = f"put {values.for_thoughts(param)} under `parameters:`"
            self._problem(node.mark, f"thinking: {reason}", cure)
            return None
        try:
            value = values.from_yaml(param, node.plain(), self.path.parent)
        except ValueError as error:
            self._problem(node.mark, f"{written}: {error}", values.see(param))
            return None
        return Assignment(name, value, self._origin(node), when_thinking)

    def _origin(self, node: Node) -> Origin:
        preset = name_of(self.path, self.entry) if self.source is Source.PRESET else ""
        return Origin(self.source, preset, self.place, node.mark.line)

    def _problem(self, mark: Mark | None, reason: str, hint: str = "") -> None:
        self.problems.append(Problem(mark, brief(reason), hint))  # it may quote a long value


def absolute_path(text: str, directory: Path) -> str:
    """A model's path made absolute; a name such as user/repo:Q4_K_M stays as it is."""
    if text.startswith(SCRIPTED):
        return f"{SCRIPTED}{resolve_path(text.removeprefix(SCRIPTED), directory)}"
    is_path = text.startswith(("./", "../", "~", "/"))
    if is_path or (text.endswith(".gguf") and ":" not in text):
        return str(resolve_path(text, directory))
    return text
