"""Processors and memory that this process may really use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CGROUP = Path("/sys/fs/cgroup")
CPUINFO = Path("/proc/cpuinfo")
OWN_GROUPS = Path("/proc/self/cgroup")
FOR_COPIES = 0.5  # of the free memory
MEMORY_FILES = (  # limit and use of a control group, in version 2 and in version 1
    ("memory.max", "memory.current"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def usable_cpus() -> int:
    """CPUs that this process may use (affinity mask, cgroup quota), not the machine's count."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = _cgroup_cpu_quota()
    return max(1, min(count, int(quota))) if quota else count


def cpus() -> int:
    """All CPUs of the machine, of which other processes take theirs, too."""
    return os.cpu_count() or 1


def available_memory() -> int | None:
    """Bytes that can be allocated without swapping, within the cgroup's limit."""
    amounts = [_meminfo_available(), _cgroup_memory_left()]
    known = [amount for amount in amounts if amount is not None]
    return min(known) if known else _sysctl_memory()


def can_copy(size: int) -> bool:
    """Is there memory for a copy of so many bytes, which could be done without?"""
    free = available_memory()
    return free is None or size <= free * FOR_COPIES


@dataclass(frozen=True)
class Processor:
    """Its name, and its instruction sets as the kernel calls them (empty: unknown)."""

    model: str
    flags: frozenset[str]


def processor() -> Processor:
    """The first of them, from /proc/cpuinfo where there is one."""
    # The file has an entry for each CPU; the first one is shorter than this.
    first = _read(CPUINFO, 16_384).split("\n\n")[0]
    fields = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in first.splitlines())
    }
    model = fields.get("model name") or fields.get("CPU part", "")  # the latter on ARM
    flags = fields.get("flags") or fields.get("Features", "")
    return Processor(model, frozenset(flags.split()))


def kernel() -> str:
    """Its release and the machine's architecture."""
    if hasattr(os, "uname"):
        return f"{os.uname().release} {os.uname().machine}"
    import platform

    return f"{platform.version()} {platform.machine()}"


def _cgroup_cpu_quota() -> float | None:
    """The quota in CPUs, from cgroup v2's cpu.max or v1's quota files."""
    words = _read(CGROUP / "cpu.max").split()
    if not words:
        words = [
            _read(CGROUP / "cpu/cpu.cfs_quota_us"),
            _read(CGROUP / "cpu/cpu.cfs_period_us"),
        ]
    try:
        quota, period = (float(word) for word in words)  # "max": no quota
    except ValueError:
        return None
    return quota / period if quota > 0 and period > 0 else None


def _meminfo_available() -> int | None:
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup_memory_left() -> int | None:
    """What the strictest of the groups that this process is in leaves, file pages included: the
    system drops those as soon as memory is needed.
    """
    found = [left for group in _memory_groups() if (left := _left_in(group)) is not None]
    return min(found, default=None)


def _memory_groups() -> Iterator[Path]:
    """The directories of the process's control groups, and of those that they are in."""
    for line in _read(OWN_GROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        # No controllers: version 2, which has all of them in one tree.
        root = CGROUP / "memory" if controllers else CGROUP
        below = PurePosixPath(path.lstrip("/"))
        if ".." not in below.parts:  # else the group is outside what can be seen
            yield from (root / part for part in (below, *below.parents))


def _left_in(group: Path) -> int | None:
    """None: no limit, or no such group."""
    for limit, used in MEMORY_FILES:
        try:
            left = int(_read(group / limit)) - int(_read(group / used))
        except ValueError:  # "max", or the other version's file
            continue
        counts = dict(line.split()[:2] for line in _read(group / "memory.stat").splitlines())
        for name in ("inactive_file", "active_file"):
            # Version 1 counts the groups within apart.
            left += int(counts.get(f"total_{name}", counts.get(name, 0)))
        return max(0, left)
    return None


def _sysctl_memory() -> int | None:
    if sys.platform == "win32" or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _read(path: Path, limit: int = -1) -> str:
    """The first `limit` characters of a file, without surrounding space; '' if there is none."""
    try:
        with path.open() as file:
            return file.read(limit).strip()
    except OSError:
        return ""
