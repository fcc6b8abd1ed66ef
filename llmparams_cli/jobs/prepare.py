"""What every command does before a backend is opened: layers of values, the model, the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from llmparams_cli.backends.open import followed, named_templates
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError, UsageError
from llmparams_cli.jobs.prompt import Part, unasked
from llmparams_cli.models.resolve import ResolvedModel, find_model, unnamed
from llmparams_cli.params.conflicts import inert, refuse_contradictions
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source, resolve
from llmparams_cli.params.spec import Scope
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.cascade import Gathered, gather
from llmparams_cli.presets.document import Placed, text_of
from llmparams_cli.presets.metadata import from_gguf
from llmparams_cli.presets.prompt_template import PromptTemplate, from_preset
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates.choice import refuse_unusable
from llmparams_cli.templates.conversation import conversation

Found = TypeVar("Found", bound=ResolvedModel | None)


@dataclass(frozen=True)
class Form:
    """How a prompt is put to a model: see `Request`. Of the `parts` that made it, a pipe that
    nobody named has no control tokens.
    """

    raw: bool = False
    special: bool = False
    overflow: str = "refuse"
    parts: Sequence[Part] = ()


FORMATTED = Form()


@dataclass(frozen=True)
class Prepared:
    """Everything that is decided before the model is loaded."""

    settings: Settings
    model: ResolvedModel
    model_origin: Origin
    system: Placed | None
    prompt_template: PromptTemplate | None = None

    def messages(self, prompt: str) -> tuple[Message, ...]:
        """The messages for the model: the system text, and `prompt` in the preset's template."""
        user = self.prompt_template.render(prompt) if self.prompt_template else prompt
        return conversation(text_of(self.system) or "", Message("user", user))

    def with_variables(self, values: Mapping[str, str]) -> Prepared:
        """The same with these values for variables of the prompt template, where there is one."""
        template = self.prompt_template
        if not template or not values:
            return self
        return replace(
            self, prompt_template=replace(template, values={**template.values, **values})
        )

    def conversation(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The messages for the model: these, and the system text where they have none."""
        own = messages[0].role == "system"
        return tuple(messages) if own else conversation(text_of(self.system) or "", *messages)

    def request(
        self,
        prompt: str,
        *,
        settings: Settings | None = None,
        form: Form = FORMATTED,
        logprobs: int | None = None,
        expected: tuple[int, ...] = (),
    ) -> Request:
        """A request for an answer to `prompt`; `settings` replace its own, if given."""
        settings = settings or self.settings
        messages = self.messages(prompt)
        if form.special:
            if not self.model.is_raw(settings, form.raw):
                raise UsageError(
                    "--special reads control tokens in a raw prompt, and the model has a template",
                    "--raw --special goes without it",
                )
            *others, user = messages
            literal = self._literal(user.content, prompt, form.parts)
            messages = (*others, replace(user, literal=literal))
        return Request(
            messages,
            settings,
            form.raw,
            logprobs,
            form.overflow,
            expected,
            special=form.special,
        )

    def _literal(
        self, content: str, prompt: str, parts: Sequence[Part]
    ) -> tuple[tuple[int, int], ...]:
        """Where the user's message has the text from a pipe that nobody named; nowhere if nothing
        else was given, since then it was asked for.
        """
        piped = unasked(parts)
        if piped and self.prompt_template:
            return self.prompt_template.places(prompt, piped, content)
        if not piped or len(parts) == 1:
            return ()
        return ((len(content) - len(piped), len(content)),)

    @property
    def in_memory(self) -> list[Any]:
        """What decides which model is loaded, and how: whoever keeps one compares it."""
        return [self.model.reference, *self.settings.of_scope(Scope.LOAD)]

    @property
    def needs_input(self) -> bool:
        """Must the user give a prompt? Not for a preset whose template does without."""
        return self.prompt_template is None or self.prompt_template.reads_input


def prepare(
    env: Environment,
    presets: Sequence[str],
    flags: Mapping[str, Any],
    variables: Sequence[str] = (),
    above: Gathered | None = None,
) -> Prepared:
    """Gather all layers, find the model, resolve the settings; prints notes to stderr.

    `flags` are as for `presets.cascade.gather`; `variables` are the texts NAME=VALUE of --var. What
    is `above` was checked before, and overrides all other layers.
    """
    layers = gather(env, presets, flags)
    if above:
        # Last, so that it wins.
        layers.add(above)
    template = from_preset(layers.prompt, layers.variables, variables)
    given = layers.model or unnamed(env)
    settings, model = settle(layers, lambda _: find_given(given, env), env.note)
    return Prepared(settings, model, given.origin, layers.system, template)


def find_given(given: Placed, env: Environment) -> ResolvedModel:
    """Find the model that a layer names; an error says in which file or variable."""
    try:
        return find_model(given.text, env)
    except ModelError as error:
        if given.origin.file or given.origin.source is Source.ENVIRONMENT:
            raise ModelError(f"{given.origin.place}: {error.message}", error.hint) from error
        raise


def refuse_template(settings: Settings, model: ResolvedModel) -> None:
    """Raise UsageError for a chat template that this model cannot be used with."""
    refuse_unusable(settings, model.templates, named_templates)


def settle(
    layers: Gathered,
    find: Callable[[str | None], Found],
    note: Callable[[str], None],
    *,
    recommended: bool = True,
) -> tuple[Settings, Found]:
    """Resolve the layers, on top of the values that the model's author recommends; return the model
    too.

    This is the only way from layers to the settings that a model runs with. It refuses values that
    contradict each other before it looks for the model, and notes those without effect. `find` gets
    the name or path of the model in the layers.
    """
    refuse_contradictions(resolve(layers.assignments))
    model = find(text_of(layers.model))
    below: list[Assignment] = []
    notes: list[str] = []
    if model is not None and recommended:
        below, notes = from_gguf(model.recommended)
    settings = resolve([*below, *layers.assignments])
    if model is not None:
        refuse_template(settings, model)
    # A backend need not follow all parameters: setting one of the others has no effect.
    known = PARAMS if model is None else followed(model)
    for each in [*layers.notes, *notes, *inert(settings, known)]:
        note(each)
    return settings, model
