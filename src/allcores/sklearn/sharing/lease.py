"""One call's share in what a fold's memo knows: the estimator borrows methods that remember, and gives them back.

While a call runs, its transformers carry methods of ours in their ``__dict__``: scikit-learn's code calls them in the
belief that they are the transformer's own. At the latest before anybody else sees the estimator they are taken away
again.
"""

from __future__ import annotations

import functools
import pickle
import time
from collections.abc import Callable, Hashable
from typing import Any

from allcores.sklearn.sharing.keys import parameters
from allcores.sklearn.sharing.memo import Entry, Memo, copy_of
from allcores.sklearn.sharing.warned import held


class GivenUp(BaseException):
    """Ends a call that cannot be shared after all: scikit-learn's plain code has to run it.

    No ``Exception``, as scikit-learn must not take it for a fit that failed.
    """


def gives_up(method: Callable[..., Any]) -> Callable[..., Any]:
    """Give up where a borrowed method fails: a traceback that the user sees must not lead through it."""

    @functools.wraps(method)
    def borrowed(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Exception as error:
            raise GivenUp from error

    return borrowed


def learned(estimator: Any) -> dict[str, Any]:
    """Return the attributes that fitting made."""
    given = parameters(estimator)
    return {name: value for name, value in vars(estimator).items() if name not in given}


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
        self._copies: list[Any] = []
        self._fresh: list[Entry] = []

    def borrow(self, estimator: Any, name: str, method: Callable[..., Any]) -> None:
        """Let an estimator have a method until it is returned."""
        vars(estimator)[name] = method
        self._borrowers.append((estimator, name))

    def known_copy(self, entry: Entry) -> Any:
        """Copy an entry's value; until the lease ends, what is made of the copy is what is made of the value."""
        copied = copy_of(entry.value)
        self.memo.learn(copied, entry.token)
        self._copies.append(copied)
        return copied

    def end(self) -> None:
        """Take every method back; of what the user will see, keep bytes."""
        for estimator, name in self._borrowers:
            vars(estimator).pop(name, None)
        self._borrowers.clear()
        for copied in self._copies:
            self.memo.forget(copied)
        self._copies.clear()
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
            GivenUp: where it failed before.
        """
        if what in self.memo.failed:
            raise GivenUp
        found = self.memo.recall(what)
        if found is None or (self.is_private and isinstance(found.state, dict)):
            return self._first(what, compute, state_of), False
        for shown in found.log:
            shown.again()
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
        except Exception:
            self.memo.failed.add(what)
            raise
        token = None if self.drew else self.memo.token(value) or self.memo.learn(value)
        entry = Entry(value, token, self.clock.time() - started, log, state_of() if state_of else None)
        if not self.drew:
            self.memo.keep(what, entry)
            if entry.state is not None:
                self._fresh.append(entry)
        self.drew = self.drew or drew_before
        return entry
