"""What a worker does: runs the items it is sent and reports, until its channel closes.

Two promises live here. The word in shared memory names the running item from before its arguments are unpickled
until its result is about to be sent. And before an item starts, at most 2 ms worth of finished work is unsent.
"""

from __future__ import annotations

import os
import sys
from sys import getrefcount
from time import monotonic_ns

from allcores.processes import child, mail, wire
from allcores.processes.loading import load, tell_failure
from allcores.processes.output import Capture
from allcores.processes.stopwatch import Stopwatch
from allcores.processes.words import LINE_WORDS, Words
from allcores.tasks import generators, inner_threads, notices, pickling, place, reached
from allcores.tasks.plain import ALONE, CONTAINERS, MOST_CHARACTERS, NUMBERS, TEXTS, holds_atoms

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from allcores.tasks.task import Task

UNSENT_NS = 2_000_000
JOIN_BYTES = 1 << 18  # below this, one write of one string is cheaper than several


def work(
    sock: _socket.socket,
    words: Words,
    line: int,
    obtain: Callable[[], Task],
    decoder: wire.Decoder | None = None,
    frames: Sequence[wire.Frame] = (),
) -> None:
    """The life of a worker; it may have read a few frames already."""
    capture = Capture(words, line)
    try:
        task = obtain()
        capture.follow_notices()
        generators.reseed()
        place.sit_in_process(words.view, line * LINE_WORDS)
        inner_threads.follow_first(words.view[place.INNER_THREADS])
        if task.surroundings is not None:
            task.surroundings.enter(shared=False)
    except BaseException as error:
        tell_failure(sock, error)
        raise
    capture.take_over()
    child.send(sock, wire.frame(wire.READY))
    Worker(sock, words, line, task, capture).serve(decoder or wire.Decoder(), frames)


class Report:
    """What became of consecutive items since the last flush.

    Attributes:
        start: the first item that belongs to no run yet.
        bodies: of all runs; behind these, one for each item since ``start`` that was pickled by itself.
        values: what the items behind those have left, to be pickled together or reduced.
    """

    __slots__ = ("bodies", "runs", "start", "values")

    def __init__(self, start: int) -> None:
        self.start = start
        self.runs: list[tuple[int, int, int, bool, int]] = []
        self.bodies: list[bytes] = []
        self.values: list[Any] = []

    def end_values(self, stop: int) -> None:
        """Items up to here have left a body each."""
        if stop > self.start:
            self.runs.append((self.start, stop, wire.VALUES, False, stop - self.start))
        self.start = stop

    def together(self, stop: int, body: bytes) -> None:
        """Items up to here have left one body together."""
        self.runs.append((self.start, stop, wire.VALUES, False, 1))
        self.bodies.append(body)
        self.start = stop

    def node(self, stop: int, body: bytes) -> None:
        """Items up to here have been reduced to one value."""
        self.runs.append((self.start, stop, wire.NODE, False, 1))
        self.bodies.append(body)
        self.start = stop

    def stranded(self, stop: int, body: bytes) -> None:
        """Items up to here, or what they have left, cannot travel."""
        self.runs.append((self.start, stop, wire.STRANDED, False, 1))
        self.bodies.append(body)
        self.start = stop

    def error(self, index: int, body: bytes, retryable: bool) -> None:
        """An item has failed."""
        self.end_values(index)
        self.runs.append((index, index + 1, wire.ERROR, retryable, 1))
        self.bodies.append(body)
        self.start = index + 1


