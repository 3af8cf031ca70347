"""Parts of a crew's file, mapped: what is copied through a map does not go through the system, which is slower.

That is so once its pages are in place: the first time is not faster, and what is written for the first time is
written by the system, which need not clear the pages before. So a place is written through a map when it had been
written before, and read through one always.

Who looks at a map behind the end of its file gets a SIGBUS. The file is cut off only while no letter is under way; who
writes has it reach far enough first, with memory behind it, and who reads looks whether it does.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap

WINDOW_BYTES = 1 << 28
MOST_WINDOWS = 8  # into one file; up to Python 3.12 each of them keeps a descriptor


class Windows:
    """The windows of one process into the file of one crew."""

    __slots__ = ("_descriptor", "_maps")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._maps: dict[int, mmap | None] = {}

    def read_into(self, content: memoryview, offset: int) -> bool:
        """Fills ``content`` with what stands at ``offset``; whether that could be done."""
        window = self._window_with(offset, len(content))
        if window is None:
            return False
        start = offset % WINDOW_BYTES
        with memoryview(window) as whole:
            content[:] = whole[start : start + len(content)]
        return True

    def bytes_at(self, offset: int, size_bytes: int) -> bytes | None:
        """What stands at ``offset``, or None where that could not be had."""
        window = self._window_with(offset, size_bytes)
        start = offset % WINDOW_BYTES
        return None if window is None else window[start : start + size_bytes]

    def write(self, content: memoryview, offset: int, backed: bool = False) -> bool:
        """Writes ``content`` at ``offset``; whether that could be done. Raises OSError where there is no memory.

        To make sure that there is some takes half as long as to write; who knows says ``backed``.
        """
        window = self._window(offset, len(content))
        if window is None:
            return False
        if not backed:
            os.posix_fallocate(self._descriptor, offset, len(content))
        start = offset % WINDOW_BYTES
        with memoryview(window) as whole:
            whole[start : start + len(content)] = content
        return True

    def _window_with(self, offset: int, size_bytes: int) -> mmap | None:
        """The same if the file reaches as far."""
        reaches_to = os.fstat(self._descriptor).st_size  # as long as no window makes it reach further
        return None if reaches_to < offset + size_bytes else self._window(offset, size_bytes)

    def _window(self, offset: int, size_bytes: int) -> mmap | None:
        """The one that all of this place is in, or None."""
        number = offset // WINDOW_BYTES
        if (offset + size_bytes - 1) // WINDOW_BYTES != number or sys.platform != "linux":
            return None
        if number not in self._maps and len(self._maps) < MOST_WINDOWS:
            self._maps[number] = self._map(number * WINDOW_BYTES)
        return self._maps.get(number)

    def _map(self, start: int) -> mmap | None:
        import mmap

        try:
            os.posix_fallocate(self._descriptor, start + WINDOW_BYTES - 1, 1)  # unlike ftruncate it only adds
            untracked = {"trackfd": False} if sys.version_info >= (3, 13) else {}
            return mmap.mmap(self._descriptor, WINDOW_BYTES, offset=start, **untracked)
        except (OSError, ValueError):  # no descriptor, no room, or somebody has cut it off just now
            return None

    def close(self) -> None:
        """Nobody looks any more."""
        for each in self._maps.values():
            if each is not None:
                each.close()
        self._maps.clear()
