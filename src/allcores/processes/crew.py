"""The workers of one function: a seat for each, what is sent to them, what they say, and how they die.

A crew serves one job at a time and owns the selector on which that job waits. It is used by one thread at a time;
only ``ring`` may be called by any. However a worker's death shows itself first (its pidfd, its parent's word, the
end of its channel), it is judged once: what it had sent is delivered first, and its wait status waited for a little.
"""

from __future__ import annotations

import os
import selectors
import signal
from time import monotonic

from allcores.core.events import Event, ItemsDone, Outcome, StartFailed, WorkerLost, WorkerReady
from allcores.core.printed import shared_out
from allcores.errors import StartError
from allcores.processes import wire
from allcores.processes.channel import Channel, pair
from allcores.processes.deaths import kill, stop_for_stack, verdict
from allcores.processes.mail import Letter, Mail
from allcores.processes.output import discard, last_words, open_output, room_bytes
from allcores.processes.seat import Seat
from allcores.processes.shortage import refusal
from allcores.processes.words import MOST_WORKERS, Words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from allcores.processes.forked import Forked
    from allcores.processes.fresh import Fresh
    from allcores.processes.wire import Bytes, Frame

    Handler = Callable[[int], None]

STATUS_SECONDS = 0.1  # for which the wait status of a worker that is gone is waited for
SHARED_BYTES = 1 << 12  # a smaller piece for a busy worker shares a write with what comes next
POLL_SECONDS = 0.02  # between looks where nothing tells us of a death
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Crew:
    """All workers of one function.

    Attributes:
        key: what a later job must have in common with this one to take the crew over.
        setup: the body of the frame that carries world and function, in parts.
        imports: modules worth importing in advance.
        threaded: loading the function starts threads, so it is loaded after the fork.
    """

    def __init__(self, key: object, imports: list[str], *, portable: bool, threaded: bool = False) -> None:
        self.key = key
        self.setup: list[Bytes] = []
        self.imports = imports
        self.threaded = threaded
        self.words = Words.create(MOST_WORKERS, room_bytes())
        self.mail = Mail(self.words)
        self._selector = selectors.DefaultSelector()
        self._bell, self._bell_end = pair()
        self._bell.setblocking(False)
        self._bell_end.setblocking(False)
        self._selector.register(self._bell_end, READ, self._on_bell)
        self._rung = False
        self._events: list[Event] = []
        self._seats: dict[int, Seat] = {}
        self._by_worker: dict[int, Seat] = {}
        self._leaving: set[int] = set()  # numbers of seats whose processes may outlive them
        self._last_number = 0
        self._going: list[Seat] = []  # seats whose death is to be judged
        self._unsent: set[Seat] = set()
        self._parent: Forked | Fresh = _parent(self, portable)

    @property
    def serviceable(self) -> bool:
        """Whether somebody waits for work."""
        return self._parent.usable and bool(self._seats)

    # -- what a job asks for ------------------------------------------------------------------------------

    def boot(self, worker: int, index: int = 0) -> None:
        """An idle worker, or else a new one; it is told its index before anything else."""
        for seat in self._seats.values():
            if seat.worker is None and seat.quiescent:
                seat.worker = worker
                seat.defined = 0
                self.words.seat(seat.number, index)
                self._by_worker[worker] = seat
                self._events.append(WorkerReady(worker))
                return
        number = self._free_number()
        if not number:
            self._fail(f"no more than {MOST_WORKERS} workers can run at a time: use a smaller n_jobs.")
            return
        self.words.clear(number)
        self.words.seat(number, index)
        try:
            seat = Seat(number, worker)
        except OSError as error:
            self._fail(refusal(error, "use a smaller n_jobs"), error)
            return
        self._seats[number] = self._by_worker[worker] = seat
        seat.on_channel = lambda mask: self._on_seat(seat, mask)
        seat.on_pidfd = lambda mask: self._on_pidfd(seat)
        self.watch(seat.channel, seat.on_channel)
        try:
            self._parent.start(seat)
        except OSError as error:
            self._fail(refusal(error, "use a smaller n_jobs, or engine='threads'"), error)

    def _free_number(self) -> int:
        """A line of words that nobody writes; the one that was free for longest, should its last owner linger."""
        for step in range(MOST_WORKERS):
            number = (self._last_number + step) % MOST_WORKERS + 1
            if number not in self._seats and number not in self._leaving:
                self._last_number = number
                return number
        return 0

    def send(self, worker: int, parts: list[Bytes]) -> None:
        """Queues a piece, or what goes before it; a worker that has enough to do gets it with the next ``flush``."""
        seat = self._by_worker.get(worker)
        if seat is None:
            return  # gone meanwhile: its WorkerLost is among the events
        seat.unsent += parts
        if len(seat.pieces) < 2 or sum(map(len, parts)) > SHARED_BYTES:
            self._send_unsent(seat)
        else:
            self._unsent.add(seat)

    def _send_unsent(self, seat: Seat) -> None:
        parts, seat.unsent = seat.unsent, []
        self.transmit(seat, parts)

    def transmit(self, seat: Seat, parts: list[Bytes]) -> None:
        """Sends now what the channel takes, the rest when there is room."""
        if not seat.channel.send(parts):
            self.watch_room(seat.channel, seat.on_channel)

    def flush(self) -> None:
        """Sends what was put off, so that it could share a write."""
        while self._unsent:
            seat = self._unsent.pop()
            if seat.unsent and self._seats.get(seat.number) is seat:
                self._send_unsent(seat)

    def seat_of(self, worker: int) -> Seat | None:
        """The seat of a worker that is not known to be gone."""
        return self._by_worker.get(worker)

    def look(self, worker: int) -> tuple[int | None, float]:
        """What a worker runs, and since when."""
        seat = self._by_worker.get(worker)
        return self.words.look(seat.number) if seat is not None else (None, 0.0)

    def kill(self, worker: int) -> None:
        """Ends a worker now."""
        seat = self._by_worker.get(worker)
        if seat is None:
            return
        if seat.born:
            stop_for_stack(seat.pidfd, self.words, seat.number)
            self._kill(seat)
        else:
            seat.stopped = True
            self._leaving.add(seat.number)
            self._judge(seat)

    def ring(self) -> None:
        """Makes the present or next ``wait`` return."""
        try:
            self._bell.send(b"!")
        except (BlockingIOError, OSError):
            pass  # it rings already, or nobody is there to hear it

    def wait(self, timeout: float | None) -> list[Event]:
        """What happened; waits up to ``timeout`` seconds until something has."""
        give_up = None if timeout is None else monotonic() + timeout
        self.flush()
        while True:
            self._turn(0.0 if self._events or self._rung else self._patience(give_up))
            if self._events:
                events, self._events = self._events, []
                return events
            if self._rung or (give_up is not None and monotonic() >= give_up):
                self._rung = False
                return []

    def release(self, reuse: bool) -> bool:
        """The job is over. Returns whether the crew, or what is left of it, can serve another one."""
        for seat in list(self._seats.values()):
            seat.worker = None
            if not (reuse and seat.quiescent and self._parent.usable):
                if seat.born:
                    self._kill(seat)
                self._leaving.add(seat.number)
                self._remove(seat)
        self._by_worker.clear()
        self._going.clear()
        self._unsent.clear()
        self._events.clear()
        self._rung = False
        return reuse and self.serviceable

    def refresh(self) -> None:
        """Before another job begins, in an epoch of its own: buries who has died while nobody looked."""
        self.words.cancel()
        self._turn(0.0)
        while self._going:
            self._judge(self._going[0])
        self._events.clear()

    def stop(self) -> None:
        """Ends all workers and gives everything back."""
        for seat in list(self._seats.values()):
            self._remove(seat)
        self._parent.stop()
        self.mail.discard()
        self._close()

    def abandon(self) -> None:
        """In a fork of this process: closes descriptors and touches nothing else."""
        self._parent.abandon()
        for seat in self._seats.values():
            seat.close()
        self._close()

    def _close(self) -> None:
        self._selector.close()
        self._bell.close()
        self._bell_end.close()
        self.words.close()

    # -- what parents report ------------------------------------------------------------------------------

    def born(self, number: int, pid: int, pidfd: int | None) -> None:
        """A worker lives."""
        seat = self._seats.get(number)
        if seat is None:  # given up before it was born
            if pidfd is not None:
                kill(pidfd)
                os.close(pidfd)
            return
        seat.born = True
        if seat.child_end is not None:
            seat.child_end.close()
            seat.child_end = None
        if pidfd is not None:
            seat.pidfd = pidfd
            self.watch(pidfd, seat.on_pidfd)

    def died(self, number: int, status: int, reason: str) -> None:
        """A worker's parent has its wait status."""
        self._leaving.discard(number)
        seat = self._seats.get(number)
        if seat is not None:
            seat.status = status
            seat.reason = reason
            self._judge(seat)

    def unborn(self) -> list[Seat]:
        """The seats whose worker has not been forked."""
        return [seat for seat in self._seats.values() if not seat.born]

    def note_threads(self) -> None:
        """Loading the function starts threads."""
        self.threaded = True

    def orphaned(self, cause: str) -> None:
        """The parent is gone, and all its workers with it."""
        self._leaving.clear()
        for seat in list(self._seats.values()):
            seat.reason = cause
            self._judge(seat)

    def cannot_load(self, error: bytes) -> None:
        """The function cannot be loaded in a child; ``error`` says why."""
        from allcores.tasks.exceptions import load_error

        cause = load_error(error, None)
        if isinstance(cause, StartError):
            self._events.append(StartFailed(cause))
            return
        self._fail(
            f"workers cannot load the function: {type(cause).__name__}: {cause}. "
            "What the function needs must be importable from sys.path as it is now; "
            "or define it in the main script, or use engine='threads'.",
            cause,
        )

    def cannot_start(self, message: str) -> None:
        """No worker can be had."""
        self._fail(message)

    def _fail(self, message: str, cause: BaseException | None = None) -> None:
        error = StartError(message)
        error.__cause__ = cause
        self._events.append(StartFailed(error))

    # -- the selector -------------------------------------------------------------------------------------

    def watch(self, what: Channel | int, handler: Handler) -> None:
        """Calls the handler when there is something to read."""
        self._selector.register(what, READ, handler)

    def unwatch(self, what: Channel | int) -> None:
        """Stops watching."""
        try:
            self._selector.unregister(what)
        except (KeyError, ValueError):
            pass  # not watched, or closed already

    def watch_room(self, channel: Channel, handler: Handler) -> None:
        """Calls the handler also when there is room to write."""
        self._selector.modify(channel, READ | WRITE, handler)

    def unwatch_room(self, channel: Channel, handler: Handler) -> None:
        """Calls the handler only when there is something to read."""
        self._selector.modify(channel, READ, handler)

    def _patience(self, give_up: float | None) -> float | None:
        dues = [seat.due for seat in self._going if seat.due is not None]
        if give_up is not None:
            dues.append(give_up)
        if self._parent.must_poll:
            dues.append(monotonic() + POLL_SECONDS)
        return max(0.0, min(dues) - monotonic()) if dues else None

    def _turn(self, timeout: float | None) -> None:
        for key, mask in self._selector.select(timeout):
            key.data(mask)
        if self._parent.must_poll:
            self._parent.poll()  # type: ignore[union-attr]
        if self._going:
            now = monotonic()
            for seat in list(self._going):
                if seat.due is not None and now >= seat.due:
                    self._judge(seat)

    def _on_bell(self, mask: int) -> None:
        try:
            self._bell_end.recv(4096)
        except BlockingIOError:
            pass
        self._rung = True

    # -- a worker speaks ----------------------------------------------------------------------------------

    def _on_seat(self, seat: Seat, mask: int) -> None:
        channel = seat.channel
        if self._seats.get(seat.number) is not seat:
            return  # judged by an earlier event of the same turn
        if mask & WRITE and channel.flush():
            self.unwatch_room(channel, seat.on_channel)
        if mask & READ:
            error = self._listen(seat, channel.receive)
            if error is not None:
                self._break_off(seat, error)
            elif channel.ended:
                self.unwatch(channel)
                self._suspect(seat)

    def _listen(self, seat: Seat, receive: Callable[[], list[Frame]]) -> wire.BrokenStream | None:
        """Hears all that has come, up to what is no message; returns that."""
        try:
            for kind, _, _, body in receive():
                self._hear(seat, kind, body)
        except wire.BrokenStream as error:
            seat.babbled = True
            before = error.frames
            self._listen(seat, lambda: before)
            return error
        return None

    def _hear(self, seat: Seat, kind: int, body: bytes | bytearray) -> None:
        if kind == wire.DONE:
            wall, cpu, last, letters, runs = wire.open_done(body)
            read = self.mail.receive(seat.number, runs) if letters else runs
            outcomes = shared_out([_outcome(*each) for each in read], seat.printed)
            if outcomes:
                seat.printed = []
                seat.pieces[0] = outcomes[-1].stop
            if last:
                seat.pieces.popleft()
            if seat.worker is not None:
                self._events.append(ItemsDone(seat.worker, outcomes, wall, cpu, last))
        elif kind == wire.READY:
            seat.ready = True
            if seat.worker is not None:
                self._events.append(WorkerReady(seat.worker))
        elif kind == wire.OUTPUT:
            seat.printed += open_output(body)
        elif kind == wire.FAILED:
            self.cannot_load(bytes(body))

    # -- a worker dies ------------------------------------------------------------------------------------

    def _on_pidfd(self, seat: Seat) -> None:
        if seat.pidfd is not None:
            self.unwatch(seat.pidfd)
        self._suspect(seat)

    def _suspect(self, seat: Seat) -> None:
        """It seems to be gone: its parent's word is waited for a little."""
        if self._seats.get(seat.number) is not seat:
            return  # judged by an earlier event of the same turn
        if seat.due is None:
            seat.due = monotonic() + STATUS_SECONDS
            self._going.append(seat)
        if hasattr(self._parent, "poll"):
            self._parent.poll()

    def _break_off(self, seat: Seat, error: wire.BrokenStream) -> None:
        seat.reason = f"it wrote into its channel what is no message ({error})"
        self.unwatch(seat.channel)
        seat.channel.ended = True
        self._kill(seat)
        self._suspect(seat)

    def _kill(self, seat: Seat) -> None:
        if seat.pidfd is not None and hasattr(signal, "pidfd_send_signal"):
            kill(seat.pidfd)
        else:
            self._parent.kill(seat)

    def _judge(self, seat: Seat) -> None:
        """Delivers what it had sent, then its death; exactly once."""
        if self._seats.get(seat.number) is not seat:
            return
        self._listen(seat, seat.channel.drain)
        if seat.status is None and not seat.stopped:
            self._kill(seat)  # whatever it is that lives on, it is no worker of ours any more
        running = seat.pieces[0] if seat.babbled and seat.pieces else self.words.look(seat.number)[0]
        number, code, cause = verdict(seat.status, seat.stopped, seat.reason)
        if seat.worker is not None:
            output = last_words(self.words, seat.number)
            self._events.append(WorkerLost(seat.worker, running, number, code, cause, output))
        discard(self.words, seat.number)
        self._remove(seat)

    def _remove(self, seat: Seat) -> None:
        self.unwatch(seat.channel)
        if seat.pidfd is not None:
            self.unwatch(seat.pidfd)
        if seat in self._going:
            self._going.remove(seat)
        seat.close()
        self._seats.pop(seat.number, None)
        self.mail.bury(seat.number)
        if seat.worker is not None:
            self._by_worker.pop(seat.worker, None)


def _parent(crew: Crew, portable: bool) -> Forked | Fresh:
    if portable:
        from allcores.processes.fresh import Fresh

        return Fresh(crew)
    from allcores.processes.forked import Forked

    return Forked(crew)


def _outcome(run: wire.Run, bodies: Sequence[memoryview | Letter]) -> Outcome:
    start, stop, kind, retryable, _ = run
    return Outcome(start, stop, kind, tuple(bodies), sum(map(len, bodies)), retryable)