class Worker:
    """One worker: its channel, its line of words, its task."""

    def __init__(self, sock: _socket.socket, words: Words, line: int, task: Task, capture: Capture) -> None:
        self._sock = sock
        self._memory = words
        self._words = words.view
        self._outbox = mail.Outbox(words, line)
        self._aside = mail.Aside() if mail.is_possible() else None
        self._letters = False  # among what is to be sent
        self._word = line * LINE_WORDS
        self._task = task
        self._capture = capture
        self._epoch = -1  # of the piece that came last
        self._stopwatch = Stopwatch()
        self._may_draw = task.begin is None  # from generators that nobody seeded; asked once
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._let_go)

    def serve(self, decoder: wire.Decoder, frames: Sequence[wire.Frame]) -> None:
        """Until the caller's end of the channel closes."""
        sock = self._sock
        while True:
            for kind, number, _, body in frames:
                if kind == wire.PIECE:
                    self._run_piece(body)
                elif kind == wire.DEFINITIONS and number == wire.VALUES_OF_GLOBALS:
                    reached.install(bytes(body))
                elif kind == wire.DEFINITIONS:
                    pickling.load_definitions(bytes(body))
            try:
                count = sock.recv_into(decoder.room())
            except OSError:
                return
            if not count:
                return
            frames = decoder.filled(count)

    def _let_go(self) -> None:
        """In a fork that the user's function made: it must not hold our channel, nor go on with our work."""
        self._sock.close()
        self._memory.close()
        self._capture.let_go()

    def _run_piece(self, body: bytes | bytearray) -> None:
        start, stop, epoch, timed, form = wire.PIECE_HEAD.unpack_from(body)
        if epoch != self._epoch:
            self._epoch = epoch
            notices.forget_repetitions()
        data = memoryview(body)[wire.PIECE_HEAD.size :]
        inner_threads.follow(self._words[place.INNER_THREADS])
        self._stopwatch.start()
        try:
            loads = self._open if form & wire.LETTERS else pickling.loads
            if form & wire.TOGETHER:
                self._run_together(start, stop, data, loads, epoch, timed)
            else:
                self._run_items(start, stop, _cut(data, stop - start), loads, epoch, timed)
        except ValueError:
            if self._sock.fileno() >= 0:
                raise
            child.flush_output()  # a fork has come back from the user's function
            os._exit(0)

    def _run_together(
        self, start: int, stop: int, data: memoryview, loads: Callable[[Any], Any], epoch: int, timed: bool
    ) -> None:
        """Whatever happens while these are loaded, one item has to answer for it, or they would be sent for ever."""
        if timed:
            self._words[self._word + 1] = monotonic_ns()
        self._words[self._word] = start + 1
        try:
            items = loads(data)
        except BaseException as error:  # no memory
            report = Report(start)
            self._not_rebuilt(report, start, error)
            self._flush(report, last=True)
        else:
            self._run_items(start, stop, _one_by_one(items), None, epoch, timed)

    def _open(self, body: memoryview) -> Any:
        return mail.read(self._memory, body).open() if mail.is_letter(body) else pickling.loads(body)

    def _run_items(
        self,
        start: int,
        stop: int,
        items: Iterable[Any],
        loads: Callable[[Any], Any] | None,
        epoch: int,
        timed: bool,
    ) -> None:
        words, word = self._words, self._word
        run, pickle = self._capture.watched(self._task.run), self._pickle
        begin = self._task.begin
        reducing = self._task.reduction is not None
        settle = self._reduce if reducing else self._pickle_together
        report = Report(start)
        values, bodies = report.values, report.bodies
        index = start
        due = monotonic_ns() + UNSENT_NS
        for item in items:
            if words[0] != epoch:
                break
            if timed:
                words[word + 1] = monotonic_ns()
            words[word] = index + 1
            opened = False
            try:
                if loads is not None:
                    item = loads(item)
                opened = True
                if begin is not None:
                    begin(index)
                output = run(item)
            except BaseException as error:
                settle(report, index)
                (self._failed if opened else self._not_rebuilt)(report, index, error)
            else:
                item = None
                kind = type(output)
                if reducing or kind in NUMBERS or (kind in TEXTS and len(output) <= MOST_CHARACTERS):
                    values.append(output)
                elif kind in CONTAINERS and getrefcount(output) == ALONE and holds_atoms(output):
                    values.append(output)  # nobody else has it, so nobody can change it until it is sent
                else:
                    if values:
                        settle(report, index)
                    try:
                        bodies.append(pickle(output))
                    except BaseException:
                        self._dump_by_value(report, index, output)
                output = None
            item = None
            index += 1
            if index < stop and monotonic_ns() >= due:
                settle(report, index)
                self._flush(report, last=False)
                report = Report(index)
                values, bodies = report.values, report.bodies
                due = monotonic_ns() + UNSENT_NS
        settle(report, index)
        self._flush(report, last=True)

    def _pickle_together(self, report: Report, stop: int) -> None:
        """Turns values that wait into one body, and ends the run of those that have one each already."""
        values = report.values
        report.end_values(stop - len(values))
        if not values:
            return
        try:
            report.together(stop, self._pickle(values if len(values) > 1 else values[0]))
        except BaseException:  # no memory: maybe there is enough for some of them
            self._add_values(report, values)
        values.clear()

    def _reduce(self, report: Report, stop: int) -> None:
        """Folds and merges what items up to here have left, as far as it allows."""
        from allcores.core.combine import Collector, StepFailed

        assert self._task.reduction is not None
        outputs = report.values
        first, failed = report.start, None
        collector = Collector(self._task.reduction, self._task.spreads)
        try:
            collector.items(first, outputs)
            segments = collector.take()
        except StepFailed as error:
            failed = error
            segments = [(first, failed.index, False, outputs[: failed.index - first])]
        for _, end, is_node, value in segments:
            if is_node:
                self._add_node(report, end, value)
            else:
                self._add_values(report, value)
        if failed is not None:
            cause = failed.__cause__
            assert cause is not None
            self._failed(report, failed.index, cause, retryable=False)
            self._add_values(report, outputs[failed.index + 1 - first :])
        outputs.clear()

    def _add_values(self, report: Report, outputs: list[Any]) -> None:
        index = report.start
        for output in outputs:
            try:
                report.bodies.append(self._pickle(output))
            except BaseException:
                self._dump_by_value(report, index, output)
            index += 1
        report.end_values(index)

    def _add_node(self, report: Report, stop: int, value: Any) -> None:
        index = report.start
        try:
            body = self._pickle(value)
        except BaseException:
            try:
                body = pickling.dump_result(value, index)
            except BaseException as error:
                report.end_values(index)
                report.stranded(stop, _dump_error(error))
                return
        report.node(stop, body)

    def _pickle(self, output: Any) -> bytes:
        """A result as a pickle or, if it is large, a letter."""
        aside = self._aside
        if aside is None:
            return pickling.dumps(output, 5)
        try:
            body = pickling.dumps(aside.beside(output), 5, buffer_callback=aside)
            if not mail.wants_letter(body, aside.buffers):
                return body
            letter = self._outbox.post(body, aside.buffers)
            if letter is None:
                return pickling.dumps(output, 5) if aside.buffers else body
            self._letters = True
            return letter
        finally:
            aside.buffers.clear()  # they hold the result, and a bytearray among them cannot be resized meanwhile

    def _dump_by_value(self, report: Report, index: int, output: Any) -> None:
        try:
            report.bodies.append(pickling.dump_result(output, index))
        except BaseException as error:
            report.end_values(index)
            report.stranded(index + 1, _dump_error(error))

    def _failed(
        self, report: Report, index: int, error: BaseException, retryable: bool | None = None
    ) -> None:
        pickling.explain(error)
        if retryable is None:
            retryable = issubclass(type(error), self._task.retry_on)
        report.error(index, _dump_error(error), retryable)

    def _not_rebuilt(self, report: Report, index: int, error: BaseException) -> None:
        from allcores.tasks.culprit import item_not_rebuilt

        pickling.explain(error)
        told = item_not_rebuilt(index, error)
        told.__cause__ = error
        report.end_values(index)
        report.stranded(index + 1, _dump_error(told))

    def _flush(self, report: Report, last: bool) -> None:
        """Sends a report; from here on no item is running."""
        seconds, cpu_seconds = self._stopwatch.read()
        if self._may_draw:
            self._may_draw = False
            self._words[self._word + place.DREW] = generators.drawn()
        head = wire.done_head(seconds, cpu_seconds, last, self._letters, report.runs, report.bodies)
        self._letters = False
        self._words[self._word] = 0
        child.flush_output()
        printed = self._capture.take(report.start - 1)
        bodies = report.bodies

        def blame() -> (
            None
        ):  # the channel is gone: the last item has closed it, or else nobody is left to mind
            self._words[self._word] = report.start

        if printed:
            child.send(self._sock, wire.frame(wire.OUTPUT, 0, printed), before_end=blame)
        if sum(map(len, bodies)) < JOIN_BYTES:
            child.send(self._sock, b"".join((head, *bodies)), before_end=blame)
        else:
            child.send(self._sock, head, before_end=blame)
            for body in bodies:
                child.send(self._sock, body, before_end=blame)
        if not last:
            self._stopwatch.start()


