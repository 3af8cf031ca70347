"""What a worker and its children write to descriptors 1 and 2, by whatever means: for whom, and where to.

Both descriptors lead into memory that the caller has too, behind the words of the crew: each worker has one region
for each of the two. So nothing is lost when a worker is killed, and no pipe can ever be full. Before each report
the worker cuts off what was written since, says whose it is, and sends it along; where nobody writes this costs
two looks at an offset for a report and nothing for an item.

Python's own writes know their item. All others (C code, subprocesses) belong to the item that ran when they are
noticed: in the first items of a worker, and ever after in one that has seen such writes, that is after each item;
else with the next report.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import mmap
import os
import struct
import sys

from allcores.processes import child
from allcores.processes.words import LINE_WORDS, MOST_WORKERS, give_back, nameless
from allcores.tasks import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from allcores.core.events import Printed
    from allcores.processes.words import Words

REGION_BYTES = 1 << 38  # of addresses; memory is taken by what is written and given back once it is sent
SENT_WORD = 2  # of a line: up to where its worker has cut, for descriptor 1; the next one for descriptor 2
LAST_BYTES = 4096
KEPT_BYTES = 1 << 20  # that were sent and are not given back yet
FIRST_ITEMS = 32
PART = struct.Struct("=qBQ")  # index, descriptor or kind of a notice, length

# -- the worker's side --------------------------------------------------------------------------------


class Capture:
    """Takes over descriptors 1 and 2, ``sys.stdout`` and ``sys.stderr`` of this process, until it ends, and what is
    logged and warned of.

    Attributes:
        item: the running item + 1 for which Python wrote last; 0: nobody has since the last cut.
        number: the descriptor it wrote to.
        python_bytes: how much Python has written since the last cut.
    """

    def __init__(self, words: Words, line: int) -> None:
        self.words: memoryview | None = words.view
        self._handle, self._line = words.handle, line
        self._word = line * LINE_WORDS
        self.item = self.number = self.python_bytes = 0
        self._parts: list[
            tuple[int, int, bytes | tuple[int, int]]
        ] = []  # index, number, what or from where to where
        self._watched_items = FIRST_ITEMS
        self._end_notices: Callable[[], object] = bool

    def follow_notices(self) -> None:
        """From now on keeps what is logged and warned of."""
        if sys.platform != "win32":
            self._end_notices = notices.begin(self.tell)

    def take_over(self) -> None:
        """From now on keeps what is written."""
        if sys.platform == "win32":  # there is no pread: what is written is seen at once, in no order
            self.words, self._watched_items = None, 0
            return
        self._files, self._shared = _open(self._handle, self._line)
        self._ends = [os.lseek(file, 0, os.SEEK_CUR) for file in self._files]
        self._kept_from = list(self._ends)
        self._note_ends()
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            if stream is not None:
                stream.flush()
            os.dup2(self._files[number - 1], number)
        sys.stdout = sys.__stdout__ = Output(self, 1, sys.stdout)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = Output(self, 2, sys.stderr)  # type: ignore[misc]
        child.write_c_output_at_once()
        _tell_stacks(self._files[1])

    def running(self) -> int:
        """The item that runs now + 1; 0: none, or this is a fork of the worker."""
        return self.words[self._word] if self.words is not None else 0

    def cut(self, index: int) -> None:
        """What was written since the last cut was for the item for which Python wrote, or else for this one."""
        index = self.item - 1 if self.item else index
        grown = 0
        for place, file in enumerate(self._files):
            end, before = os.lseek(file, 0, os.SEEK_CUR), self._ends[place]
            if end > before:
                self._parts.append((index, place + 1, (before, end)))
                grown += end - before
            self._ends[place] = end
        if grown > self.python_bytes:
            self._watched_items = sys.maxsize
        self.item = self.python_bytes = 0
        self._note_ends()

    def tell(self, kind: int, body: bytes) -> None:
        """What an item has logged or warned of stands between what it has printed."""
        item = self.running()
        if item:
            with contextlib.suppress(OSError):  # as below
                self.cut(item - 1)
        self._parts.append((item - 1, kind, body))

    def watched(self, run: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The function, followed by a cut where others than Python may have written."""
        if self._watched_items <= 0:
            return run

        def run_and_cut(item: Any) -> Any:
            try:
                return run(item)
            finally:
                if self._watched_items > 0:
                    self._watched_items -= 1
                    with contextlib.suppress(OSError):  # it has closed what was not its own: see ``take``
                        self.cut(self.running() - 1)

        return run_and_cut

    def take(self, index: int) -> bytes:
        """What was written since the last report, ready to be sent; the last item of this report is ``index``.

        Nothing where an item has closed these files: then it has closed the channel as well, and that will tell.
        """
        try:
            if self.words is None or not (self._parts or self._has_grown()):
                return b""
            self.cut(index)
        except OSError:
            return b""
        if not self._parts:
            return b""
        pieces: list[bytes] = []
        parts, self._parts = self._parts, []
        for whose, number, said in parts:
            data = said if isinstance(said, bytes) else self._read(number, *said)
            pieces += (PART.pack(whose, number, len(data)), data)
        for place in (0, 1):
            if self._ends[place] - self._kept_from[place] > KEPT_BYTES:
                self._give_back(place)
        return b"".join(pieces)

    def _read(self, number: int, start: int, end: int) -> bytes:
        return os.pread(self._files[number - 1], end - start, start)

    def _has_grown(self) -> bool:
        (first, second), (first_end, second_end) = self._files, self._ends
        look, here = os.lseek, os.SEEK_CUR
        return look(first, 0, here) != first_end or look(second, 0, here) != second_end

    def _give_back(self, place: int) -> None:
        file, end = self._files[place], self._ends[place]
        if self._shared:
            end -= end % mmap.PAGESIZE
            give_back(file, self._kept_from[place], end)
            self._kept_from[place] = end
        else:
            os.ftruncate(file, 0)
            self._ends[place] = self._kept_from[place] = os.lseek(file, 0, os.SEEK_SET)

    def _note_ends(self) -> None:
        if self._shared and self.words is not None:
            first = self._word + SENT_WORD
            self.words[first], self.words[first + 1] = self._ends

    def let_go(self) -> None:
        """In a fork that the user's function made: what it writes counts as the worker's."""
        self.words = None
        self._end_notices()


