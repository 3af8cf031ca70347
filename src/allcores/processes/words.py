"""A few words of memory that the caller and a crew's workers share.

Line 0 holds the epoch, new with each job and when work is cancelled: a worker ends its piece when the epoch is not
the one the piece was sent in; and how often the memory of the mail was given back (see ``mail``).
Every other line belongs to one worker: [index of the running item + 1, or 0; the monotonic nanoseconds at
which it began; up to where its output was sent, two words (see ``output``); how many of its letters the caller has
read (see ``mail``)]. ``tasks.place`` names the words that tell a worker where it is. The memory has no name in the
file system (Windows: a name that only handles keep alive).
A line is as long as a cache line, so that workers do not slow each other down; a word is written in one go.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys

from allcores.processes.windows import Windows
from allcores.tasks.place import CORES, DREW, INDEX, INNER_THREADS

LINE_WORDS = 8
LINE_BYTES = 8 * LINE_WORDS
MOST_WORKERS = 1024  # at a time
MOST_BYTES = LINE_BYTES * (MOST_WORKERS + 1)


class Words:
    """The words of one crew.

    Attributes:
        view: all words; a worker writes its own line there, without a detour.
        handle: what a child needs to open them: a descriptor (Windows: minus the number of the name).
        windows: into what lies behind them in the same file.
    """

    __slots__ = ("_map", "handle", "view", "windows")

    def __init__(self, handle: int, size_bytes: int = 0) -> None:
        self.handle = handle
        if sys.platform == "win32":  # never run so far: nobody had a Windows machine at hand
            self._map = mmap.mmap(-1, size_bytes, tagname=f"allcores-{-handle}")
        else:
            self._map = mmap.mmap(handle, size_bytes or min(os.fstat(handle).st_size, MOST_BYTES))
        self.view = memoryview(self._map).cast("Q")
        self.windows = Windows(handle)

    @classmethod
    def create(cls, workers: int, room_bytes: int = 0) -> Words:
        """New words for at most ``workers`` workers at a time; the memory behind them, if there is to be any, is
        nothing but addresses until somebody writes there.
        """
        size_bytes = LINE_BYTES * (workers + 1)
        words = cls(nameless(size_bytes), size_bytes)
        if room_bytes > size_bytes:
            with contextlib.suppress(OSError):  # RLIMIT_FSIZE
                os.ftruncate(words.handle, room_bytes)
        return words

    @property
    def epoch(self) -> int:
        """The number of jobs before this one and of times that work was cancelled."""
        return self.view[0]

    def cancel(self) -> None:
        """Begins a new epoch: workers start nothing more of what they were sent before."""
        self.view[0] += 1

    def share(self, inner_threads: int, cores: int) -> None:
        """Says what each worker has for its libraries, and for calls of its own."""
        self.view[INNER_THREADS], self.view[CORES] = inner_threads, cores

    def seat(self, line: int, index: int) -> None:
        """Gives the worker of this line its number in the present job."""
        self.view[line * LINE_WORDS + INDEX] = index + 1

    def drew(self, line: int) -> bool:
        """Whether the worker of this line has drawn from a generator of its process that nobody seeded."""
        return bool(self.view[line * LINE_WORDS + DREW])

    def look(self, line: int) -> tuple[int | None, float]:
        """The item that the worker of this line runs (None: none) and since when, in seconds."""
        word = line * LINE_WORDS
        view = self.view
        while True:  # the worker writes the time first; what is read twice the same belongs together
            running, since = view[word], view[word + 1]
            if view[word] == running:
                return (running - 1 if running else None), since / 1e9

    def clear(self, line: int) -> None:
        """Makes a line ready for its next worker."""
        word = line * LINE_WORDS
        for each in (word, word + 1, word + 2, word + 3, word + 4, word + DREW):
            self.view[each] = 0

    def close(self) -> None:
        """Gives the memory back; later calls do nothing."""
        self.windows.close()
        self.view.release()
        self._map.close()
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def give_back(descriptor: int, start: int, stop: int) -> None:
    """Gives memory of such a file back, whole pages of it; where that is impossible it goes with the file."""
    try:
        with mmap.mmap(descriptor, stop - start, offset=start) as mapped:
            mapped.madvise(mmap.MADV_REMOVE)
    except (AttributeError, OSError, ValueError):
        pass


def nameless(size_bytes: int) -> int:
    """A descriptor of new memory without a name."""
    if sys.platform == "win32":
        return -((os.getpid() << 32) | int.from_bytes(os.urandom(4), "little"))
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("allcores", os.MFD_CLOEXEC)
    else:
        import tempfile

        descriptor, path = tempfile.mkstemp(prefix="allcores-")
        os.unlink(path)
    try:
        os.ftruncate(descriptor, size_bytes)
        return above_standard(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def above_standard(descriptor: int) -> int:
    """The same file under a number above 2, so that a program whose standard files are closed cannot print into it."""
    if descriptor > 2 or sys.platform == "win32":
        return descriptor
    import fcntl

    higher = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return higher
