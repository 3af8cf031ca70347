"""Mail: large buffers and large pickles travel through a file in memory; a channel carries only their places.

The file is the one that holds the crew's words: it has no name, and all workers have it open already, so mail
costs no descriptor. It is sparse. Behind the words and what workers print lies the caller's area, for items; then
one area for each worker, for results. An area is written by one side only, and its places are used again and
again, since fresh memory costs many times the copy.

It is copied through windows (see ``windows``) where that is faster, else with `pread` and `pwrite`; either way memory
that cannot be had is an error of the write, and the content then goes through the channel; what was cut off is a
short read. The receiver reads into memory of its own, so arrays are writable and nothing outlives a message. A place
of the caller's is let as long as the chunk may have to be sent again; a place of a worker's until the caller has
counted the letter as read.
"""

from __future__ import annotations

import os
import struct
import sys
from collections import deque

try:
    from _pickle import PickleBuffer
except ImportError:  # an interpreter whose pickle is written in Python
    from pickle import PickleBuffer

from allcores.processes import shelf
from allcores.processes.wire import BrokenStream
from allcores.processes.words import LINE_WORDS, give_back
from allcores.tasks.pickling import loads, loads_slotted
from allcores.tasks.plain import LARGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allcores.processes.wire import Bytes, Run
    from allcores.processes.words import Words

LARGE_PICKLE_BYTES = 1 << 20  # smaller ones ride in the frame
MOST_UNREAD_BYTES = 1 << 27  # of a worker's letters; what is more waits in the channel until the caller reads
KEPT_BYTES = 1 << 26  # of memory, by a crew that is idle
CALLER_AREA = shelf.START  # or behind what is on the shelf
WORKER_AREAS = 1 << 53
WORKER_AREA_BYTES = 1 << 36
SMALLEST_PLACE_BYTES = 1 << 16
READ_WORD = 4  # of a worker's line: how many of its letters the caller has read
CUT_WORD = 3  # of line 0: how many times the memory behind all places was given back

LETTER = 0  # a letter's first byte; a pickle's is 0x80
HEAD = struct.Struct("=B?I")  # LETTER, whether the pickle is in the first place, number of places
PLACE = struct.Struct("=QQ?")  # offset, size in bytes, whether it is an object of type bytes


class Torn(BrokenStream):
    """A letter names a place where there is less than it says."""


class Area:
    """Places in one side's part of the file; what is let and what is free, no I/O.

    A place has room for a power of two: that costs addresses and no memory.
    """

    def __init__(self, start: int, stop: int) -> None:
        self._start = self._top = self._used = start
        self._stop = stop
        self._let: dict[int, int] = {}  # offset: room
        self._free: dict[int, list[int]] = {}  # room: offsets
        self._filled: dict[int, int] = {}  # offset: bytes with memory behind them
        self.let_bytes = 0

    def let(self, size_bytes: int) -> int | None:
        """The offset of a place that nobody has; the one that was used last where there is a choice."""
        room = max(SMALLEST_PLACE_BYTES, 1 << (size_bytes - 1).bit_length())
        free = self._free.get(room)
        if free:
            offset = free.pop()
        else:
            offset = self._top
            if offset + room > self._stop:
                return None
            self._top += room
        self._let[offset] = room
        self.let_bytes += room
        return offset

    def was_used(self, offset: int) -> bool:
        """Whether this place, which is let, had been let before; from now on it has."""
        end = offset + self._let[offset]
        before, self._used = self._used, max(self._used, end)
        return end <= before

    def is_filled(self, offset: int, size_bytes: int) -> bool:
        """Whether it is certain that there is memory behind so much of a place."""
        return self._filled.get(offset, 0) >= size_bytes

    def filled(self, offset: int, size_bytes: int) -> None:
        """So much of a place was written."""
        self._filled[offset] = max(size_bytes, self._filled.get(offset, 0))

    def emptied(self) -> None:
        """The memory behind all places was given back."""
        self._used = self._start
        self._filled.clear()

    def give_back(self, offset: int) -> None:
        """The place may be used again."""
        room = self._let.pop(offset)
        self.let_bytes -= room
        self._free.setdefault(room, []).append(offset)
        if not self._let:
            self._top = self._start
            self._free.clear()


