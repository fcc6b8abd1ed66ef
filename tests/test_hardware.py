"""How much memory is free, as control groups of both versions tell it."""

from __future__ import annotations

import pytest

from llmparams_cli.backends.llama.host import hardware

GIGABYTE = 1 << 30
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")
V2 = ("memory.max", "memory.current")
NO_LIMIT = {V1: "9223372036854771712", V2: "max"}


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Lets the process be in the groups of these lines of /proc/self/cgroup."""
    tmp_path = tmp_path / "cgroup"
    tmp_path.mkdir()
    monkeypatch.setattr(hardware, "CGROUP", tmp_path)
    monkeypatch.setattr(hardware, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(hardware, "_meminfo_available", lambda: 64 * GIGABYTE)

    def be_in(*lines):
        (tmp_path / "own").write_text("\n".join(lines) + "\n")
        return tmp_path

    return be_in


def limit(group, files, limit, used, **stat):
    group.mkdir(parents=True, exist_ok=True)
    (group / files[0]).write_text(f"{limit}\n")
    (group / files[1]).write_text(f"{used}\n")
    (group / "memory.stat").write_text("".join(f"{name} {n}\n" for name, n in stat.items()))


def test_pages_of_files_are_free(groups):
    place = groups("0::/")
    limit(place, V2, 8 * GIGABYTE, 7 * GIGABYTE, inactive_file=3 * GIGABYTE, active_file=GIGABYTE)
    assert hardware.available_memory() == 5 * GIGABYTE


def test_in_version_1_those_of_the_groups_within_too(groups):
    place = groups("3:cpu,cpuacct:/", "2:freezer,memory:/box")
    stat = {"inactive_file": 5, "total_inactive_file": GIGABYTE, "total_active_file": 0}
    limit(place / "memory" / "box", V1, 4 * GIGABYTE, 2 * GIGABYTE, **stat)
    limit(place / "memory", V1, NO_LIMIT[V1], GIGABYTE)
    assert hardware.available_memory() == 3 * GIGABYTE


@pytest.mark.parametrize("files", (V1, V2))
def test_the_strictest_of_nested_groups_counts(groups, files):
    place = groups("4:memory:/outer/inner" if files is V1 else "0::/outer/inner")
    place = place / "memory" if files is V1 else place
    limit(place / "outer" / "inner", files, NO_LIMIT[files], GIGABYTE)
    limit(place / "outer", files, 3 * GIGABYTE, 2 * GIGABYTE)
    limit(place, files, 9 * GIGABYTE, 2 * GIGABYTE)
    assert hardware.available_memory() == GIGABYTE


def test_of_a_group_whose_path_is_not_visible_here_the_visible_ones_count(groups):
    """A container without a namespace of its own for groups sees the path of the machine."""
    place = groups("0::/machine/docker-1")
    limit(place, V2, 2 * GIGABYTE, GIGABYTE)
    assert hardware.available_memory() == GIGABYTE


@pytest.mark.parametrize("line", ("0::/../other", "0::/", ""))
def test_without_a_limit_all_that_is_free_can_be_used(groups, line):
    """What lies above the tree that is seen here is no group of this process."""
    place = groups(line)
    limit(place, V2, NO_LIMIT[V2], GIGABYTE)
    limit(place.parent / "other", V2, GIGABYTE, 0)
    assert hardware.available_memory() == 64 * GIGABYTE


def test_a_group_that_is_full_leaves_nothing(groups):
    place = groups("0::/")
    limit(place, V2, GIGABYTE, GIGABYTE + 4096)
    assert hardware.available_memory() == 0
