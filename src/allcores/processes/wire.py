"""Frames: what caller, zygote, templates and workers say to each other.

Rule of this file: bytes in, frames out, no I/O. Both ends run the same Python on the same machine, so numbers
stand in native order. Descriptors travel beside the bytes; a frame only says how many belong to it.
"""

from __future__ import annotations

import struct

from allcores.core.kinds import ERROR as ERROR
from allcores.core.kinds import NODE as NODE
from allcores.core.kinds import STRANDED as STRANDED
from allcores.core.kinds import VALUES as VALUES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    Bytes = bytes | bytearray | memoryview
    Frame = tuple[int, int, int, bytes | bytearray]  # kind, number, descriptors, body
    Run = tuple[int, int, int, bool, int]  # start, stop, kind, retryable, bodies

# To the zygote and to templates.
TEMPLATE = 1  # fork a template; descriptors: its channel, the words
SETUP = 2  # the caller's world and the function (number 1: load it only after the fork)
WORKER = 3  # fork worker `number`; descriptor: its channel
KILL = 4  # kill worker `number`
# From templates.
READY = 5  # the function is loaded (from a worker: it can run items; from a zygote: its imports are done)
THREADED = 6  # loading has started threads: fork first, then load
FAILED = 7  # the function cannot be loaded: the exception
BORN = 8  # worker `number` lives; body: its pid; descriptor, where there is such a thing: its pidfd
DIED = 9  # worker `number` is dead; body: its wait status and, if it never lived, the reason
ENDED = 10  # the template itself is dead, says the zygote; body: its wait status
# Between caller and worker.
DEFINITIONS = 11  # classes and functions of the caller's __main__
PIECE = 12  # items to run
DONE = 13  # what became of items

OUTPUT = 14  # what items have printed that the next DONE tells of

VALUES_OF_GLOBALS = 1  # the number of a DEFINITIONS frame: values of globals of the user's modules

LAST_KIND = OUTPUT
MAGIC = 0xAC
LIMIT_BYTES = 1 << 40
SCRATCH_BYTES = 1 << 16

HEADER = struct.Struct("=BBBxIQ")  # magic, kind, descriptors, number, length of the body
STATUS = struct.Struct("=i")
PID = struct.Struct("=i")
PIECE_HEAD = struct.Struct("=QQQ?B")  # first index, behind the last index, epoch, timed, form
DONE_HEAD = struct.Struct(
    "=dd??I"
)  # wall seconds, thread CPU seconds, last, letters among it, number of runs
RUN = struct.Struct("=QQB?I")  # first index, behind the last index, kind, retryable, number of bodies
SETUP_HEAD = struct.Struct(
    "=QQ?I"
)  # lengths of world and function; whether the buffers are shelved; how many

# The forms of a piece. Values that are reported have the same two: as many bodies as items, or one for all.
EACH = 0  # a pickle of each item, behind their lengths
TOGETHER = 1  # one pickle of all: a list or a range
LETTERS = 2  # added to the form: instead of pickles there may be letters (see ``mail``)


class BrokenStream(Exception):
    """These bytes are no frames.

    Attributes:
        frames: those that stand before them.
    """

    def __init__(self, message: str, frames: Sequence[Frame] = ()) -> None:
        super().__init__(message)
        self.frames = [*frames]


def frame(kind: int, number: int = 0, body: Bytes = b"", descriptors: int = 0) -> bytes:
    """One whole frame as bytes."""
    return HEADER.pack(MAGIC, kind, descriptors, number, len(body)) + body


def frame_head(kind: int, size_bytes: int, number: int = 0) -> bytes:
    """What precedes a body of so many bytes that follows."""
    return HEADER.pack(MAGIC, kind, 0, number, size_bytes)


