"""Where a function may run, as far as that hangs on what it shares with other threads or finds in its interpreter."""

from __future__ import annotations

from allcores.guard import mutators, other_interpreter, process_wide
from allcores.guard.mutators import type_name
from allcores.guard.symbols import Symbol
from allcores.guard.things import UNKNOWN, Thing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Whereabouts:
    """Takes in what a function uses, calls and sets.

    Attributes:
        not_in_threads: why threads may not even wait for it; None if they may.
        not_in_processes: why another interpreter may give other results; None if nothing says so.
    """

    def __init__(self) -> None:
        self.not_in_threads: str | None = None
        self.not_in_processes: str | None = None

    def calls(self, function: Any, arguments: tuple[Symbol, ...] = ()) -> None:
        """It calls this, with these arguments."""
        if function is not UNKNOWN:
            self.no_threads(process_wide.set_by(function))
            self.no_processes(other_interpreter.names_looked_up_by(function, arguments))

    def uses(self, thing: Thing) -> None:
        """It uses this object, for whatever."""
        if thing.known is not UNKNOWN:
            self.no_threads(process_wide.moved_by_use(thing))
            self.no_processes(other_interpreter.hashed_by(thing.known))

    def calls_method(self, thing: Thing, name: str) -> None:
        """It calls this method of an object."""
        self.uses(thing)
        if name in mutators.METHODS.get(type_name(type(thing.known)), ()):
            self.writes_to(thing)

    def writes_to(self, thing: Thing, attribute: str = "") -> None:
        """It writes to this object, or to an attribute of it."""
        self.no_threads(process_wide.set_by_writing(thing, attribute))

    def compares(self, left: Thing, right: Thing) -> None:
        """It asks whether one is the other."""
        self.no_processes(other_interpreter.sentinel_told_apart(left, right))

    def returns(self, things: list[Thing]) -> None:
        """It returns one of these."""
        self.no_processes(other_interpreter.sentinel_returned(things))

    def no_threads(self, reason: str | None) -> None:
        self.not_in_threads = self.not_in_threads or reason

    def no_processes(self, reason: str | None) -> None:
        self.not_in_processes = self.not_in_processes or reason
