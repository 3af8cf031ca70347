"""Chunks that are ready to travel: any part of one can be sent, and sent again if need be."""

from __future__ import annotations

from allcores.processes import wire
from allcores.tasks.pickling import PROTOCOL, dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allcores.processes.mail import Lease


class Each:
    """Consecutive items as pickles, one behind the other; ``form`` says how a worker is to read them."""

    __slots__ = ("_body", "_leases", "_lengths", "_offsets", "form", "size_bytes")

    def __init__(self, pickles: list[bytes], leases: Sequence[Lease] = ()) -> None:
        self.form = wire.EACH | wire.LETTERS if leases else wire.EACH
        self._leases = leases  # held as long as these may be sent
        self._body = memoryview(b"".join(pickles))
        self._lengths = wire.lengths_of(pickles)
        offsets = [0]
        for each in pickles:
            offsets.append(offsets[-1] + len(each))
        self._offsets = offsets
        self.size_bytes = offsets[-1] + sum(lease.size_bytes for lease in leases)

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

    __slots__ = ("_body", "_count", "_items", "_letter", "form", "size_bytes")

    def __init__(self, body: bytes, count: int, letter: tuple[bytes, Lease] | None = None) -> None:
        self.form = wire.TOGETHER | wire.LETTERS if letter else wire.TOGETHER
        self._body = body
        self._letter = letter
        self._count = count
        self._items: Any = None  # once a part was asked for
        self.size_bytes = len(body)

    def piece(self, start: int, stop: int, head: bytes) -> list[wire.Bytes]:
        """The frame, in parts, that carries items [start, stop) of these."""
        body = self._letter[0] if self._letter else self._body
        if stop - start < self._count:
            if self._items is None:
                self._items = loads(self._body)
            body = dumps(self._items[start:stop], PROTOCOL)
        return [wire.frame_head(wire.PIECE, len(head) + len(body)) + head, body]


class Several:
    """Consecutive chunks of one size, each packed by itself; what is dealt out never reaches over a border."""

    __slots__ = ("_parts", "_size", "form", "size_bytes")

    def __init__(self, parts: Sequence[Each | Together], size: int) -> None:
        self._parts = parts
        self._size = size
        self.form = 0
        for part in parts:
            self.form |= part.form
        self.size_bytes = sum(part.size_bytes for part in parts)

    def piece(self, start: int, stop: int, head: bytes) -> list[wire.Bytes]:
        """The frame, in parts, that carries items [start, stop) of these."""
        number, first = divmod(start, self._size)
        return self._parts[number].piece(first, first + stop - start, head)
