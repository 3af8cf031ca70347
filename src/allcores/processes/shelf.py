"""The shelf: large buffers that a function has captured, in memory once, however many workers have them.

They lie in the crew's file in memory, between what workers print and the mail, written before anybody is started
and never again. Who loads the function maps them privately: arrays are writable, and what one worker writes no
other sees. Unlike mail this part of the file is never cut off, not even at the end: it goes when the last one lets
go of it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

START = 1 << 52  # in the file: far behind what workers print (see ``output``)
ALIGNMENT_BYTES = 1 << 12


def places(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Where buffers of these sizes begin, counted from the start of the shelf, and where it ends."""
    offsets = []
    end = 0
    for size in sizes:
        offsets.append(end)
        end += -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return offsets, end


def put(descriptor: int, contents: Sequence[bytes]) -> int:
    """Writes buffers onto the shelf; returns where in the file it ends. Raises OSError where there is no room."""
    offsets, end = places([len(content) for content in contents])
    os.posix_fallocate(descriptor, START, end)  # a page of a map that cannot be had would be a SIGBUS
    for offset, content in zip(offsets, contents, strict=True):
        rest = memoryview(content)
        while rest:
            count = os.pwrite(descriptor, rest, START + offset)
            rest = rest[count:]
            offset += count
    return START + end


def take(descriptor: int, sizes: Sequence[int]) -> list[memoryview]:
    """The buffers on the shelf: writable, and whoever writes has that page for himself from then on."""
    import mmap

    offsets, end = places(sizes)
    private = mmap.mmap(descriptor, end, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE, offset=START)
    whole = memoryview(private)
    return [whole[offset : offset + size] for offset, size in zip(offsets, sizes, strict=True)]
