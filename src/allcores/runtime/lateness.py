"""The probe of the GIL: how late does a thread wake that sleeps half a millisecond, while an item runs?"""

from __future__ import annotations

import threading
import time
from contextlib import closing

from allcores.processes import presence
from allcores.runtime.importing import Imports
from allcores.runtime.urgency import urgent
from allcores.tasks.run_delay import RunDelay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

SLEEP_SECONDS = 0.0005
LATE_SECONDS = 0.002
ENOUGH_PROBES = 3  # for one of them to be left out
WARM_PATIENCE_SECONDS = 0.0015
COLD_PATIENCE_SECONDS = 0.006


def patience(nothing_known: bool) -> float:
    """How long an item may run before it is a reason to think again: on a warm pool the first one less long."""
    return WARM_PATIENCE_SECONDS if nothing_known and presence.is_warm() else COLD_PATIENCE_SECONDS


class Lateness:
    """What probes have found out. Made by the thread that probes."""

    def __init__(self) -> None:
        self._run_delay = RunDelay()
        self.forget()

    def close(self) -> None:
        """No more probes are made."""
        self._run_delay.close()

    def forget(self) -> None:
        """What was found says nothing about other items."""
        self._probed_seconds = self._late_seconds = 0.0
        self._probes = 0
        self._longest_seconds = 0.0  # of a late probe

    def probe(self) -> None:
        """How late does this thread wake? Being without a core does not count: that is not the GIL's doing."""
        with urgent:  # to read a file gives the GIL away
            delay_began = self._run_delay.seconds()
        began = time.monotonic()
        time.sleep(SLEEP_SECONDS)
        took = time.monotonic() - began
        if took - SLEEP_SECONDS > LATE_SECONDS:
            with urgent:
                took -= self._run_delay.seconds() - delay_began
        self._probes += 1
        self._probed_seconds += took
        if took - SLEEP_SECONDS > LATE_SECONDS:
            self._late_seconds += took - SLEEP_SECONDS
            self._longest_seconds = max(self._longest_seconds, took)

    @property
    def doubtful(self) -> bool:
        """Whether all lateness may come from one stall of the machine."""
        return self._late_seconds > 0 and self._probes < ENOUGH_PROBES

    @property
    def share(self) -> float | None:
        """For what share of the time others were kept from the GIL; None: not known. One stall does not count."""
        late, probed = self._late_seconds, self._probed_seconds
        if late and self._probes >= ENOUGH_PROBES:
            late, probed = late - (self._longest_seconds - SLEEP_SECONDS), probed - self._longest_seconds
        return late / probed if probed else None


class Probing:
    """A context whose thread probes while the calling thread runs one item, until ``stop``.

    The thread stays to the end of the context: what it has computed can be told from what the item has as long as it
    lives.

    Attributes:
        share: afterwards, for what share of the time others were kept from the GIL; None: the item was too short.
    """

    def __init__(self, nothing_known: bool) -> None:
        self.share: float | None = None
        self._patience_seconds = patience(nothing_known)
        self._stopped, self._over = threading.Event(), threading.Event()
        self._imports = Imports(threading.get_ident())
        self._thread = threading.Thread(target=self._probe, name="allcores-probe", daemon=True)

    def __enter__(self) -> Probing:
        self._thread.start()
        return self

    def stop(self) -> None:
        """The item has ended."""
        self._stopped.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._over.set()
        self._thread.join()

    def _probe(self) -> None:
        with closing(Lateness()) as lateness:
            self._stopped.wait(self._patience_seconds)
            while not self._stopped.is_set():
                lateness.probe()
                if self._imports.seen():
                    lateness.forget()
                self.share = lateness.share
        self._over.wait()
