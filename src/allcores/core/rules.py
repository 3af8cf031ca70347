"""What the scheduler must keep to in one job."""

from __future__ import annotations

from allcores.core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Rules(NamedTuple):
    """What the user's options mean to the scheduler."""

    length: int | None = None  # number of items, where it is known
    chunksize: int | None = None
    window: int | None = None  # items pulled and not yet taken by the user; None: by measured cost
    bounded: bool = False  # a stream: results wait for their consumer
    window_bytes: int = 64 << 20
    timeout: float | None = None
    retries: int = 0
    retry_wait_seconds: float = 0.0
    retry_lost: bool = True
    retry_timeout: bool = True
    stop_on_error: bool = True
    whole_leaves: bool = False
    costs: Sequence[float] | None = None  # relative, by item: the longest first
    may_run_here: bool = False  # where no worker can be had, the calling thread runs the items