class Letter:
    """A pickle and its large buffers, received: all in private memory."""

    __slots__ = ("_buffers", "_pickle")

    def __init__(self, pickle: Any, buffers: list[Any]) -> None:
        self._pickle = pickle
        self._buffers = buffers

    def __len__(self) -> int:
        return len(self._pickle) + sum(map(len, self._buffers))

    def open(self) -> Any:
        """The object. Only once: it lives in these buffers."""
        try:
            return loads(self._pickle, buffers=self._buffers)
        except AttributeError:
            return loads_slotted(self._pickle, self._buffers)


class Aside:
    """Collects the large buffers of what is being pickled; small ones stay in the pickle."""

    __slots__ = ("buffers",)

    def __init__(self) -> None:
        self.buffers: list[memoryview] = []

    def __call__(self, buffer: Any) -> bool:
        """Whether the buffer stays in the pickle, as pickle asks."""
        try:
            raw = buffer.raw()
        except BufferError:  # not in one piece
            return True
        if raw.nbytes < LARGE_BYTES:
            return True
        self.buffers.append(raw)
        return False

    def beside(self, value: Any) -> Any:
        """What is to be pickled for a value: large bytes are a buffer, which arrives as bytes."""
        return PickleBuffer(value) if type(value) is bytes and len(value) >= LARGE_BYTES else value


def is_possible() -> bool:
    """Whether there are files in memory here: without, everything goes through the channels."""
    return hasattr(os, "memfd_create") and hasattr(os, "preadv")


def is_letter(body: Bytes) -> bool:
    """Whether this is a letter and not a pickle."""
    return body[0] == LETTER


def wants_letter(pickle: bytes, buffers: Sequence[memoryview]) -> bool:
    """Whether this should not go through a channel."""
    return bool(buffers) or len(pickle) >= LARGE_PICKLE_BYTES


def write(words: Words, area: Area, pickle: bytes, buffers: Sequence[memoryview]) -> tuple[bytes, list[int]]:
    """The letter, and the places that it needs. Raises OSError when these cannot be had."""
    large = len(pickle) >= LARGE_PICKLE_BYTES
    contents: list[Any] = [pickle, *buffers] if large else list(buffers)
    offsets: list[int] = []
    head = [HEAD.pack(LETTER, large, len(contents))]
    try:
        for content in contents:
            offset = area.let(len(content))
            if offset is None:
                raise OSError("there is no room for more mail")
            offsets.append(offset)
            memory = memoryview(content)
            head.append(PLACE.pack(offset, len(memory), type(memory.obj) is bytes))
            _write(words, area, memory, offset)
            area.filled(offset, len(memory))
    except BaseException:
        for offset in offsets:
            area.give_back(offset)
        raise
    return b"".join(head) + (b"" if large else pickle), offsets


def _write(words: Words, area: Area, content: memoryview, offset: int) -> None:
    backed = area.is_filled(offset, len(content))
    if area.was_used(offset) and words.windows.write(content, offset, backed):
        return
    while content:
        count = os.pwrite(words.handle, content, offset)
        content = content[count:]
        offset += count


def read(words: Words, letter: Bytes) -> Letter:
    """The letter's content, in private memory. Raises Torn."""
    _, large, count = HEAD.unpack_from(letter)
    contents = []
    for number in range(count):
        offset, size_bytes, is_bytes = PLACE.unpack_from(letter, HEAD.size + PLACE.size * number)
        contents.append((_read_bytes if is_bytes else _read)(words, offset, size_bytes))
    if large:
        return Letter(contents[0], contents[1:])
    return Letter(memoryview(letter)[HEAD.size + PLACE.size * count :], contents)


def _read(words: Words, offset: int, size_bytes: int) -> memoryview:
    empty = getattr(sys.modules.get("numpy"), "empty", None)  # unlike a bytearray it is not cleared first
    content = rest = memoryview(bytearray(size_bytes) if empty is None else empty(size_bytes, "u1"))
    if words.windows.read_into(content, offset):
        return content
    while rest:
        count = os.preadv(words.handle, [rest], offset)
        if not count:
            raise Torn(f"{len(rest)} bytes of a letter are missing")
        rest = rest[count:]
        offset += count
    return content


def _read_bytes(words: Words, offset: int, size_bytes: int) -> bytes:
    content = words.windows.bytes_at(offset, size_bytes)
    return bytes(_read(words, offset, size_bytes)) if content is None else content


def worker_area(line: int) -> tuple[int, int]:
    """Where the area of the worker of this line begins and ends."""
    start = WORKER_AREAS + line * WORKER_AREA_BYTES
    return start, start + WORKER_AREA_BYTES


