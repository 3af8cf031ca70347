"""The caller's end of a socketpair: never blocks.

What the socket does not take is queued and goes out with ``flush``, when a selector says that there is room.
"""

from __future__ import annotations

import os
import sys
from collections import deque

from allcores.processes.words import above_standard

if sys.platform == "win32":  # never run so far
    import socket as sockets
else:
    import _socket as sockets

from allcores.processes.wire import BrokenStream, Decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.processes.wire import Bytes, Frame

MOST_READS = 64  # in a row, of one large body: others want to be heard too
JOIN_BYTES = 1 << 16


def pair() -> tuple[Any, Any]:
    """The two ends of a new channel, under descriptors above those of the standard files."""
    ours, theirs = sockets.socketpair()
    return _above_standard(ours), _above_standard(theirs)


def _above_standard(sock: Any) -> Any:
    if sock.fileno() > 2:
        return sock
    return sockets.socket(sock.family, sock.type, sock.proto, above_standard(sock.detach()))


class Channel:
    """One end: frames in, bytes out.

    Attributes:
        ended: whether everything that the other side has sent was read, and it is gone.
        broken: whether it is known to be gone; something may still be there to read.
        descriptors: those that came and were not taken yet.
    """

    __slots__ = ("_decoder", "_outbox", "_socket", "broken", "descriptors", "ended")

    def __init__(self, sock: Any) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._decoder = Decoder()
        self._outbox: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self.ended = self.broken = False
        self.descriptors: list[int] = []

    def fileno(self) -> int:
        """The descriptor, as selectors want it."""
        number: int = self._socket.fileno()
        return number

    def send(self, parts: list[Bytes], descriptors: tuple[int, ...] = ()) -> bool:
        """Sends, or queues; returns whether all is out. The descriptors go with the first byte."""
        size = sum(map(len, parts))
        if len(parts) > 1 and size <= JOIN_BYTES:
            parts = [b"".join(parts)]
        if self.broken:
            return True
        if not self._outbox and not descriptors and len(parts) == 1:
            try:
                sent = self._socket.send(parts[0])
            except BlockingIOError:
                sent = 0
            except OSError:
                self.broken = True
                return True
            if sent == size:
                return True
            self._outbox.append((memoryview(parts[0])[sent:], ()))
            return False
        for number, part in enumerate(parts):
            self._outbox.append((memoryview(part).cast("B"), descriptors if number == 0 else ()))
        return self.flush()

    def flush(self) -> bool:
        """Sends what is queued, as far as there is room; returns whether all is out."""
        outbox = self._outbox
        while outbox and not self.broken:
            data, descriptors = outbox[0]
            try:
                if descriptors:
                    rights = b"".join(each.to_bytes(4, sys.byteorder) for each in descriptors)
                    sent = self._socket.sendmsg([data], [(sockets.SOL_SOCKET, sockets.SCM_RIGHTS, rights)])
                else:
                    sent = self._socket.send(data)
            except BlockingIOError:
                return False
            except OSError:
                self.broken = True
                break
            if sent == len(data):
                outbox.popleft()
            else:
                outbox[0] = (data[sent:], ())
        if self.broken:
            outbox.clear()
        return True

    def receive(self) -> list[Frame]:
        """The frames that have come. Raises BrokenStream."""
        frames: list[Frame] = []
        decoder = self._decoder
        for _ in range(MOST_READS):
            try:
                count = self._socket.recv_into(decoder.room())
            except BlockingIOError:
                break
            except OSError:
                count = 0
            if not count:
                self.ended = self.broken = True
                break
            self._decode(count, frames)
            if not decoder.large:
                break
        return frames

    def receive_with_descriptors(self) -> list[Frame]:
        """Like ``receive``, from a side that sends descriptors too."""
        try:
            count, messages, _, _ = self._socket.recvmsg_into(
                [self._decoder.room()], sockets.CMSG_SPACE(4 * 32), sockets.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return []
        except OSError:
            count, messages = 0, []
        for level, kind, data in messages:
            if level == sockets.SOL_SOCKET and kind == sockets.SCM_RIGHTS:
                for start in range(0, len(data) - 3, 4):
                    descriptor = int.from_bytes(data[start : start + 4], sys.byteorder)
                    self.descriptors.append(above_standard(descriptor))
        if not count:
            self.ended = self.broken = True
            return []
        return self._decoder.filled(count)

    def drain(self) -> list[Frame]:
        """Everything that has come, up to the end or to where nothing more is there."""
        frames: list[Frame] = []
        while not self.ended:
            try:
                count = self._socket.recv_into(self._decoder.room())
            except BlockingIOError:
                break
            except OSError:
                count = 0
            if not count:
                self.ended = self.broken = True
                break
            self._decode(count, frames)
        return frames

    def _decode(self, count: int, frames: list[Frame]) -> None:
        """Adds the frames that are complete now."""
        try:
            frames += self._decoder.filled(count)
        except BrokenStream as error:
            error.frames = frames + error.frames
            raise

    def close(self) -> None:
        """Closes this end; what is queued is lost."""
        self.ended = self.broken = True
        self._outbox.clear()
        self._socket.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()
