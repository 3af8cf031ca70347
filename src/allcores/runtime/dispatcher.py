"""The thread behind an executor: gives submitted calls to workers and settles their futures.

A call waits in a queue, where it can be cancelled, until a worker is free for it: a worker is never given more than
it runs, so no call waits behind another one while somebody is idle. The thread sleeps in the engine's ``wait``
and is woken by what its workers say, or rung by whoever submits something that a worker is free for.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import threading
from collections import deque
from concurrent.futures import Future, InvalidStateError

from allcores.core.events import ERROR, VALUES, Offered, Outcome, Planned
from allcores.core.records import NamedTuple
from allcores.core.rules import Rules
from allcores.errors import Unpicklable
from allcores.runtime.pump import Packed, Pump, Settled
from allcores.runtime.urgency import urgent
from allcores.runtime.verdicts import call_lost
from allcores.tasks.call import InitializerFailed
from allcores.tasks.output import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from allcores.engines.base import Engine, Payload
    from allcores.errors import WorkerLost

RULES = Rules(stop_on_error=False, retry_lost=False, retry_timeout=False)
NEVER_SECONDS = 1e6  # days: as good as no limit, and no system call finds it too large

_serving: set[Dispatcher] = set()
_over = False  # the interpreter has begun to shut down


class Call(NamedTuple):
    """What was submitted, and the future that its caller holds."""

    future: Future[Any]
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Broken(NamedTuple):
    """Why no call can be run any more."""

    reason: str
    cause: BaseException | None


class Dispatcher:
    """Calls on their way from one executor to its workers.

    Args:
        make_engine: called at the first submission, with its function.
        max_workers: workers start one by one, as calls need them, up to so many.
        broken_error: makes the exception for futures of a broken executor.
    """

    def __init__(
        self,
        make_engine: Callable[[Callable[..., Any]], Engine],
        max_workers: int,
        broken_error: Callable[[str], BaseException],
    ) -> None:
        self._make_engine = make_engine
        self._max_workers = max_workers
        self._broken_error = broken_error
        self._lock = threading.RLock()  # submitting may collect garbage, whose __del__ may submit
        self._queue: deque[list[Call]] = deque()
        self._broken: Broken | None = None
        self._closing = False  # nothing is submitted any more; what was submitted is run
        self._killed = False
        self._room = False  # the thread sleeps, or is about to, and a worker is free
        self._packing = False  # the thread has taken calls from the queue and not yet offered them
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._pump = Pump(RULES, ordered=False, most_wait_seconds=NEVER_SECONDS)
        self._pump.lost = self._lost
        self._running: dict[int, Call] = {}
        self._submitted = 0
        self._workers = 0

    # -- for any thread -------------------------------------------------------------------------------

    def submit(self, calls: list[Call]) -> None:
        """Queues calls that are to travel together.

        Raises:
            RuntimeError: after the shutdown of this executor or of the interpreter, or in a fork.
            Unpicklable, StartError: the first submission, where no worker can be had.
        """
        if self._pid != os.getpid():
            raise RuntimeError("cannot schedule new futures in a fork of the process that made the executor")
        with self._lock:
            if self._broken is not None:
                raise self._error()
            if self._closing and not _over:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if _over:
                raise RuntimeError("cannot schedule new futures after interpreter shutdown")
            if self._thread is None:
                self._start(calls[0].function)
            self._queue.append(calls)
            self._staff()
            if self._room:
                self._ring()

    def close(self, *, wait: bool, cancel: bool = False) -> None:
        """Takes no more calls; those that were submitted are run, or else cancelled where they still wait."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self._closing = True
            waiting = self._take_queue() if cancel else []
            if self._room:
                self._ring()
        for call in waiting:
            call.future.cancel()
            _claim(call)
        if wait and self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def kill(self) -> None:
        """Ends all workers now, whatever they run."""
        self.close(wait=False, cancel=True)
        with self._lock:
            self._killed = True
            self._ring()

    def abandon(self) -> None:
        """Nobody holds the executor any more. Called by the garbage collector, at any moment: takes no lock."""
        if self._pid == os.getpid() and not self._closing:
            self._closing = True
            self._ring()

    def _start(self, function: Callable[..., Any]) -> None:
        engine = self._make_engine(function)
        self._pump.attach(engine, 0, 0)
        thread = threading.Thread(target=self._run, name="allcores-executor", daemon=True)
        _serving.add(self)
        try:
            thread.start()
        except BaseException:
            _serving.discard(self)
            raise
        self._thread = thread

    def _staff(self) -> None:
        """One more worker where none is idle. Not left to the thread: at its end Python 3.12 starts no threads."""
        wanted = min(self._max_workers, len(self._queue) + self._packing + len(self._pump.chunks))
        if wanted > self._workers:
            self._workers = wanted
            if (engine := self._pump.engine) is not None:
                engine.ring()  # also if the thread sleeps not yet: it may fall asleep with the pump's lock in hand
            self._pump.tell(Planned(wanted, wanted))

    def _ring(self) -> None:
        self._room = False
        engine = self._pump.engine
        if engine is not None:
            engine.ring()

    def _take_queue(self) -> Iterable[Call]:
        queue, self._queue = self._queue, deque()
        return itertools.chain.from_iterable(queue)

    # -- the thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # a defect of ours must leave nobody waiting for ever
            self._break("an internal error, please report it", error)
        finally:
            with self._lock:
                self._closing = True
                engine, self._pump.engine = self._pump.engine, None
            assert engine is not None
            try:
                engine.close(reuse=False)  # the next executor's functions may come from edited modules
            finally:
                self._leave()
                _serving.discard(self)

    def _serve(self) -> None:
        while True:
            while calls := self._next():
                self._offer(calls)
            if self._finished():
                return
            pump = self._pump
            with urgent if self._running else contextlib.nullcontext():
                with pump.exclusively():
                    pump.step(None)
                self._settle()
            if self._pump.failure is not None:
                self._break("no worker can be had", self._pump.failure)
                return

    def _next(self) -> list[Call]:
        """The calls that a free worker should get now; none where nobody is free or nothing waits."""
        with self._lock:
            free = len(self._pump.chunks) < self._max_workers
            self._room = free and not self._queue
            self._packing = free and not self._room
            return self._queue.popleft() if self._packing else []

    def _finished(self) -> bool:
        return self._killed or (self._closing and not self._queue and not self._running)

    def _offer(self, calls: list[Call]) -> None:
        """Packs calls and offers them as one chunk; those that cannot be packed have failed."""
        calls = [call for call in calls if _claim(call)]
        first = self._submitted
        payload = self._packed(first, calls)
        if payload is None:
            return
        self._submitted += len(calls)
        self._running.update(enumerate(calls, first))
        with self._lock:  # who submits meanwhile sees these in one place or the other
            self._pump.offer(Offered(first, len(calls), payload.size_bytes), Packed(payload, None))
            self._packing = False

    def _packed(self, first: int, calls: list[Call]) -> Payload | None:
        """The calls, ready to travel; those that cannot are taken out of the list. None if no call is left."""
        engine = self._pump.engine
        assert engine is not None
        while calls:
            try:
                return engine.pack(first, [call[1:] for call in calls])
            except Unpicklable as error:
                from allcores.tasks.culprit import unpicklable_call

                culprit = calls.pop(0 if error.index is None else error.index - first)
                _fail(culprit, unpicklable_call(culprit.function, culprit.args, culprit.kwargs, error))
            except BaseException as error:  # no memory
                _fail(calls.pop(0), error)
        return None

    def _settle(self) -> None:
        """Opens what has come, and tells the futures."""
        while (entry := self._pump.order.take()) is not None:
            show(entry.outcome.printed)  # whole, before the future is done
            if entry.outcome.kind == ERROR:
                self._settle_error(entry)
            else:
                self._settle_values(entry)

    def _settle_error(self, entry: Settled) -> None:
        index = entry.outcome.start
        error: BaseException = entry.open()
        if isinstance(error, InitializerFailed):
            cause = error.__cause__
            self._break(f"its initializer raised {type(cause).__name__}: {cause}", cause)
            error = self._error()
        else:
            _without_note(error, index)
        _fail(self._running.pop(index), error)

    def _settle_values(self, entry: Settled) -> None:
        outcome = entry.outcome
        calls = [self._running.pop(index) for index in range(outcome.start, outcome.stop)]
        try:
            values = entry.open()
        except BaseException as error:
            if len(outcome.body) == 1:  # one value, or a pickle of several: then memory is short
                for call in calls:
                    _fail(call, error)
                return
            self._running.update(enumerate(calls, outcome.start))
            for index, body in enumerate(outcome.body, outcome.start):
                self._settle_values(entry._replace(outcome=Outcome(index, index + 1, VALUES, (body,))))
            return
        for call, value in zip(calls, values, strict=True):
            _finish(call, value)

    def _lost(
        self, index: int, signal: int | None, exitcode: int | None, cause: str, output: str
    ) -> WorkerLost:
        return call_lost(self._running[index].function, signal, exitcode, cause, output)

    # -- the end --------------------------------------------------------------------------------------

    def _break(self, reason: str, cause: BaseException | None) -> None:
        """From now on no call is run; those that wait have failed."""
        with self._lock:
            self._broken = self._broken or Broken(reason, cause)
            self._closing = True
            waiting = self._take_queue()
        for call in waiting:
            if _claim(call):
                _fail(call, self._error())

    def _leave(self) -> None:
        """The thread is about to end: nobody must wait for what it has not settled."""
        if self._running:
            self._break("its workers were killed", None)
        while self._running:
            _, call = self._running.popitem()
            _fail(call, self._error())

    def _error(self) -> BaseException:
        """A new exception for each who asks, with a traceback of its own."""
        assert self._broken is not None
        error = self._broken_error(self._broken.reason)
        error.__cause__ = self._broken.cause
        return error


