"""The helper thread of one job: does what the calling thread cannot while it is inside user code.

It is the boot timer (an item that takes long is a reason to start workers before it has ended), the probe of the
GIL (how late does a thread wake that sleeps half a millisecond), the feeder (of lists, ranges and arrays) and
the reactor (drives the pump when nobody else has for a while). It never runs the user's function.
"""

from __future__ import annotations

import _thread
import threading
import time
from contextlib import closing

from allcores.core.plan import CHEAP_SECONDS, WAITING_SHARE
from allcores.runtime.importing import Imports
from allcores.runtime.lateness import SLEEP_SECONDS, WARM_PATIENCE_SECONDS, Lateness, patience
from allcores.runtime.processor import cpu_clock, own_threads
from allcores.runtime.urgency import urgent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from allcores.runtime.caller import Caller

REACTOR_PATIENCE_SECONDS = 0.005
TURN_SECONDS = 0.05
PARK_AFTER_SECONDS = 0.1
BRIEF_SECONDS = (
    0.001  # an item: of such ones is believed what an earlier call has found, since a look costs them more
)
OVERDUE = 1.5  # times as long as items of the known cost take


class Helper:
    """A daemon thread that watches over one caller until it is closed."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._wake = threading.Event()
        self._parked = False
        self._cpu_clock = cpu_clock()
        self._item_cpu_began = 0.0
        self._computing_since = 0.0  # when imports inside the running items were last seen to go on
        self._imports = Imports(threading.get_ident())
        self._prepared = False
        _thread.start_new_thread(self._help, ())  # unlike threading.Thread.start it waits for nothing

    def wake(self) -> None:
        """The caller has left for user code, or is closed."""
        self._item_cpu_began = self._cpu_clock()
        self._computing_since = 0.0
        self._imports.begin()
        if self._parked:
            self._wake.set()

    def _help(self) -> None:
        own_threads.add(threading.get_native_id())
        try:
            with closing(Lateness()) as lateness:
                self._watch(lateness)
        except BaseException as error:  # for the caller to raise: this thread has nobody to tell
            pump = self._caller.pump
            pump.failure = error
            if pump.engine is not None:
                pump.engine.ring()
        finally:
            own_threads.discard(threading.get_native_id())

    def _watch(self, lateness: Lateness) -> None:
        caller = self._caller
        idle_since = time.monotonic()
        while not caller.closed:
            since = caller.away_since
            if since is None:
                if time.monotonic() - idle_since > PARK_AFTER_SECONDS:
                    self._park()
                    idle_since = time.monotonic()
                else:
                    time.sleep(REACTOR_PATIENCE_SECONDS)
                continue
            idle_since = time.monotonic()
            if caller.pump.engine is None:
                self._watch_item(since, lateness)
            else:
                self._react(since)

    def _park(self) -> None:
        self._wake.clear()
        self._parked = True
        if self._caller.away_since is None and not self._caller.closed:
            self._wake.wait()
        self._parked = False

    def _watch_item(self, since: float, lateness: Lateness) -> None:
        """Probes the GIL while an item runs; when it takes long, lets the caller's planner think again."""
        caller = self._caller
        if not caller.runs_items or caller.source.ended:
            time.sleep(REACTOR_PATIENCE_SECONDS)
            return
        each = caller.pump.scheduler.cost.each
        quiet_seconds = patience(each is None)
        late_share = lateness.share
        if late_share is None and each is not None and each < BRIEF_SECONDS:
            late_share = caller.planner.late_share
        if each is not None and late_share is not None:  # what is known holds until they are overdue
            quiet_seconds = max(quiet_seconds, OVERDUE * each * caller.runs_items)
        elif each is not None and each > CHEAP_SECONDS:  # whether threads could help is not known yet
            quiet_seconds = WARM_PATIENCE_SECONDS
        wait = since + quiet_seconds - time.monotonic()
        if wait > 0:
            if each is None and not self._prepared:
                self._prepare(since, wait)
            else:
                time.sleep(wait)
            return
        lateness.probe()
        if caller.away_since != since:
            others_run = caller.away_since is not None and caller.runs_items > 0  # that are like these
            if others_run and not lateness.doubtful:
                caller.planner.observe_lateness(lateness.share)
            return
        if self._imports.seen():
            self._computing_since = time.monotonic()
            self._item_cpu_began = self._cpu_clock()
            lateness.forget()
            return
        running = time.monotonic() - max(since, self._computing_since)
        if running < self._computing_since - since:  # what follows imports may still be part of a first time
            time.sleep(SLEEP_SECONDS)
            return
        computed = self._cpu_clock() - self._item_cpu_began
        waits = computed < WAITING_SHARE * running
        if waits and lateness.doubtful:  # nobody should keep us from the GIL
            return
        caller.planner.observe_lateness(lateness.share)
        with urgent, caller.planner.own_imports():
            caller.consider_running_items(running, computed)
        self._imports.begin()
        if caller.pump.engine is None:
            time.sleep(min(0.05, running))

    def _prepare(self, since: float, most_seconds: float) -> None:
        """A first item that waits leaves time for loading what will be asked, and needed, if it goes on waiting."""
        time.sleep(min(most_seconds, WARM_PATIENCE_SECONDS))
        self._prepared = True
        computed = self._cpu_clock() - self._item_cpu_began
        waits = computed < WAITING_SHARE * (time.monotonic() - since)
        if waits and self._caller.away_since == since and not self._imports.seen():
            with urgent, self._caller.planner.own_imports():
                self._caller.planner.prepare_for_threads()
            self._imports.begin()

    def _react(self, since: float) -> None:
        """Feeds and drives the pump, once the caller has been away for long enough."""
        caller = self._caller
        patience_seconds = WARM_PATIENCE_SECONDS if caller.runs_items else REACTOR_PATIENCE_SECONDS
        wait = since + patience_seconds - time.monotonic()
        if wait > 0:
            time.sleep(wait)
            return
        with urgent:
            with caller.feeding:
                if caller.source.random_access and caller.away_since == since:
                    caller.feed()
            with caller.pump.lock:
                if caller.away_since == since and not caller.closed:
                    caller.pump.step(TURN_SECONDS)
