"""Chunks that are ready to travel: any part of one can be sent, and sent again if need be."""

from __future__ import annotations

from allcores.processes import wire
from allcores.tasks.pickling import PROTOCOL, dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Each:
    """Consecutive items as pickles, one behind the other.

    Attributes:
        definitions: number of the job's definitions that a worker must have before it gets these.
    """

    __slots__ = ("_body", "_lengths", "_offsets", "definitions", "size_bytes")
    form = wire.EACH

    def __init__(self, pickles: list[bytes], definitions: int) -> None:
        self.definitions = definitions
        self._body = memoryview(b"".join(pickles))
        self._lengths = wire.lengths_of(pickles)
        offsets = [0]
        for each in pickles:
            offsets.append(offsets[-1] + len(each))
        self._offsets = offsets
        self.size_bytes = offsets[-1]

    def piece(self, start: int, stop: int, head: bytes) -> list[wire.Bytes]:
        """The frame, in parts, that carries items [start, stop) of these."""
        body = self._body[self._offsets[start] : self._offsets[stop]]
        lengths = self._lengths[8 * start : 8 * stop]
        return [wire.frame_head(wire.PIECE, len(head) + len(lengths) + len(body)) + head + lengths, body]


class Together:
    """Consecutive items as one pickle; a part of them is cut out of what it holds.

    Never out of the items themselves: the user may have changed these meanwhile. Opening such a pickle runs no
    code of the user's, so that it may happen anywhere.
    """

    __slots__ = ("_body", "_count", "_items", "size_bytes")
    form = wire.TOGETHER
    definitions = 0

    def __init__(self, body: bytes, count: int) -> None:
        self._body = body
        self._count = count
        self._items: Any = None  # once a part was asked for
        self.size_bytes = len(body)

    def piece(self, start: int, stop: int, head: bytes) -> list[wire.Bytes]:
        """The frame, in parts, that carries items [start, stop) of these."""
        body = self._body
        if stop - start < self._count:
            if self._items is None:
                self._items = loads(body)
            body = dumps(self._items[start:stop], PROTOCOL)
        return [wire.frame_head(wire.PIECE, len(head) + len(body)) + head, body]
