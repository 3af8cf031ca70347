"""What has been computed for a fold already, by what it was computed from.

Things are known by tokens: a slice of the data and a result that was kept have one, anything else has none, so that
only work on these very objects is ever shared. Room is bounded; what was used longest ago goes first. What the
last two calls used stays: most likely the next one needs it, and a call that shares nothing has as much in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
from scipy import sparse

from allcores.sklearn.sharing.warned import Shown

LEAST_ROOM_BYTES = 64 << 20
ROOM_IN_FOLDS = 8


class Entry:
    """Something computed: its value, what it took, what was said meanwhile, and what it made of the estimator.

    It has a token unless something was drawn on the way, and nobody else may have it.
    """

    __slots__ = ("log", "seconds", "size_bytes", "state", "token", "used_in", "value")

    def __init__(self, value: Any, token: Hashable, seconds: float, log: list[Shown], state: Any) -> None:
        self.value = value
        self.token = token
        self.seconds = seconds
        self.log = log
        self.state = state
        self.size_bytes = size_bytes(value)
        self.used_in = 0  # the number of the call


class Memo:
    """What is known about one fold."""

    def __init__(self) -> None:
        self.failed: set[Hashable] = set()
        self.room_bytes = LEAST_ROOM_BYTES
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._used_bytes = 0
        self._call = 0
        self._known: dict[int, tuple[Any, Hashable]] = {}  # by identity; what is kept keeps its id its own
        self._tokens = count(1)

    def call_begins(self) -> None:
        """From here on what is used is used by another call."""
        self._call += 1

    def learn(self, thing: Any, token: Hashable = None) -> Hashable:
        """Give a thing a token, a new one or that of its equal."""
        token = next(self._tokens) if token is None else token
        self._known[id(thing)] = (thing, token)
        return token

    def forget(self, thing: Any) -> None:
        """Take a thing's token away."""
        self._known.pop(id(thing), None)

    def token(self, thing: Any) -> Hashable:
        """Return the token of a thing; ``None`` for a stranger."""
        if thing is None:
            return 0
        found = self._known.get(id(thing))
        return found and found[1]

    @contextmanager
    def knowing(self, thing: Any, token: Hashable) -> Iterator[None]:
        """Know a thing by a token for a while."""
        if self.token(thing) is not None:
            yield
            return
        self.learn(thing, token)
        try:
            yield
        finally:
            self.forget(thing)

    def recall(self, what: Hashable) -> Entry | None:
        """Return what was kept under a name, and count it as used."""
        entry = self._entries.get(what)
        if entry is not None:
            self._entries.move_to_end(what)
            entry.used_in = self._call
        return entry

    def keep(self, what: Hashable, entry: Entry) -> None:
        """Keep an entry, and drop old ones where there is no room."""
        self.drop(what)
        self._entries[what] = entry
        entry.used_in = self._call
        self._used_bytes += entry.size_bytes
        while self._used_bytes > self.room_bytes:
            oldest = next(iter(self._entries))
            if self._entries[oldest].used_in >= self._call - 1:
                return
            self.drop(oldest)

    def drop(self, what: Hashable) -> None:
        """Forget an entry, and the token of its value."""
        entry = self._entries.pop(what, None)
        if entry is not None:
            self._used_bytes -= entry.size_bytes
            self.forget(entry.value)


def size_bytes(thing: Any) -> int:
    """Return about how much memory data takes."""
    if isinstance(thing, np.ndarray):
        return int(thing.nbytes)
    if sparse.issparse(thing):
        parts = [getattr(thing, name, None) for name in ("data", "indices", "indptr")]
        return sum(int(part.nbytes) for part in parts if isinstance(part, np.ndarray))
    if hasattr(thing, "memory_usage"):
        return int(np.sum(thing.memory_usage()))
    return 64 * len(thing) if isinstance(thing, list) else 0


def is_stable(thing: Any) -> bool:
    """Say whether data stays what it is while it is only read.

    Sparse matrices whose indices are not in order, as a vectorizer makes them, may be put in order by whoever reads
    them, and then sums come out in another order. Of these everybody gets a copy.
    """
    if sparse.issparse(thing):
        return thing.format in ("csr", "csc") and bool(thing.has_canonical_format)
    return True


def is_alike_when_copied(thing: Any) -> bool:
    """Say whether a copy lies in memory as the original does, so that sums over it come out the same."""
    return not isinstance(thing, np.ndarray) or thing.flags.c_contiguous or thing.flags.f_contiguous


def copy_of(thing: Any) -> Any:
    """Return a copy of data that lies in memory as the original does."""
    return thing.copy(order="K") if isinstance(thing, np.ndarray) else thing.copy()
