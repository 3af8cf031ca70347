"""A scheduler small enough to be obviously right: drives engines in tests."""

import time
from contextlib import contextmanager

import psutil

from allcores.core.events import (
    ERROR,
    NODE,
    STRANDED,
    VALUES,
    ItemsDone,
    StartFailed,
    WorkerLost,
    WorkerReady,
)
from allcores.engines.processes import Processes
from allcores.tasks.task import Task

PATIENCE_SECONDS = 20.0


class Job:
    """Sends pieces to workers until every item is settled; lost workers are replaced, their culprits not rerun."""

    def __init__(
        self,
        function,
        items,
        *,
        workers=2,
        chunk=1,
        reduction=None,
        retry_on=(),
        timed=False,
        kinds="map",
        make=None,
    ):
        task = Task(((kinds, function),), reduction, retry_on)
        self.engine = Processes(task, timed=timed) if make is None else make(task)
        self.items = list(items)
        self.workers = workers
        self.chunk = chunk
        self.settled = {}  # index: value or exception
        self.nodes = []
        self.lost = []
        self.events = []
        self.outcomes = []
        self._next_worker = 0
        self._sent = {}  # worker: list of [start, stop) still open
        self._todo = [(s, min(s + chunk, len(self.items))) for s in range(0, len(self.items), chunk)]
        self.payload = None

    def boot(self):
        worker = self._next_worker
        self._next_worker += 1
        self.engine.boot(worker)
        self._sent[worker] = []
        return worker

    def feed(self, worker):
        if self._todo:
            start, stop = self._todo.pop(0)
            self._sent[worker].append([start, stop])
            self.engine.send(worker, self.payload, 0, start, stop)

    def start(self):
        self.payload = self.engine.pack(0, self.items)
        for _ in range(self.workers):
            self.feed(self.boot())
        return self

    def step(self, timeout=PATIENCE_SECONDS):
        events = self.engine.wait(timeout)
        for event in events:
            self.events.append(event)
            self.take(event)
        return events

    def take(self, event):
        if isinstance(event, ItemsDone):
            for outcome in event.outcomes:
                self.outcomes.append(outcome)
                opened = self.engine.unpack(outcome)
                if outcome.kind == VALUES:
                    assert len(opened) == outcome.stop - outcome.start
                    for index, value in enumerate(opened, outcome.start):
                        self.settle(index, value)
                elif outcome.kind in (ERROR, STRANDED):
                    self.settle(outcome.start, opened)
                else:
                    assert outcome.kind == NODE
                    for index in range(outcome.start, outcome.stop):
                        self.settle(index, None)
                    self.nodes.append((outcome.start, outcome.stop, opened))
                self._sent[event.worker][0][0] = outcome.stop
            if event.last:
                start, stop = self._sent[event.worker].pop(0)
                assert start == stop, "a piece ended and items of it are missing"
                self.feed(event.worker)
        elif isinstance(event, WorkerLost):
            self.lost.append(event)
            if event.running is not None:
                self.settle(event.running, event)
            for start, stop in self._sent.pop(event.worker):
                for index in range(start, stop):
                    if index not in self.settled:
                        self._todo.append((index, index + 1))
            if self._todo:
                self.feed(self.boot())
        elif isinstance(event, StartFailed):
            raise event.error

    def settle(self, index, value):
        assert index not in self.settled, f"item {index} was delivered twice"
        self.settled[index] = value

    @property
    def done(self):
        return len(self.settled) == len(self.items)

    def finish(self):
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not self.done:
            assert time.monotonic() < give_up, f"hangs; settled {len(self.settled)} of {len(self.items)}"
            self.step(1.0)
        return [self.settled[index] for index in range(len(self.items))]

    def until(self, condition):
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not condition(self):
            assert time.monotonic() < give_up, "hangs"
            self.step(0.05)
        return self

    def close(self, reuse=False):
        self.engine.close(reuse)


@contextmanager
def job(function, items, reuse=False, **options):
    made = Job(function, items, **options)
    try:
        yield made.start()
    finally:
        made.close(reuse)


def run(function, items, reuse=False, **options):
    """The results of a job, exceptions and losses in the places of their items."""
    with job(function, items, reuse, **options) as made:
        return made.finish()


def ready(made):
    return sum(isinstance(event, WorkerReady) for event in made.events) >= made.workers


def vanished(pid):
    """Whether a process has ended; when its caller was killed, its burial is the system's affair."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition, seconds=5.0):
    """Waits for the world outside to get somewhere; returns how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never happened"
        time.sleep(0.002)
    return time.monotonic() - began
