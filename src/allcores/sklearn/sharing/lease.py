"""One call's share in what a fold's memo knows: the estimator borrows methods that remember, and gives them back.

While a call runs, its transformers carry methods of ours in their ``__dict__``: scikit-learn's code calls them in the
belief that they are the transformer's own. At the latest before anybody else sees the estimator they are taken away
again.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Hashable
from typing import Any

from allcores.sklearn.sharing.memo import Entry, Memo, is_stable
from allcores.sklearn.sharing.warned import held


class GivenUp(BaseException):
    """Ends a call that cannot be shared after all: scikit-learn's plain code has to run it.

    No ``Exception``, as scikit-learn must not take it for a fit that failed.
    """


class Clock:
    """The time as scikit-learn would read it, had it done all the work itself."""

    def __init__(self) -> None:
        self._charged_seconds = 0.0

    def charge(self, seconds: float) -> None:
        """Add the time of work that somebody else did."""
        self._charged_seconds += seconds

    def time(self) -> float:
        """Return the time."""
        return time.time() + self._charged_seconds


class Lease:
    """What one call borrowed."""

    def __init__(self, memo: Memo, clock: Clock, is_private: bool) -> None:
        """Open a lease.

        Args:
            memo: what is known about the fold.
            clock: the one that the call is timed by.
            is_private: that the user will see the estimator, so that what is fitted must be nobody else's as well.
        """
        self.memo = memo
        self.clock = clock
        self.is_private = is_private
        self.drew = False  # part of the work at hand was not shared, so neither is the whole
        self._borrowers: list[tuple[Any, str]] = []
        self._fresh: list[Entry] = []

    def borrow(self, estimator: Any, name: str, method: Callable[..., Any]) -> None:
        """Let an estimator have a method until it is returned."""
        vars(estimator)[name] = method
        self._borrowers.append((estimator, name))

    def end(self) -> None:
        """Take every method back; of what the user will see, keep bytes."""
        for estimator, name in self._borrowers:
            vars(estimator).pop(name, None)
        self._borrowers.clear()
        if self.is_private:
            for entry in self._fresh:
                entry.state = pickle.dumps(entry.state, protocol=5)
        self._fresh.clear()

    def state(self, entry: Entry) -> dict[str, Any]:
        """Return the fitted attributes that an entry holds, for one more estimator."""
        fitted: dict[str, Any] = pickle.loads(entry.state) if isinstance(entry.state, bytes) else entry.state
        return fitted

    def once(
        self, what: Hashable, compute: Callable[[], Any], state_of: Callable[[], dict[str, Any]] | None = None
    ) -> tuple[Entry, bool]:
        """Compute something, or find it, warn as it did, and charge the time that it took.

        Args:
            what: its name.
            compute: makes its value.
            state_of: the fitted attributes that this left on the estimator.

        Returns:
            The entry, and whether it was found.

        Raises:
            GivenUp: where it fails or failed before.
        """
        if what in self.memo.failed:
            raise GivenUp
        found = self.memo.recall(what)
        if found is None or (self.is_private and isinstance(found.state, dict)):
            return self._first(what, compute, state_of), False
        try:
            for shown in found.log:
                shown.again()
        except Exception as error:  # filters that make errors of warnings have changed
            raise GivenUp from error
        self.clock.charge(found.seconds)
        return found, True

    def _first(
        self, what: Hashable, compute: Callable[[], Any], state_of: Callable[[], dict[str, Any]] | None
    ) -> Entry:
        drew_before, self.drew = self.drew, False
        started = self.clock.time()
        try:
            with held() as log:
                value = compute()
        except Exception as error:
            self.memo.failed.add(what)
            raise GivenUp from error
        entry = Entry(value, self.clock.time() - started, log, state_of() if state_of else None)
        if not self.drew and is_stable(value):
            if self.memo.token(value) is None:
                self.memo.learn(value)
            self.memo.keep(what, entry)
            if entry.state is not None:
                self._fresh.append(entry)
        self.drew = self.drew or drew_before
        return entry
