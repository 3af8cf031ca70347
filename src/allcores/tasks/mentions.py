"""What a pickle mentions of ``__main__``: taken down while it is written, for it must be there where it is opened."""

from __future__ import annotations

import _functools  # type: ignore[import-not-found]
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

    Definitions = dict[str, Any]

cached_function: Any = getattr(_functools, "_lru_cache_wrapper", None)
_FUNCTIONS: Any = (type(lambda: None), cached_function)


class Everything:
    """All names."""

    def __contains__(self, name: object) -> bool:
        return True


class Mentions:
    """Takes down what is met of ``__main__``.

    Attributes:
        recorded: its classes and functions, and what else these must find there, by their names.
        known: names that are known where the pickle goes, so that they are enough for what they name. None: functions
            have globals of their own there, which travel with them; otherwise all share those of ``__main__``.
        root: what travels by value although its name is known.
    """

    __slots__ = ("known", "recorded", "root")

    def __init__(self, known: Container[str] | None = None, root: Any = None) -> None:
        self.recorded: Definitions = {}
        self.known = known
        self.root = root

    def meet(self, value: Any) -> str | None:
        """Takes down a class or function that is found in ``__main__`` by its name; that name, where it is enough."""
        kind: Any = type(value)
        if kind not in _FUNCTIONS and not issubclass(kind, type):
            return None
        if getattr(value, "__module__", None) != "__main__":
            return None
        qualified: str = value.__qualname__
        name, *path = qualified.split(".")
        found = main_globals().get(name)
        if found is not value and not (path and isinstance(found, type)):
            return None
        self.recorded[name] = found
        if self.known is None or name not in self.known or found is self.root:
            return None
        for part in path:
            found = getattr(found, part, None)
        return qualified if found is value else None

    def shares(self, known: dict[str, Any]) -> bool:
        """Whether a function with these globals shares them with all others, where the pickle goes."""
        return self.known is not None and known is main_globals()

    def missing(self, sent: Container[str]) -> Definitions:
        """What must be sent along and was not sent so far."""
        known = self.known or ()
        return {
            name: value for name, value in self.recorded.items() if name not in sent and name not in known
        }


class _MainGlobals:
    """Stands in a pickle for the globals of the main module, wherever that is opened."""

    def __reduce__(self) -> Any:
        return main_globals, ()


MAIN_GLOBALS: Any = _MainGlobals()


def main_globals() -> Definitions:
    """The globals of the main module of this process."""
    return sys.modules["__main__"].__dict__
