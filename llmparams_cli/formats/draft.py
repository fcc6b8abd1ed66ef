"""An import in progress: checks values, and reports whatever does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from llmparams_cli.formats.common import (
    PENALTIES,
    REPETITION,
    SHAPING,
    Entries,
    Imported,
    Loss,
    hub_name,
    is_sampler,
    problem,
)
from llmparams_cli.params.kinds import LARGEST, Biases, Choice, Number, Texts, Words
from llmparams_cli.params.table import PARAMS, SAMPLER_STAGES
from llmparams_cli.presets.nodes import Node
from llmparams_cli.text.shorten import brief


class Draft:
    """The values imported so far, and the losses to report.

    A value out of bounds is a loss; one of a wrong type is an error in the file. `textual`
    formats have only texts, from which numbers have to be read.
    """

    def __init__(self, place: str, program: str, textual: bool = False) -> None:
        self.place = place
        self.program = program
        self.textual = textual
        self.values: dict[str, Any] = {}
        self.losses: list[Loss] = []

    def error(self, node: Node, reason: str) -> Exception:
        """What is raised for a value that makes the file wrong."""
        return problem(self.place, node.mark, reason)

    def report(self, kind: str, what: str, reason: str) -> None:
        self.losses.append(Loss(kind, brief(what), brief(reason)))

    def lose(self, what: str, reason: str) -> None:
        self.report("lost", what, reason)

    def take(self, name: str, key: str, node: Node) -> None:
        """Read the value of parameter `name`, given as `key`; null counts as not given.

        So does an empty text where that is neutral, such as an empty grammar.
        """
        if node.value is None or node.value == PARAMS[name].neutral == "":
            return
        kind = PARAMS[name].kind
        value = node.plain()
        if isinstance(kind, Texts):
            value = self._no_empty_texts(key, value)
        if name == "top_k" and re.fullmatch(r"-\d+", str(value)):
            value = 0  # off in every program
        try:
            checked = kind.parse(value) if self._is_written(value) else kind.check(value)
        except RecursionError as error:  # JSON in a text
            raise self.error(node, f"{key}: nested too deeply") from error
        except ValueError as error:
            if not _is_sound(kind, value, self.textual):
                raise self.error(node, f"{key}: {error}") from error
            self.lose(key, str(error))
        else:
            self._keep(name, key, node, checked)

    def take_all(self, entries: Entries, keys: Mapping[str, str]) -> None:
        """Move the parameters in `keys` (name here → name there) out of `entries`."""
        for name, key in keys.items():
            if key in entries:
                self.take(name, key, entries.pop(key))

    def take_biases(self, key: str, biases: Iterable[tuple[str, Node]]) -> None:
        """Take logit biases, token by token."""
        kept = self.values.setdefault("logit_bias", {})
        for token, node in biases:
            try:
                kept.update(Biases().check({token: node.plain()}))
            except ValueError as error:
                if not _is_number(node.value):
                    raise self.error(node, f"{key}: {error}") from error
                self.lose(key, str(error))
        if not kept:
            del self.values["logit_bias"]

    def text(self, key: str, node: Node | None) -> str | None:
        """A text, or None if it is not given."""
        if node is None or node.value is None:
            return None
        if not isinstance(node.value, str):
            raise self.error(node, f"{key}: {node.plain()!r} is not text")
        return node.value

    def flag(self, key: str, node: Node | None) -> bool | None:
        """A bool, or None if it is not given."""
        if node is None or node.value is None:
            return None
        if not isinstance(node.value, bool):
            raise self.error(node, f"{key}: {node.plain()!r} is not true or false")
        return node.value

    def number(self, key: str, node: Node) -> float:
        if not _is_number(node.value):
            raise self.error(node, f"{key}: {node.plain()!r} is not a finite number")
        assert isinstance(node.value, (int, float))
        return node.value

    def mapping(self, key: str, node: Node) -> Entries:
        if not isinstance(node.value, dict):
            raise self.error(node, f"{key}: not a mapping")
        return dict(node.value)

    def items(self, key: str, node: Node) -> list[Node]:
        if not isinstance(node.value, list):
            raise self.error(node, f"{key}: not a list")
        return node.value

    def model(self, key: str, name: str | None, own_names: bool = False) -> str | None:
        """The model, if it is a file or on the Hub; other programs' own names are a loss.

        With `own_names`, user/name is the program's own, unless the Hub's address is before it.
        """
        if not name:
            return None
        repository = hub_name(name)
        if own_names and repository == name:
            repository = ""
        if ":" in repository:
            return repository
        if repository and repository != name:
            return f"hf.co/{repository}"
        if name.startswith(("/", "./", "../", "~")) or name.endswith(".gguf"):
            return name
        self.lose(key, f"{name!r} is a name that only {self.program} knows")
        return None

    def fill(self, values: Mapping[str, Any], why: str) -> None:
        """Set the values that the format means by leaving them out, and report them."""
        missing = {name: value for name, value in values.items() if name not in self.values}
        self.values.update(missing)
        if missing:
            shown = (f"{name} {PARAMS[name].kind.show(v)}" for name, v in missing.items())
            self.losses.append(Loss("filled", ", ".join(shown), why))

    def goes_on(self) -> None:
        """For programs that have no limit of length, unless they are given one."""
        self.fill({"max_tokens": -1}, f"a missing length means no limit in {self.program}")

    def fill_neutral(self, known: Iterable[str], **others: Any) -> None:
        """Switch off the samplers whose keys are missing, for formats in which that means off.

        Parameters that are no samplers (lengths, windows) keep this program's defaults.
        """
        samplers = [name for name in known if is_sampler(name)]
        values = {name: PARAMS[name].neutral for name in (*SHAPING, *samplers)}
        self.fill(
            {name: values[name] for name in PARAMS if name in values} | others,
            f"a missing key means this in {self.program}",
        )

    def inert(self, entries: Entries, table: Mapping[str, tuple[Any, ...]]) -> None:
        """Drop keys that this program lacks; report them unless their value is among the harmless
        ones in `table`.
        """
        for key, harmless in table.items():
            node = entries.pop(key, None)
            if node and node.value is not None and node.plain() not in harmless:
                self.lose(key, "this program has no such parameter")

    def leave(self, entries: Entries) -> None:
        """Report all remaining entries as lost."""
        for key, node in entries.items():
            if node.value is not None:
                self.lose(key, "this program has no such parameter")

    def penalises(self, *names: str) -> bool:
        """Is one of these penalties on?"""
        neutral = {name: PARAMS[name].neutral for name in names}
        return any(self.values.get(name, value) != value for name, value in neutral.items())

    def counts_prompt(self) -> None:
        """For programs whose penalties count the prompt's tokens too."""
        if self.penalises(*REPETITION) and "penalize_prompt" not in self.values:
            self.values["penalize_prompt"] = True
            self.report("changed", "penalize_prompt true", f"{self.program} counts the prompt too")

    def counts_all(self) -> None:
        """For programs whose penalties have no window: they look at all tokens."""
        if self.penalises(*PENALTIES):
            self.fill({"repeat_last_n": -1}, f"{self.program} has no window for penalties")

    def sampler_order(self, stages: list[str], why: str) -> None:
        self.values["sampler_order"] = stages
        if stages != list(SAMPLER_STAGES):
            self.report("reordered", "sampler_order " + ",".join(stages), why)

    def dynamic_temperature(self, low: float, high: float, node: Node) -> None:
        """Take a range of temperatures, given by its ends."""
        middle, spread = (low + high) / 2, abs(high - low) / 2
        for name, value in (("temperature", middle), ("dynatemp_range", spread)):
            # Rounded, lest sums of decimals end in ...0000004.
            self.take(name, "dynamic temperature", Node(node.mark, round(value, 12)))

    def finish(self, name: str, **others: Any) -> Imported:
        parameters = {name: self.values[name] for name in PARAMS if name in self.values}
        return Imported(name=name, parameters=parameters, losses=self.losses, **others)

    def _is_written(self, value: Any) -> bool:
        return self.textual and isinstance(value, str)

    def _no_empty_texts(self, key: str, value: Any) -> Any:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or "" not in texts:
            return value
        self.lose(key, "an empty text is not allowed here")
        return [text for text in texts if text != ""]

    def _keep(self, name: str, key: str, node: Node, value: Any) -> None:
        if PARAMS[name].reads_file and isinstance(value, str) and value.startswith("@"):
            # In a preset of this program, that would name a file to be read.
            raise self.error(node, f"{key}: begins with @")
        self.values[name] = value


def _is_number(value: Any) -> bool:
    # False for NaN too, with which no comparison is true.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_sound(kind: Any, value: Any, textual: bool) -> bool:
    """Is a refused value at least of the right type, so that the other program may accept it?"""
    if isinstance(kind, Number):
        try:
            return _is_number(float(value) if textual and isinstance(value, str) else value)
        except ValueError:
            return False
    return isinstance(kind, (Choice, Words)) and isinstance(value, str)
