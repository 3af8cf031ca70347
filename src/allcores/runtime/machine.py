"""What this machine gives to this process: cores, memory, a GIL or none, and a way to start workers."""

from __future__ import annotations

import functools
import math
import os
import sys

from allcores.core.records import NamedTuple
from allcores.runtime import cgroups

FORKS = "forks"  # workers are forked from a process of their own that has one thread
PORTABLE = "portable"  # workers are fresh interpreters: where forking is unsafe (macOS) or missing (Windows)


class MachineFacts(NamedTuple):
    """What decisions are made from.

    Attributes:
        cores: cores that this process can keep busy: the smaller of affinity and quota, at least 1.
        visible_cores: cores that the operating system shows, whoever may use them.
        affinity_cores: cores on which this process may be scheduled.
        quota_cores: cores' worth of time granted by control groups (may be 1.5), or None.
        memory_bytes: physical memory.
        memory_limit_bytes: limit by control groups, or None.
        available_bytes: memory that this process and its workers can take now without swapping or being killed.
        gil_enabled: whether only one thread at a time runs Python code, at this moment.
        start_method: how workers can be started, ``FORKS`` or ``PORTABLE``.
        platform: ``sys.platform``.
    """

    cores: int
    visible_cores: int
    affinity_cores: int
    quota_cores: float | None
    memory_bytes: int
    memory_limit_bytes: int | None
    available_bytes: int
    gil_enabled: bool
    start_method: str
    platform: str


def facts() -> MachineFacts:
    """Looks at the machine now."""
    physical_bytes, free_bytes = _memory()
    limit = cgroups.memory_limit(read_text)
    return MachineFacts(
        cores=cpu_count(),
        visible_cores=os.cpu_count() or 1,
        affinity_cores=affinity_cores(),
        quota_cores=quota_cores(),
        memory_bytes=physical_bytes,
        memory_limit_bytes=limit.limit_bytes if limit else None,
        available_bytes=min(free_bytes, limit.left_bytes) if limit else free_bytes,
        gil_enabled=gil_enabled(),
        start_method=start_method(),
        platform=sys.platform,
    )


def cpu_count() -> int:
    """Number of cores that this process can keep busy; what `taskset` and containers forbid is not counted."""
    return usable_cores(affinity_cores(), quota_cores())


def usable_cores(affinity: int, quota: float | None) -> int:
    """Half a core is still one to use.

    >>> usable_cores(8, None), usable_cores(8, 1.5), usable_cores(2, 64.0), usable_cores(8, 0.2)
    (8, 2, 2, 1)
    """
    return max(1, affinity if quota is None else min(affinity, math.ceil(quota)))


def affinity_cores() -> int:
    """Number of cores on which this process may be scheduled."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1  # hears -X cpu_count and PYTHON_CPU_COUNT as well
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def quota_cores() -> float | None:
    """Cores' worth of time granted by control groups, or None. Looked up once: it costs file reads on every call."""
    return cgroups.quota_cores(read_text)


def gil_enabled() -> bool:
    """Whether the GIL is on now; on a free-threaded interpreter an import can switch it on."""
    asked = getattr(sys, "_is_gil_enabled", None)
    return asked is None or bool(asked())


def start_method() -> str:
    """How workers can be started here."""
    return FORKS if sys.platform == "linux" else PORTABLE


def read_text(path: str) -> str | None:
    """The text of a file of the kernel's, or None where there is none to be had."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def parse_meminfo(text: str) -> tuple[int, int] | None:
    """/proc/meminfo: physical and available memory in bytes, or None where it does not say."""
    kibibytes = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        number = value.split()[:1]
        if number and number[0].isdigit():
            kibibytes[name] = int(number[0])
    if "MemTotal" not in kibibytes or "MemAvailable" not in kibibytes:
        return None
    return kibibytes["MemTotal"] * 1024, kibibytes["MemAvailable"] * 1024


def _memory() -> tuple[int, int]:
    """Physical memory, and how much of it can be had now, whatever control groups say."""
    known = parse_meminfo(read_text("/proc/meminfo") or "")
    if known is None:
        import psutil

        memory = psutil.virtual_memory()
        known = int(memory.total), int(memory.available)
    return known
