"""What a session of processes holds: memory counted once however many share it, and descriptors. Linux only.

The proportional set size (PSS) shares every page among those who have mapped it. Shared memory files may hold more
than anybody has mapped, where they are read and written like files; that is memory too, and is added.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
BLOCK_BYTES = 512
IN_MEMORY = ("/memfd:", "/dev/shm/")


class Holding(NamedTuple):
    """What all of them hold together."""

    pss_bytes: int
    unmapped_bytes: int
    descriptors: int
    processes: int

    @property
    def total_bytes(self) -> int:
        """All memory."""
        return self.pss_bytes + self.unmapped_bytes


def holding(session: int) -> Holding:
    """What the processes of this session hold now, and those that they have started in sessions of their own."""
    pss = shared = descriptors = 0
    files: dict[tuple[int, int], int] = {}
    pids = members(session)
    for pid in pids:
        with contextlib.suppress(OSError):  # it may end at any moment
            sizes = _rollup(pid)
            pss += sizes["Pss"]
            shared += sizes.get("Pss_Shmem", 0)
            descriptors += len(os.listdir(PROC / str(pid) / "fd"))
            for found in _files_in_memory(pid):
                files[found.st_dev, found.st_ino] = found.st_blocks * BLOCK_BYTES
    return Holding(pss, max(0, sum(files.values()) - shared), descriptors, len(pids))


def members(session: int) -> list[int]:
    """The processes of a session, and their descendants."""
    parents = {}
    found = set()
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
                if int(fields[3]) == session:
                    found.add(int(entry.name))
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return sorted(found)


def _rollup(pid: int) -> dict[str, int]:
    sizes = {}
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, size, *_ = line.split()
        sizes[name.rstrip(":")] = int(size) * 1024
    return sizes


def _files_in_memory(pid: int) -> Iterator[os.stat_result]:
    """Those that it has open, and those that it has mapped."""
    for link in (PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(link).startswith(IN_MEMORY):
                yield link.stat()
    for line in (PROC / str(pid) / "maps").read_text().splitlines():
        path = line[73:]
        if path.startswith("/dev/shm/"):
            with contextlib.suppress(OSError):
                yield os.stat(path)
