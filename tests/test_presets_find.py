"""From a preset's name to its file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from presets_world import world

from llmparams_cli.errors import PresetError
from llmparams_cli.presets.files import shipped_directory, shown
from llmparams_cli.presets.find import available, find


def test_the_project_comes_before_the_user_and_the_user_before_the_shipped_ones(
    tmp_path: Path,
) -> None:
    env = world(tmp_path, {"project/presets/precise.yaml": "", "config/presets/precise.yaml": ""})
    found = find("precise", env)
    shipped = shipped_directory() / "precise.yaml"
    assert found.path == tmp_path / "project/presets/precise.yaml"
    assert [(hidden.path, hidden.place) for hidden in found.shadowed] == [
        (tmp_path / "config/presets/precise.yaml", "user"),
        (shipped, "llmparams"),
    ]
    os.remove(found.path)
    assert find("precise", env).path == tmp_path / "config/presets/precise.yaml"
    os.remove(find("precise", env).path)
    assert find("precise", env).path == shipped


def test_only_the_nearest_presets_directory_above_counts(tmp_path: Path) -> None:
    env = world(tmp_path, {"presets/far.yaml": "", "project/presets/near.yaml": ""})
    env.directory = tmp_path / "project" / "src" / "deep"
    env.directory.mkdir(parents=True)
    assert find("near", env).path == tmp_path / "project/presets/near.yaml"
    with pytest.raises(PresetError, match="unknown preset 'far'"):
        find("far", env)


def test_a_file_called_presets_is_no_directory_of_presets(tmp_path: Path) -> None:
    env = world(tmp_path, {"presets/far.yaml": "", "project/presets": "a file"})
    assert find("far", env).path == tmp_path / "presets/far.yaml"


@pytest.mark.parametrize("name", ["./a.yaml", "a.yaml", "sub/../a.yaml", "b.yml", "./c", "d/e"])
def test_a_path_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    env = world(tmp_path, {f"project/{os.path.normpath(name)}": ""})
    assert find(name, env).path == tmp_path / "project" / os.path.normpath(name)


def test_a_path_starts_from_the_given_directory(tmp_path: Path) -> None:
    env = world(tmp_path, {"elsewhere/a.yaml": ""})
    assert find("./a.yaml", env, tmp_path / "elsewhere").path == tmp_path / "elsewhere/a.yaml"


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match=r"^precise.yaml: no such preset file$") as caught:
        find("precise.yaml", world(tmp_path))
    assert "without its suffix" in caught.value.hint


def test_an_unknown_name_gets_a_suggestion_and_the_list(tmp_path: Path) -> None:
    env = world(tmp_path, {"config/presets/mine.yml": ""})
    with pytest.raises(PresetError) as caught:
        find("legal-sumary", env)
    assert caught.value.message == "unknown preset 'legal-sumary'; did you mean legal-summary?"
    assert "balanced, brainstorm" in caught.value.hint
    assert "mine" in caught.value.hint


def test_other_files_among_presets_are_not_presets(tmp_path: Path) -> None:
    env = world(tmp_path, {"project/presets/preset.schema.json": "{}", "project/presets/x.ini": ""})
    assert {"preset.schema", "x"}.isdisjoint(available(env))


def test_shipped_presets_have_a_short_place_outside_their_own_repository(tmp_path: Path) -> None:
    path = shipped_directory() / "precise.yaml"
    assert shown(path, tmp_path) == "llmparams:precise.yaml"
    assert shown(path, shipped_directory().parent) == str(Path(path.parent.name) / path.name)


def test_a_place_that_cannot_be_listed_is_passed_over(tmp_path: Path) -> None:
    env = world(tmp_path, {"config/presets": "a file"})
    assert find("precise", env).path == shipped_directory() / "precise.yaml"


PROJECT_FILE = "presets:\n  terse:\n    system: Be brief.\n  precise:\n    system: Mine.\n"


def test_a_project_file_holds_presets_by_name(tmp_path: Path) -> None:
    env = world(tmp_path, {"project/llmparams.yaml": PROJECT_FILE})
    found = find("terse", env)
    assert (found.path, found.entry) == (tmp_path / "project/llmparams.yaml", "terse")
    assert find("precise", env).entry == "precise"
    assert [hidden.place for hidden in find("precise", env).shadowed] == ["llmparams"]


def test_a_place_behind_the_name_picks_one(tmp_path: Path) -> None:
    files = {"project/presets/precise.yaml": "", "config/presets/precise.yaml": "", "far/x.yml": ""}
    env = world(tmp_path, files)
    assert find("precise@user", env).path == tmp_path / "config/presets/precise.yaml"
    assert find("precise@llmparams", env).path == shipped_directory() / "precise.yaml"
    assert find("x@../far", env).path == tmp_path / "far/x.yml"
    assert find("x@far", env, tmp_path).path == tmp_path / "far/x.yml"


def test_a_wrong_place_is_told_where_the_name_is(tmp_path: Path) -> None:
    env = world(tmp_path, {"project/presets/mine.yaml": ""})
    with pytest.raises(PresetError, match="there is no preset 'mine' in 'user'") as caught:
        find("mine@user", env)
    assert caught.value.hint == "it is in project (presets/mine.yaml)"
