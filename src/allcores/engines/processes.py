"""Items run in worker processes: one job's face of a crew."""

from __future__ import annotations

import contextlib
import threading
import time

from allcores.core.events import (
    ERROR,
    NODE,
    STRANDED,
    VALUES,
    Event,
    Outcome,
    StartFailed,
    WorkerLost,
    WorkerReady,
)
from allcores.engines.packed import Each, Several, Together
from allcores.errors import StartError
from allcores.processes import mail, pool, wire
from allcores.processes.pool import shutdown
from allcores.processes.presence import obstacle
from allcores.processes.shortage import refusal
from allcores.processes.start import portable
from allcores.tasks import culprit, exceptions, pickling, plain, reached, world
from allcores.tasks.task import Task
from allcores.tasks.told import Job, Lasting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allcores.engines.base import Payload
    from allcores.processes.crew import Crew

__all__ = ["Processes", "shutdown", "warm_up"]


def warm_up(task: Task | None, workers: int) -> None:
    """Starts what workers are forked from and, given a task, its workers; returns when they have answered.

    Raises StartError if they cannot be had, Unpicklable if the function cannot travel.
    """
    if task is None and portable():
        return  # fresh interpreters have nothing in common that could be started before the function is known
    engine = Processes(task or Task(()))
    missing = set(range(workers if task is not None else 1))
    try:
        for worker in sorted(missing):
            engine.boot(worker)
        while missing:
            for event in engine.wait(None):
                if isinstance(event, WorkerReady):
                    missing.discard(event.worker)
                elif isinstance(event, StartFailed):
                    raise event.error
                elif isinstance(event, WorkerLost):
                    raise StartError(
                        f"a worker died while it was starting: {event.cause}. "
                        "Run the function once with engine='inline' to see what it does."
                    )
    finally:
        engine.close(reuse=task is not None and not missing)


