"""What a shell offers where a value is typed: names of models, presets, parameters, runs; words.

Names come from the disk, and some shells run what they find in an offer: only those are offered
that mean nothing to a shell, and hints lose what does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import typer

from llmparams_cli.completion import is_plain
from llmparams_cli.env import Environment
from llmparams_cli.params.kinds import Choice, Model, Switch, Words
from llmparams_cli.params.settings import THINKING
from llmparams_cli.params.spec import Param, Scope
from llmparams_cli.params.table import PARAMS, plain
from llmparams_cli.presets.values import known

Offers = list[tuple[str, str]]  # what may be typed, each with a hint
Completion = Callable[..., Offers]  # takes what was typed, and the context if it wants it
HARMFUL_IN_A_HINT = re.compile(r"[^\w .,;:!?/+=%()-]")
LONGEST_HINT = 60
RUNS = 20  # the newest of the log


def model_names(ctx: typer.Context, incomplete: str) -> Offers:
    """Models on this disk."""
    from llmparams_cli.models import names
    from llmparams_cli.models.stores import STORES

    if _is_path(incomplete):
        return []
    models = names.known(environment(ctx))
    return _offered({name: STORES[kept.store].title for name, kept in models.items()}, incomplete)


def pulled_models(ctx: typer.Context, incomplete: str) -> Offers:
    """Models that were pulled."""
    from llmparams_cli.models.resolve import pulled_names

    return _offered(dict.fromkeys(pulled_names(environment(ctx)), ""), incomplete)


def kept_models(ctx: typer.Context, incomplete: str) -> Offers:
    """Models of which the prefix cache keeps something."""
    from llmparams_cli.records.prefixes import store

    names = (kept.name for kept in store.opened(environment(ctx)).kept())
    return _offered(dict.fromkeys(names, ""), incomplete)


def preset_names(ctx: typer.Context, incomplete: str) -> Offers:
    """Presets, with the place where each is found."""
    if _is_path(incomplete):
        return []
    return _offered(_presets(ctx), incomplete)


def runs(ctx: typer.Context, incomplete: str) -> Offers:
    """The newest runs of the log, by id or by the part of it after the dash."""
    from llmparams_cli.records import store

    if _is_path(incomplete):
        return []
    ids = store.ids(environment(ctx))[:RUNS]
    short = [id.partition("-")[2] for id in ids] if incomplete else []
    return _offered(dict.fromkeys([*([store.LAST] if ids else []), *ids, *short], ""), incomplete)


def parameters(ctx: typer.Context, incomplete: str) -> Offers:
    """Parameters, by name."""
    return _offered(_spelled(tuple(Scope), incomplete), incomplete)


def assignments(
    *scopes: Scope, values: bool = False, presets: bool = False, by_phase: bool = False
) -> Completion:
    """NAME=VALUE for a parameter of these scopes. After a comma, another such pair; or with
    `values`, another value of this one. With `presets`, a preset may stand for the first pair.
    NAME may be thinking.PARAMETER; with `by_phase`, PARAMETER is one that this may name.
    """

    def complete(ctx: typer.Context, incomplete: str) -> Offers:
        cut = max(incomplete.rfind(","), incomplete.rfind("=")) + 1
        start, typed = incomplete[:cut], incomplete[cut:]
        if start.endswith("=") or (values and start):
            name = start.partition("=")[0] if values else start[:-1].rpartition(",")[2]
            target = known(name)
            found = dict.fromkeys(_words(target.param) if target else (), "")
        else:
            names = _spelled(scopes, typed)
            if by_phase:
                names = {name: hint for name, hint in names.items() if _meant(name).by_phase}
            else:
                names |= of_phase(typed)
            found = _pairs(names, typed)
            if presets and not start:
                found |= _presets(ctx)
        return _offered({start + text: hint for text, hint in found.items()}, incomplete)

    return complete


def words(listed: Sequence[str], *, many: bool = False) -> Completion:
    """One of these words; or `many`, separated by commas."""

    def complete(incomplete: str) -> Offers:
        before, comma, _ = incomplete.rpartition(",") if many else ("", "", incomplete)
        left = [word for word in listed if word not in before.split(",")]
        return _offered({f"{before}{comma}{word}": "" for word in left}, incomplete)

    return complete


def words_of(param: Param) -> Completion | None:
    """The words that a parameter takes, or the models on this disk; None if it takes others."""
    if isinstance(param.kind, Model):
        return model_names
    found = () if isinstance(param.kind, Switch) else _words(param)
    return words(found, many=isinstance(param.kind, Words)) if found else None


def _words(param: Param) -> Sequence[str]:
    if isinstance(param.kind, (Choice, Words)):
        return param.kind.words
    return ("true", "false") if isinstance(param.kind, Switch) else ()


def _spelled(scopes: Sequence[Scope], typed: str) -> dict[str, str]:
    """The names of parameters with what they do; with dashes where somebody types some."""
    mark = "-" if "-" in typed else "_"
    params = [param for param in PARAMS.values() if param.scope in scopes]
    return {param.name.replace("_", mark): param.summary for param in params}


def of_phase(typed: str) -> dict[str, str]:
    """thinking.PARAMETER with what each does, where somebody begins to type such a name."""
    if not typed or not (typed.startswith(THINKING) or THINKING.startswith(typed)):
        return {}
    names = _spelled((Scope.SAMPLING,), typed)
    return {THINKING + name: hint for name, hint in names.items() if _meant(name).by_phase}


def _meant(name: str) -> Param:
    """The parameter with this name, whether that has thinking. before it or not."""
    return PARAMS[plain(name).removeprefix(THINKING)]


def _pairs(names: Mapping[str, str], typed: str) -> dict[str, str]:
    """The beginnings of assignments. If only one fits, its default comes too: after a single
    offer a shell would add a blank.
    """
    fit = {f"{name}=": hint for name, hint in names.items() if name.startswith(typed)}
    if len(fit) == 1:
        [start] = fit
        param = _meant(start[:-1])
        fit[start + param.kind.show(param.default)] = "the default"
    return fit


def _presets(ctx: typer.Context) -> dict[str, str]:
    """The names of presets, each with the place that comes first."""
    from llmparams_cli.presets.find import available

    return {name: files[0].place for name, files in sorted(available(environment(ctx)).items())}


def _offered(hints: Mapping[str, str], incomplete: str) -> Offers:
    """Those that begin with what was typed and do no harm in a shell."""
    return [
        (text, HARMFUL_IN_A_HINT.sub("", hint)[:LONGEST_HINT])
        for text, hint in hints.items()
        if text.startswith(incomplete) and is_plain(text)
    ]


def _is_path(incomplete: str) -> bool:
    """Does it begin like a path? The shell completes that."""
    return incomplete.startswith((".", "/", "~"))


def environment(ctx: typer.Context) -> Environment:
    """The world outside, for completions too."""
    # When a shell asks for completions, Typer runs the app without the program's object.
    return ctx.obj if isinstance(ctx.obj, Environment) else Environment()