class Outbox:
    """A worker's side: letters that hold results."""

    def __init__(self, words: Words, line: int) -> None:
        self._words = words
        self._read_word = line * LINE_WORDS + READ_WORD
        self._area = Area(*worker_area(line))
        self._cuts = words.view[CUT_WORD]
        self._unread: deque[tuple[int, list[int]]] = deque()  # number of the letter, its places
        self._written = 0

    def post(self, pickle: bytes, buffers: Sequence[memoryview]) -> bytes | None:
        """A letter, or None where it cannot be had now."""
        self._take_back()
        if self._cuts != (cuts := self._words.view[CUT_WORD]):
            self._cuts = cuts
            self._area.emptied()
        size_bytes = len(pickle) + sum(map(len, buffers))
        if self._unread and self._area.let_bytes + size_bytes > MOST_UNREAD_BYTES:
            return None
        try:
            letter, offsets = write(self._words, self._area, pickle, buffers)
        except OSError:
            return None
        self._written += 1
        self._unread.append((self._written, offsets))
        return letter

    def _take_back(self) -> None:
        have_been_read = self._words.view[self._read_word]
        while self._unread and self._unread[0][0] <= have_been_read:
            for offset in self._unread.popleft()[1]:
                self._area.give_back(offset)


class Lease:
    """Places of the caller's, let until nobody holds this any more."""

    __slots__ = ("_offsets", "_returned", "size_bytes")

    def __init__(self, offsets: list[int], size_bytes: int, returned: deque[int]) -> None:
        self._offsets = offsets
        self._returned = returned
        self.size_bytes = size_bytes

    def __del__(self) -> None:
        self._returned.extend(self._offsets)


class Mail:
    """The caller's side: letters that hold items, and letters of workers that are to be read."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._area = Area(CALLER_AREA, WORKER_AREAS)
        self._start = os.fstat(words.handle).st_size if is_possible() else 0  # of what may be cut off
        self._shelf_bytes = 0
        self._returned: deque[int] = deque()  # filled by whatever thread drops a lease, at any moment

    def shelve(self, contents: Sequence[memoryview]) -> bool:
        """Puts onto the shelf what all workers will have; whether that could be done. Before any mail."""
        if not contents:
            return False
        try:
            self._start = shelf.put(self._words.handle, contents)
        except OSError:
            self.discard()
            return False
        self._shelf_bytes = self._start - shelf.START
        self._area = Area(self._start, WORKER_AREAS)
        return True

    def has_shelved(self, contents: Sequence[memoryview]) -> bool:
        """Whether this, and nothing else, is what all workers have."""
        if not self._shelf_bytes:
            return not contents
        return shelf.holds(self._words.handle, contents)

    def post(self, pickle: bytes, buffers: Sequence[memoryview]) -> tuple[bytes, Lease] | None:
        """A letter, or None where it cannot be had. By one thread at a time, and not once the words are closed."""
        while self._returned:
            self._area.give_back(self._returned.popleft())
        try:
            letter, offsets = write(self._words, self._area, pickle, buffers)
        except OSError:
            return None
        return letter, Lease(offsets, len(pickle) + sum(map(len, buffers)), self._returned)

    def receive(
        self, line: int, runs: Sequence[tuple[Run, Sequence[memoryview]]]
    ) -> list[tuple[Run, list[memoryview | Letter]]]:
        """What a worker reports, with the letters among it read. Raises Torn."""
        received = []
        count = 0
        for run, bodies in runs:
            received.append((run, [read(self._words, body) if is_letter(body) else body for body in bodies]))
            count += sum(map(is_letter, bodies))
        self._words.view[line * LINE_WORDS + READ_WORD] += count
        return received

    def shrink(self) -> None:
        """Gives back memory while no letter is under way, if it is much."""
        if is_possible() and os.fstat(self._words.handle).st_blocks * 512 > KEPT_BYTES + self._shelf_bytes:
            self.discard()

    def discard(self) -> None:
        """Gives back all memory, whoever else holds the file open."""
        if is_possible():
            self._words.view[CUT_WORD] += 1
            self._area.emptied()
            os.ftruncate(self._words.handle, self._start)

    def bury(self, line: int) -> None:
        """Gives back the memory of a worker that has died."""
        if not is_possible():
            return
        start, stop = worker_area(line)
        stop = min(stop, os.fstat(self._words.handle).st_size)
        if start < stop:
            give_back(self._words.handle, start, stop)