class Processes:
    """Runs the items of one job in worker processes."""

    name = "processes"
    can_stop = True
    gathers = True

    def __init__(
        self,
        task: Task,
        *,
        timed: bool = False,
        inner_threads: int = 1,
        cores: int = 1,
        told: Job | Lasting | None = None,
        chunksize: int | None = None,
    ) -> None:
        """Raises Unpicklable if the function cannot travel; starts nothing yet.

        ``told`` is what keeps in mind what workers know of ``__main__``.
        ``inner_threads`` and ``cores`` are what each worker has for its libraries and for calls of its own.
        ``chunksize``: into pieces of so many items is cut what is packed.
        """
        reason = obstacle()
        if reason is not None:
            raise StartError(
                f"no worker process can be started: {reason}. Use engine='inline' or 'threads' here."
            )
        self._task = task
        self._timed = timed
        self._chunksize = chunksize
        aside = mail.Aside() if mail.is_possible() else None
        self._told = told or Job()
        self._function = self._told.dump_task(task, aside)
        self._captured = aside.buffers if aside is not None else []
        self._world = world.capture()
        self._fingerprint, self._values = reached.look(task)
        self._crew: Crew | None = None
        self._failure: StartFailed | None = None
        self._closed = False
        self._rung = False
        self._packing = threading.Lock()
        self._holding = threading.Lock()  # the crew
        self._shares = inner_threads, cores
        self._indices: dict[int, int] = {}
        if self._captured:  # this is the user's own memory: what it holds now is what workers get
            with contextlib.suppress(OSError):  # `boot` will say so
                self._take_crew()

    def now(self) -> float:
        """Seconds on the clock that all processes of this machine share."""
        return time.monotonic()

    def pack(self, first: int, items: Sequence[Any]) -> Each | Together | Several:
        """Pickles plain items together, others each by itself. Raises Unpicklable, with the index."""
        size = self._chunksize
        if size is None or len(items) <= size:
            return self._pack_together(items) or self._pack_each(first, items)
        parts = [self._pack_together(items[start : start + size]) for start in range(0, len(items), size)]
        plain_ones = [part for part in parts if part is not None]
        return Several(plain_ones, size) if len(plain_ones) == len(parts) else self._pack_each(first, items)

    def _pack_together(self, items: Sequence[Any]) -> Together | None:
        body = plain.dump_together(items)
        if body is None:
            return None
        return Together(body, len(items), self._post(body, []) if mail.wants_letter(body, []) else None)

    def _pack_each(self, first: int, items: Sequence[Any]) -> Each:
        with self._packing:
            pickles, leases = [], []
            aside = mail.Aside() if mail.is_possible() else None
            for index, item in enumerate(items, first):
                data, needed = self._told.dump_item(item, index, aside)
                if aside is not None and mail.wants_letter(data, aside.buffers):
                    letter = self._post(data, aside.buffers)
                    if letter is not None:
                        data = letter[0]
                        leases.append(letter[1])
                    elif aside.buffers:
                        data, needed = self._told.dump_item(item, index)
                    aside.buffers.clear()
                pickles.append(data)
                if needed:
                    self._told.define(needed, index)
            return Each(pickles, leases)

    def _post(self, pickle: bytes, buffers: Sequence[memoryview]) -> tuple[bytes, mail.Lease] | None:
        """A letter to whichever worker will get it, or None where everything must go through its channel."""
        with self._holding:
            if self._closed or not mail.is_possible():
                return None
            try:
                return self._take_crew().mail.post(pickle, buffers)
            except OSError:
                return None  # it will be told when workers are to be started

    def unpack(self, outcome: Outcome) -> Any:
        """Opens what a worker has sent. Raises Unpicklable for a result that cannot be rebuilt here."""
        bodies: Any = outcome.body
        if outcome.kind in (ERROR, STRANDED):
            return exceptions.load_error(bodies[0], outcome.start)
        loads = pickling.loads
        values: list[Any] = []
        try:
            if outcome.kind == VALUES and len(bodies) < outcome.stop - outcome.start:
                body = bodies[0]
                return loads(body) if type(body) is memoryview else body.open()
            for body in bodies:
                if type(body) is not memoryview:
                    values.append(body.open())
                    continue
                try:
                    values.append(loads(body))
                except AttributeError:
                    values.append(pickling.loads_slotted(body))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: it was not the user's function that raised it
            raise culprit.result_not_rebuilt(outcome.start + len(values), error) from error
        return values[0] if outcome.kind == NODE else values

    def boot(self, worker: int) -> None:
        """Takes a worker that waits for this function, or starts one."""
        try:
            crew = self._our_crew()
        except OSError as error:
            self._failure = StartFailed(StartError(refusal(error, "use engine='threads'")))
        else:
            crew.boot(worker, self._index_for(worker))

    def _index_for(self, worker: int) -> int:
        """The smallest number that no living worker has."""
        crew = self._our_crew()
        self._indices = {each: index for each, index in self._indices.items() if crew.seat_of(each)}
        taken = set(self._indices.values())
        self._indices[worker] = next(index for index in range(len(taken) + 1) if index not in taken)
        return self._indices[worker]

    def _our_crew(self) -> Crew:
        if self._crew is None:
            with self._holding:
                self._take_crew()
        assert self._crew is not None
        return self._crew

    def _take_crew(self) -> Crew:
        if self._crew is None:
            self._crew = pool.take_crew(
                self._task, self._function, self._captured, self._world, self._fingerprint
            )
            self._captured = []
            self._crew.words.share(*self._shares)
            if self._rung:
                self._crew.ring()
        return self._crew

    def send(self, worker: int, payload: Payload, first: int, start: int, stop: int) -> None:
        """Writes items to the worker's channel, or queues them."""
        assert isinstance(payload, Each | Together | Several)
        crew = self._crew
        seat = crew.seat_of(worker) if crew is not None else None
        if crew is None or seat is None:
            return  # it is gone, or none could be had: an event says so
        if seat.values != self._values:
            crew.send(worker, [wire.frame(wire.DEFINITIONS, wire.VALUES_OF_GLOBALS, self._values)])
            seat.values = self._values
        log = self._told.log
        while seat.defined < len(log):
            if definitions := log[seat.defined]:
                crew.send(worker, [wire.frame(wire.DEFINITIONS, 0, definitions)])
            seat.defined += 1
        head = wire.PIECE_HEAD.pack(start, stop, crew.words.epoch, self._timed, payload.form)
        seat.pieces.append(start)
        crew.send(worker, payload.piece(start - first, stop - first, head))

    def flush(self) -> None:
        """Writes what is to share a write."""
        if self._crew is not None:
            self._crew.flush()

    def look(self, worker: int) -> tuple[int | None, float]:
        """Reads the worker's words."""
        return self._crew.look(worker) if self._crew is not None else (None, 0.0)

    def kill(self, worker: int) -> None:
        """Kills the worker; its death is reported like any other."""
        if self._crew is not None:
            self._crew.kill(worker)

    def wait(self, timeout: float | None) -> list[Event]:
        """Waits for workers, or for ``ring``."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            return [failure]
        try:
            return self._our_crew().wait(timeout) if not self._closed else []
        except OSError:
            if self._crew is not None:
                raise
            return []  # there is none, as an event has said

    def ring(self) -> None:
        """Ends a wait."""
        self._rung = True
        crew = self._crew  # which another thread may give back just now
        if crew is not None:
            crew.ring()

    def cancel(self) -> None:
        """Begins a new epoch: what was sent in the old one is not started any more."""
        if self._crew is not None:
            self._crew.words.cancel()

    def drew(self) -> bool:
        """Whether items have drawn from unseeded generators of their workers."""
        crew = self._crew
        if crew is None:
            return False
        seats = [crew.seat_of(worker) for worker in self._indices]
        return any(crew.words.drew(seat.number) for seat in seats if seat is not None)

    def close(self, reuse: bool) -> None:
        """Gives the crew back."""
        with self._holding:
            self._closed = True
            crew, self._crew = self._crew, None
        if crew is not None:
            surroundings = self._task.surroundings
            keeps_nothing = surroundings is None or surroundings.setup is None  # `state` is for one job
            pool.give_back(crew, reuse and keeps_nothing)
