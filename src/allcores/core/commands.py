"""What to do next. Everything that the scheduler ever asks for is one of these.

Rule of this file: imperative, no behaviour.
"""

from allcores.core.events import Outcome
from allcores.core.records import NamedTuple


class Boot(NamedTuple):
    """Start a worker under this number, which was never used before in this job."""

    worker: int


class Send(NamedTuple):
    """Give the items [start, stop) of the chunk that was offered under ``chunk`` to a worker."""

    worker: int
    chunk: int
    start: int
    stop: int


class Look(NamedTuple):
    """Find out what a worker runs and since when; answer with ``Seen``."""

    worker: int


class Kill(NamedTuple):
    """Stop a worker now; it will be reported lost."""

    worker: int


class Deliver(NamedTuple):
    """These items are settled: put the outcome in order. ``chunk`` is None for items that ran inline."""

    outcome: Outcome
    chunk: int | None


class DeliverLost(NamedTuple):
    """This item is settled: its worker died while it ran."""

    item: int
    chunk: int
    signal: int | None
    exitcode: int | None
    cause: str
    output: str = ""


class DeliverTimeout(NamedTuple):
    """This item is settled: it ran too long."""

    item: int
    chunk: int
    seconds: float
    output: str = ""


class Forget(NamedTuple):
    """Every item of this chunk is settled: what was packed for it is not needed any more."""

    chunk: int


class RunHere(NamedTuple):
    """No worker can run the items [start, stop) of this chunk, or tell what came of it: the calling thread has to."""

    chunk: int
    start: int
    stop: int


class Retire(NamedTuple):
    """Workers are given nothing more: what they are sent, or make, does not travel. The outcome says why."""

    outcome: Outcome


class Abort(NamedTuple):
    """The job cannot go on."""

    error: BaseException


Command = (
    Boot | Send | Look | Kill | Deliver | DeliverLost | DeliverTimeout | Forget | RunHere | Retire | Abort
)
