"""The model that runs where none is named: shown, and written into the user's config.yaml."""

from __future__ import annotations

from llmparams_cli import APP
from llmparams_cli.env import Environment
from llmparams_cli.errors import PresetError
from llmparams_cli.files import resolve_path, write_whole
from llmparams_cli.models.resolve import find_model, unnamed
from llmparams_cli.params.settings import Source
from llmparams_cli.presets.cascade import gather
from llmparams_cli.presets.document import Placed, absolute_path, load
from llmparams_cli.presets.edit import Uneditable, with_text, without
from llmparams_cli.presets.files import shown

KEY = "model"
COMMENT = f"the default: {APP} models default"


def current(env: Environment) -> Placed:
    """The model that a run without --model takes here, and why."""
    return gather(env).model or unnamed(env)


def choose(env: Environment, name: str) -> Placed:
    """Make this model the default, if it is a sound one; returns it with its place in the file."""
    model = find_model(name, env)
    path = resolve_path(name, env.directory)
    # A path means the same file from everywhere only if it is absolute.
    text = model.known_as or (str(path) if path.exists() else absolute_path(name, env.directory))
    try:
        _write(env, with_text(_read(env), KEY, text, COMMENT))
    except Uneditable as error:
        raise _refusal(env, error) from error
    document = load(env.config_file, Source.CONFIG, env.directory)
    assert document.model is not None
    return document.model


def unset(env: Environment) -> bool:
    """Take the default out of the file; False if there was none."""
    before = _read(env)
    try:
        after = without(before, KEY)
    except Uneditable as error:
        raise _refusal(env, error) from error
    if after != before:
        _write(env, after)
    return after != before


def _read(env: Environment) -> str:
    """The file's text, empty if there is none; raises PresetError for one that is not sound."""
    path = env.config_file
    if not path.exists():
        return ""
    load(path, Source.CONFIG, env.directory)
    return path.read_bytes().decode()


def _refusal(env: Environment, error: Uneditable) -> PresetError:
    place = shown(env.config_file, env.directory)
    return PresetError(f"{place}: {error}", f"change `{KEY}:` in it yourself")


def _write(env: Environment, text: str) -> None:
    try:
        write_whole(env.config_file, text, parents=True)
    except OSError as error:
        place = shown(env.config_file, env.directory)
        raise PresetError(f"{place} cannot be written: {error.strerror}") from error