class Decoder:
    """Turns a stream of bytes into frames, however it was cut.

    Fill ``room()`` with some bytes, then tell ``filled`` how many. Large bodies are written straight into a
    buffer of their own.
    """

    __slots__ = ("_body", "_body_filled", "_body_head", "_end", "_scratch", "_view")

    def __init__(self) -> None:
        self._scratch = bytearray(SCRATCH_BYTES)
        self._view = memoryview(self._scratch)
        self._end = 0
        self._body: bytearray | None = None
        self._body_filled = 0
        self._body_head = (0, 0, 0)

    @property
    def pending(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._end > 0 or self._body is not None

    @property
    def large(self) -> bool:
        """Whether a large body is on its way."""
        return self._body is not None

    def room(self) -> memoryview:
        """Where the next bytes of the stream belong."""
        if self._body is not None:
            return memoryview(self._body)[self._body_filled :]
        return self._view[self._end :]

    def filled(self, count: int) -> list[Frame]:
        """Takes note of ``count`` bytes in the room; returns the frames that are complete now."""
        if self._body is None:
            self._end += count
            return self._cut()
        self._body_filled += count
        if self._body_filled < len(self._body):
            return []
        kind, number, descriptors = self._body_head
        body, self._body = self._body, None
        return [(kind, number, descriptors, body)]

    def feed(self, data: Bytes) -> list[Frame]:
        """Takes any bytes; the convenient way in, for those who do not read into ``room()``."""
        frames: list[Frame] = []
        rest = memoryview(data)
        while rest:
            room = self.room()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            frames += self.filled(count)
            rest = rest[count:]
        return frames

    def _cut(self) -> list[Frame]:
        frames: list[Frame] = []
        start, end, view = 0, self._end, self._view
        while end - start >= 16:
            magic, kind, descriptors, number, length = HEADER.unpack_from(view, start)
            if magic != MAGIC or not 0 < kind <= LAST_KIND or length > LIMIT_BYTES:
                text = f"no frame begins with {bytes(view[start : start + 16]).hex(' ')}"
                raise BrokenStream(text, frames)
            body_start = start + 16
            if length > end - body_start:
                if length > SCRATCH_BYTES - 16:
                    self._begin_large((kind, number, descriptors), length, view[body_start:end])
                    start = end
                break
            frames.append((kind, number, descriptors, bytes(view[body_start : body_start + length])))
            start = body_start + length
        if start:
            view[: end - start] = view[start:end]
            self._end = end - start
        return frames

    def _begin_large(self, head: tuple[int, int, int], length: int, begun: memoryview) -> None:
        try:
            self._body = bytearray(length)
        except MemoryError:
            raise BrokenStream(f"no memory for a frame of {length} bytes") from None
        self._body[: len(begun)] = begun
        self._body_filled = len(begun)
        self._body_head = head


def setup_parts(
    world: bytes, function: bytes, buffers: Sequence[Bytes] = (), shelved: bool = False
) -> list[Bytes]:
    """The body of a SETUP frame; buffers that are shelved travel otherwise, and only their lengths in here.

    Not in one piece, since what a function carries may be large.
    """
    head = SETUP_HEAD.pack(len(world), len(function), shelved, len(buffers))
    return [head + lengths_of(buffers), world, function, *(() if shelved else buffers)]


def setup_frame(number: int, parts: list[Bytes]) -> list[Bytes]:
    """The frame around it."""
    return [frame_head(SETUP, sum(map(len, parts)), number), *parts]


def open_setup(body: Bytes) -> tuple[bytes, bytes, Sequence[int], list[Any] | None]:
    """World, function, and the lengths of the buffers in a SETUP frame; and these, unless they are shelved."""
    world_bytes, function_bytes, shelved, count = SETUP_HEAD.unpack_from(body)
    lengths = struct.unpack_from(f"={count}Q", body, SETUP_HEAD.size)
    start = SETUP_HEAD.size + 8 * count
    parts = []
    for length in (world_bytes, function_bytes, *(() if shelved else lengths)):
        parts.append(memoryview(body)[start : start + length])
        start += length
    world, function, *buffers = parts
    return bytes(world), bytes(function), lengths, None if shelved else [bytearray(each) for each in buffers]


def lengths_of(bodies: Sequence[Bytes]) -> bytes:
    """The lengths of several bodies, as they precede them on the wire."""
    return struct.pack(f"={len(bodies)}Q", *map(len, bodies))


def done_head(
    wall_seconds: float,
    cpu_seconds: float,
    last: bool,
    letters: bool,
    runs: Iterable[Run],
    bodies: Sequence[Bytes],
) -> bytes:
    """A DONE frame up to where its bodies begin."""
    packed = [RUN.pack(*run) for run in runs]
    head = DONE_HEAD.pack(wall_seconds, cpu_seconds, last, letters, len(packed))
    content = b"".join((head, *packed, lengths_of(bodies)))
    return frame_head(DONE, len(content) + sum(map(len, bodies))) + content


def open_done(body: bytes | bytearray) -> tuple[float, float, bool, bool, list[tuple[Run, list[memoryview]]]]:
    """Wall seconds, CPU seconds, last, letters, and each run with its bodies. The bodies are not opened."""
    wall_seconds, cpu_seconds, last, letters, count = DONE_HEAD.unpack_from(body)
    runs: list[Run] = []
    position = DONE_HEAD.size
    for _ in range(count):
        runs.append(RUN.unpack_from(body, position))
        position += RUN.size
    total = sum(run[4] for run in runs)
    lengths = struct.unpack_from(f"={total}Q", body, position)
    position += 8 * total
    view = memoryview(body)
    opened = []
    index = 0
    for run in runs:
        bodies = []
        for length in lengths[index : index + run[4]]:
            bodies.append(view[position : position + length])
            position += length
        index += run[4]
        opened.append((run, bodies))
    return wall_seconds, cpu_seconds, last, letters, opened
