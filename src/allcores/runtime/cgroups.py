"""The limits that control groups put on this process: containers, batch systems, systemd slices.

Rule of this file: pure. Files are read through ``read``, an argument: from a path to its text, or to None where
there is no such file.

A process sits in one directory of every hierarchy that is mounted. Each directory from there up to the mount
point may hold a limit, and the tightest one counts. Version 1 has a hierarchy per controller, version 2 one for all,
and a machine may mount both: whatever file is there is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from allcores.core.records import NamedTuple

Read = Callable[[str], str | None]

# Version 1 says "no limit" with the largest multiple of a page that fits into 63 bits; no machine has that much.
NO_LIMIT_BYTES = 1 << 60


class MemoryLimit(NamedTuple):
    """A limit on memory, and what is left of it; caches that the kernel can drop at once count as left."""

    limit_bytes: int
    left_bytes: int


def quota_cores(read: Read) -> float | None:
    """Cores' worth of time that this process may use (1.5: one and a half), or None without a quota."""
    quotas = [
        *(parse_cpu_max(read(f"{directory}/cpu.max")) for directory in directories(read, version=2)),
        *(
            parse_cfs_quota(read(f"{directory}/cpu.cfs_quota_us"), read(f"{directory}/cpu.cfs_period_us"))
            for directory in directories(read, version=1, controller="cpu")
        ),
    ]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit(read: Read) -> MemoryLimit | None:
    """The tightest limit and the least that is left below any of the limits, or None where there is no limit."""
    limits = [*_memory_limits_v2(read), *_memory_limits_v1(read)]
    if not limits:
        return None
    return MemoryLimit(min(each.limit_bytes for each in limits), min(each.left_bytes for each in limits))


def directories(read: Read, version: int, controller: str = "") -> Iterator[str]:
    """This process's directory in a hierarchy, then its parents up to the mount point."""
    path = parse_memberships(read("/proc/self/cgroup")).get(controller)
    if path is None:
        return
    for mounted_path, mount_point in parse_mounts(read("/proc/self/mountinfo"), version, controller):
        below = _below(path, mounted_path)
        while below:
            yield mount_point + below
            below = below.rpartition("/")[0]
        yield mount_point
        return


def parse_memberships(text: str | None) -> dict[str, str]:
    """/proc/self/cgroup: the path of this process for each controller of version 1; that of version 2 under ""."""
    paths: dict[str, str] = {}
    for line in (text or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" or controllers:
            for controller in controllers.split(","):
                paths.setdefault(controller, path)
    return paths


def parse_mounts(text: str | None, version: int, controller: str = "") -> Iterator[tuple[str, str]]:
    """/proc/self/mountinfo: which path of a hierarchy is mounted, and where."""
    kind = "cgroup2" if version == 2 else "cgroup"
    for line in (text or "").splitlines():
        mount, _, file_system = line.partition(" - ")
        fields, (found, *_, options) = mount.split(), file_system.split() or ["", ""]
        if len(fields) > 4 and found == kind and (version == 2 or controller in options.split(",")):
            yield _unescaped(fields[3]), _unescaped(fields[4])


def parse_cpu_max(text: str | None) -> float | None:
    """cpu.max of version 2: "150000 100000" is 1.5 cores, "max 100000" no quota."""
    quota, _, period = (text or "").strip().partition(" ")
    return parse_cfs_quota(quota, period or "100000")


def parse_cfs_quota(quota: str | None, period: str | None) -> float | None:
    """cpu.cfs_quota_us and cpu.cfs_period_us of version 1; a quota of -1 is none."""
    quota_us, period_us = _integer(quota), _integer(period)
    return quota_us / period_us if quota_us and period_us else None


def parse_limit_bytes(text: str | None) -> int | None:
    """A limit in bytes; None for "max", for version 1's huge number and where there is no file."""
    limit = _integer(text)
    return limit if limit is not None and limit < NO_LIMIT_BYTES else None


def parse_stat(text: str | None) -> dict[str, int]:
    """memory.stat: lines of a name and a number."""
    pairs = (line.split() for line in (text or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _memory_limits_v2(read: Read) -> Iterator[MemoryLimit]:
    for directory in directories(read, version=2):
        # Above memory.high a process is not killed but slowed down until it is of no use.
        limits = [parse_limit_bytes(read(f"{directory}/memory.{name}")) for name in ("max", "high")]
        droppable = parse_stat(read(f"{directory}/memory.stat")).get("inactive_file", 0)
        yield from _limit(limits, _integer(read(f"{directory}/memory.current")), droppable)


def _memory_limits_v1(read: Read) -> Iterator[MemoryLimit]:
    for directory in directories(read, version=1, controller="memory"):
        limit = parse_limit_bytes(read(f"{directory}/memory.limit_in_bytes"))
        droppable = parse_stat(read(f"{directory}/memory.stat")).get("total_inactive_file", 0)
        yield from _limit([limit], _integer(read(f"{directory}/memory.usage_in_bytes")), droppable)


def _limit(limits: Iterable[int | None], used: int | None, droppable: int) -> Iterator[MemoryLimit]:
    known = [limit for limit in limits if limit is not None]
    if known:
        in_use = max((used or 0) - droppable, 0)
        yield MemoryLimit(min(known), max(min(known) - in_use, 0))


def _below(path: str, mounted_path: str) -> str:
    """The part of a path below what is mounted; empty where the path lies outside (seen from a namespace)."""
    root = mounted_path.rstrip("/")
    inside = path == root or path.startswith(root + "/")
    return path[len(root) :].rstrip("/") if inside and "/.." not in path else ""


def _integer(text: str | None) -> int | None:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isdigit() else None


def _unescaped(field: str) -> str:
    """The kernel writes blanks in paths as \\040 and the like."""
    return field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