def _dump_error(error: BaseException) -> bytes:
    from allcores.tasks.exceptions import dump_error

    try:
        return dump_error(error)
    except BaseException:  # no memory, or a stack that is almost full
        BaseException.with_traceback(error, None)
        return dump_error(MemoryError(f"{type(error).__qualname__}, which was too large to report"))


def _cut(data: memoryview, count: int) -> Iterator[memoryview]:
    """The pickles of so many items, which stand behind their lengths."""
    position = 8 * count
    for length in data[:position].cast("Q"):
        yield data[position : position + length]
        position += length


def _one_by_one(items: Any) -> Iterator[Any]:
    """Items that nobody holds any more once they were handed out."""
    if type(items) is range:
        yield from items
        return
    items.reverse()
    while items:
        yield items.pop()


def main() -> None:
    """A worker that nobody forked: argv holds our directory, its channel, its words and its line.

    The function comes as the channel's first frame. Standard input is a lifeline: its end is the caller's end.
    """
    child.quiet_signals()
    handle, size_bytes, line = (int(argument) for argument in sys.argv[3:6])
    sock = _shared_socket() if sys.argv[2] == "stdin" else child.channel(int(sys.argv[2]))
    words = Words(handle, size_bytes)
    if sys.platform != "win32":  # programs that the function starts are to find no descriptor of ours
        os.set_inheritable(sock.fileno(), False)
        os.set_inheritable(handle, False)
    _hold_lifeline()
    sys.modules["__main__"].__dict__.pop("main", None)
    sys.argv[:] = [""]
    decoder = wire.Decoder()
    frames: list[wire.Frame] = []
    while not frames:
        count = sock.recv_into(decoder.room())
        if not count:
            os._exit(0)
        frames = decoder.filled(count)
    setup = frames.pop(0)[3]

    child.live(lambda: work(sock, words, line, lambda: load(setup, words), decoder, frames))


def _shared_socket() -> Any:
    """Windows: the channel comes through standard input, wrapped up for this very process. Never run so far."""
    import socket

    length = int.from_bytes(os.read(0, 4), "little")
    return socket.fromshare(os.read(0, length))  # type: ignore[attr-defined]


def _hold_lifeline() -> None:
    """Ends this process at once when standard input ends, whatever it is doing; the function sees an empty one."""
    import _thread

    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def watch() -> None:
        try:
            os.read(lifeline, 1)
        finally:
            os._exit(0)

    _thread.start_new_thread(watch, ())