class Output(io.TextIOWrapper):
    """``sys.stdout`` or ``sys.stderr`` of a worker: written at once, and known whose it is."""

    def __init__(self, capture: Capture, number: int, before: Any) -> None:
        raw = io.FileIO(number, "w", closefd=False)
        raw.name = ("<stdout>", "<stderr>")[number - 1]
        errors = getattr(before, "errors", None) or "backslashreplace"
        super().__init__(raw, "utf-8", errors, "\n", write_through=True)
        self._capture = capture
        self._number = number

    def write(self, text: str, /) -> int:
        """Like every other stream's."""
        capture = self._capture
        item = capture.running()
        if item != capture.item or self._number != capture.number:
            if item:
                capture.cut(item - 1)
            capture.item, capture.number = item, self._number
        count = super().write(text)
        capture.python_bytes += (
            count if text.isascii() else len(text.encode("utf-8", self.errors or "strict"))
        )
        return count


def _open(handle: int, line: int) -> tuple[list[int], bool]:
    """Two files with offsets of their own, and whether the caller has them too."""
    try:
        if os.fstat(handle).st_size >= _base(line, 3):
            return [_region(handle, line, number) for number in (1, 2)], True
    except OSError:
        pass  # no /proc
    return [nameless(0), nameless(0)], False


def _region(handle: int, line: int, number: int) -> int:
    file = os.open(f"/proc/self/fd/{handle}", os.O_RDWR | os.O_CLOEXEC)
    os.lseek(file, _base(line, number), os.SEEK_SET)
    return file


def _tell_stacks(file: int) -> None:
    """A crash, and who stops this worker for a timeout, leave the Python stack in its last words."""
    if not faulthandler.is_enabled():
        faulthandler.enable(file)
    if STACK_SIGNAL:
        faulthandler.register(STACK_SIGNAL, file, all_threads=False)


def _stack_signal() -> int:
    import _signal  # type: ignore[import-not-found]

    last = getattr(_signal, "SIGRTMAX", 0)
    return (
        last - 5 if last else 0
    )  # of those that nobody uses; a program that the function starts has it no more


STACK_SIGNAL: int = _stack_signal()

# -- both sides ---------------------------------------------------------------------------------------


def room_bytes() -> int:
    """The size of the memory that holds words and regions; 0 where there is no such memory."""
    return _base(MOST_WORKERS, 3) if hasattr(os, "memfd_create") else 0


def _base(line: int, number: int) -> int:
    """Where a region begins; with number 3, where the second one ends."""
    return (2 * line + number - 1) * REGION_BYTES


# -- the caller's side --------------------------------------------------------------------------------


def open_output(body: bytes | bytearray) -> list[Printed]:
    """What a worker has sent."""
    printed: list[Printed] = []
    position = 0
    while position < len(body):
        index, number, length = PART.unpack_from(body, position)
        position += PART.size
        printed.append((index, number, bytes(body[position : position + length])))
        position += length
    return printed


def last_words(words: Words, line: int) -> str:
    """The end of what a worker has written and not sent, from the item that it ran: 4 KB, first descriptor 1."""
    errors = _unsent(words, line, 2)[-LAST_BYTES:]
    output = (
        _unsent(words, line, 1)[-(LAST_BYTES - len(errors)) or LAST_BYTES :]
        if len(errors) < LAST_BYTES
        else b""
    )
    return _without_our_frames((output + errors).decode(errors="replace"))


def discard(words: Words, line: int) -> None:
    """A worker is gone: its regions are empty again."""
    if os.name == "posix" and os.fstat(words.handle).st_size >= _base(line, 3):
        give_back(words.handle, _base(line, 1), _base(line, 3))


def _unsent(words: Words, line: int, number: int) -> bytes:
    start = words.view[line * LINE_WORDS + SENT_WORD + number - 1]
    if not start:
        return b""
    try:
        end = os.lseek(words.handle, start, os.SEEK_HOLE)
        begin = max(start, end - LAST_BYTES - mmap.PAGESIZE)
        return os.pread(words.handle, end - begin, begin).rstrip(b"\0")
    except OSError:
        return b""


def _without_our_frames(text: str) -> str:
    ours = f'  File "{os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}{os.sep}'
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(ours))
