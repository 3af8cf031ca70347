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
COMPARED_BYTES = 1 << 17  # at once: what is read stays in the processor's cache


def places(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Where buffers of these sizes begin, counted from the start of the shelf, and where it ends."""
    offsets = []
    end = 0
    for size in sizes:
        offsets.append(end)
        end += -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return offsets, end


def put(descriptor: int, contents: Sequence[memoryview]) -> int:
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


def holds(descriptor: int, contents: Sequence[memoryview]) -> bool:
    """Whether what lies on the shelf, where these buffers would, is equal to them, byte for byte."""
    offsets, _ = places([len(content) for content in contents])
    scratch = bytearray(COMPARED_BYTES)
    for offset, content in zip(offsets, contents, strict=True):
        for start in range(0, len(content), COMPARED_BYTES):
            piece = content[start : start + COMPARED_BYTES]
            if len(piece) < len(scratch):
                scratch = bytearray(len(piece))
            count = os.preadv(descriptor, [scratch], START + offset + start)
            if count < len(piece) or scratch != piece:
                return False
        scratch = bytearray(COMPARED_BYTES)
    return True


def take(descriptor: int, sizes: Sequence[int]) -> list[memoryview]:
    """The buffers on the shelf: writable, and whoever writes has that page for himself from then on."""
    import mmap

    offsets, end = places(sizes)
    private = mmap.mmap(descriptor, end, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE, offset=START)
    whole = memoryview(private)
    return [whole[offset : offset + size] for offset, size in zip(offsets, sizes, strict=True)]
