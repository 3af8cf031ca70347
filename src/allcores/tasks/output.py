"""What items print in this process: held back, where it would come out of turn, until their result is delivered.

While items run whose output is to be kept, the ``write`` of the streams that are ``sys.stdout`` and ``sys.stderr``
is replaced, on the object itself: whoever holds the stream (a logging handler) goes the same way, and nobody ever
finds a stranger in ``sys.stdout``. Whose output it is says a context variable; everybody else's passes through.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from contextvars import ContextVar

from allcores.core.events import Outcome
from allcores.core.printed import item_by_item, shared_out
from allcores.core.records import NamedTuple
from allcores.tasks.ledger import Ledger
from allcores.tasks.run import ONCE, Attempts, run_items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from allcores.core.events import Printed
    from allcores.tasks.task import Task


class Sink(Ledger):
    """Keeps what consecutive items print that run inside of it, in this thread or asyncio task.

    Attributes:
        printed: what was kept, in the order in which it was written.
        live: the item whose output need not be kept, since it comes next anyway.
        closed: nobody will look any more.
        owner: whose items these are.
    """

    __slots__ = ("_before", "closed", "live", "owner", "printed", "streams")

    def __init__(self, live: int | None = None, owner: object = None) -> None:
        super().__init__()
        self.owner = owner
        self.printed: list[Printed] = []
        self.live = live
        self.closed = False
        self.streams = (sys.stdout, sys.stderr)

    def __enter__(self) -> None:
        self._before = _sink.get()
        _sink.set(self)
        _replace(self)

    def __exit__(self, *_: object) -> None:
        """May be called again, to be sure, after an interrupt."""
        self.closed = True
        _restore(self)
        if _sink.get() is self:  # else a coroutine that nobody ends any more is closed somewhere else
            _sink.set(self._before)

    def keeps(self, stream: Any, text: Any) -> bool:
        """Takes a text that was written to a stream, if it is one to keep."""
        index = self.start + len(self.outputs)
        if self.closed or index == self.live or not isinstance(text, str):
            return False
        for number, own in enumerate(self.streams, 1):
            if stream is own:  # not one that the item itself has put in its place
                self.printed.append((index, number, text))
                return True
        return False

    def forget(self, index: int) -> None:
        """This item is tried again: only its last attempt counts."""
        self.printed = [each for each in self.printed if each[0] != index]


class Replaced(NamedTuple):
    """A stream whose ``write`` is replaced, what its own attributes said before, and for whom."""

    stream: Any
    before: Any
    sinks: set[Sink]


def let_go(owner: object) -> None:
    """After an interrupt, which may have come at any moment: nothing is kept for this owner in this thread any more."""
    sink = _sink.get()
    if sink is not None and sink.owner is owner:
        sink.__exit__()


_sink: ContextVar[Sink | None] = ContextVar("allcores_sink", default=None)
_lock = threading.Lock()
_replaced: dict[int, Replaced] = {}  # by the stream's id


def run_keeping(
    task: Task,
    first: int,
    items: Sequence[Any],
    *,
    live: bool = False,
    proceed: Callable[[], bool] | None = None,
    stop_on_error: bool = False,
    attempts: Attempts = ONCE,
    owner: object = None,
) -> list[Outcome]:
    """Like ``run_items``; what the items print travels with their outcomes (``live``: but not the first one's)."""
    sink = Sink(first if live else None, owner)
    with sink:
        outcomes = run_items(
            task, first, items, proceed=proceed, stop_on_error=stop_on_error, attempts=attempts, ledger=sink
        )
    return shared_out(outcomes, sink.printed)


def show(printed: Sequence[Printed]) -> None:
    """Writes what items have printed to where the caller's output goes now."""
    if not printed:
        return
    with _bars_aside():
        for _, number, text in printed:
            if isinstance(text, bytes) and number > 2:
                from allcores.tasks import notices

                notices.deliver(number, text)
                continue
            stream = sys.stdout if number == 1 else sys.stderr
            if stream is not None:
                _write(stream, text)


def _bars_aside() -> contextlib.AbstractContextManager[None]:
    """While text is written: progress bars are taken off the screen, and drawn again behind it."""
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if tqdm is None or not getattr(tqdm, "_instances", None):
        return contextlib.nullcontext()
    aside: contextlib.AbstractContextManager[None] = tqdm.external_write_mode()
    return aside


def shown(outcome: Outcome, outputs: list[Any]) -> Iterator[list[Any]]:
    """The outputs of an outcome's items, once what they have printed before is shown."""
    if not outcome.printed:
        yield outputs
        return
    for printed, run in item_by_item(outcome, outputs):
        show(printed)
        yield run


def _write(stream: Any, text: str | bytes) -> None:
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError:  # no text at all
            if hasattr(stream, "buffer"):
                stream.flush()
                stream.buffer.write(text)
                stream.buffer.flush()
                return
            text = text.decode(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        stream.write(text)
    except UnicodeEncodeError as error:
        stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))


def _replace(sink: Sink) -> None:
    with _lock:
        for stream in sink.streams:
            known = _replaced.get(id(stream))
            if known is not None:
                known.sinks.add(sink)
            elif stream is not None:
                before = getattr(stream, "__dict__", {}).get("write")
                _replaced[id(stream)] = Replaced(stream, before, {sink})
                try:
                    stream.write = _writer(stream, stream.write)  # type: ignore[method-assign]
                except (AttributeError, TypeError):  # then it writes at once, as ever
                    del _replaced[id(stream)]


def _writer(stream: Any, write: Callable[[str], int]) -> Callable[[str], int]:
    def keep_or_write(text: str, /) -> int:
        sink = _sink.get()
        if sink is not None and sink.keeps(stream, text):
            return len(text)
        return write(text)

    return keep_or_write


def _restore(sink: Sink) -> None:
    with _lock:
        for stream in sink.streams:
            known = _replaced.get(id(stream))
            if known is not None:
                known.sinks.discard(sink)
                if not known.sinks:
                    _set_back(stream, known.before)
                    del _replaced[id(stream)]


def _set_back(stream: Any, before: Any) -> None:
    if before is None:
        vars(stream).pop("write", None)
    else:
        stream.write = before


def _in_forked_child() -> None:
    """Nobody delivers what a fork keeps that an item has made: it writes at once."""
    global _lock
    _lock = threading.Lock()
    for stream, before, _ in _replaced.values():
        _set_back(stream, before)
    _replaced.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
