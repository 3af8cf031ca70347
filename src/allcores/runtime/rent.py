"""What calls of this process have lost so far because no workers were there: the rent of the next start.

A call that stays inline only because workers would take too long to start pays rent: the time that it would have
saved with workers that are warm. Once that adds up to many times what a start takes from the calling thread (it
goes on in the background, once the call is over), the start is bought, for the calls to come.
"""

from __future__ import annotations

PRICE_SECONDS = 0.1  # several times what a start takes from the calling thread: modules, and one new process

_paid_seconds = 0.0


def pay(seconds: float) -> None:
    """A call has ended that would have been so much faster with workers that are warm."""
    global _paid_seconds
    _paid_seconds += seconds


def is_due(seconds: float) -> bool:
    """Whether workers should be started now, after a call that has lost so much.

    >>> is_due(0.0), is_due(10 * PRICE_SECONDS)
    (False, True)
    """
    return seconds > 0 and _paid_seconds + seconds > PRICE_SECONDS


def forget() -> None:
    """Workers have been started: the count begins anew."""
    global _paid_seconds
    _paid_seconds = 0.0