def _claim(call: Call) -> bool:
    """Whether this call is to be run: its future runs from now on, unless it was cancelled or set by somebody else."""
    try:
        return call.future.set_running_or_notify_cancel()
    except (RuntimeError, InvalidStateError):
        return False


def _finish(call: Call, value: Any) -> None:
    _tell(call.future.set_result, value)


def _fail(call: Call, error: BaseException) -> None:
    _tell(call.future.set_exception, error)


def _tell(settle: Callable[[Any], None], what: Any) -> None:
    try:
        settle(what)
    except InvalidStateError:
        pass  # somebody else has set it
    except BaseException:  # out of a callback; an Exception would have been logged by the future
        import logging

        logging.getLogger("concurrent.futures").exception("a callback of a future has failed")


def _without_note(error: BaseException, index: int) -> None:
    """Which submission this was says nothing to the holder of its future."""
    with contextlib.suppress(Exception):  # a class of the user's may let nobody read or change anything
        notes = getattr(error, "__notes__", None)
        if isinstance(notes, list) and (note := f"allcores: item {index}") in notes:
            notes.remove(note)
            if not notes:
                del error.__notes__


def _complete_at_exit() -> None:
    """Before the interpreter shuts down everything that was submitted is run."""
    global _over
    _over = True
    serving = list(_serving)
    for dispatcher in serving:
        dispatcher.close(wait=False)
    for dispatcher in serving:
        dispatcher.close(wait=True)


# Before other exit handlers end the workers, and while threads can still be started: as concurrent.futures does it.
getattr(threading, "_register_atexit", atexit.register)(_complete_at_exit)
