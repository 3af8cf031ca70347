"""What symbols stand for in one call of one function: where they are rooted, and the objects as far as known.

Objects are looked at without running anybody's code: attributes are read from ``__dict__`` and slots alone.
"""

from __future__ import annotations

import os
import sys
from functools import cache

from allcores.core.records import NamedTuple
from allcores.guard.mutators import is_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


UNKNOWN: Any = type("Unknown", (), {"__repr__": lambda self: "UNKNOWN"})()
MODULE: Any = type(os)
FUNCTION: Any = type(lambda: None)


ITEM_ROOT = "the item"
STANDARD_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")


class Thing(NamedTuple):
    """An object that a symbol may stand for.

    Attributes:
        root: whose it is, in words ("the item", "the global", ...); None where the function made it itself.
        path: how it is written, from its root on.
        known: the object, or UNKNOWN.
        kind: name of its type, where only this is known.
    """

    root: str | None
    path: str
    known: Any = UNKNOWN
    kind: str | None = None

    @property
    def first_name(self) -> str:
        """The variable that it is reached by."""
        return self.path.replace("[", ".").partition(".")[0]


def attribute_of(known: Any, name: str) -> Any:
    """An attribute, or UNKNOWN where finding it would run code."""
    if known is UNKNOWN:
        return UNKNOWN
    kind = type(known)
    if kind is MODULE:
        return known.__dict__.get(name, UNKNOWN)
    if name == "__dict__" or name == "__class__":
        return UNKNOWN
    in_type = lookup(kind, name)
    try:
        own = object.__getattribute__(known, "__dict__")
    except (AttributeError, TypeError):
        own = {}
    if is_class(known):
        own_value = lookup(known, name)
        return own_value.__func__ if isinstance(own_value, (staticmethod, classmethod)) else own_value
    if type(in_type).__name__ in ("member_descriptor",):
        try:
            return in_type.__get__(known)
        except AttributeError:
            return UNKNOWN
    if type(own) is dict and name in own:
        return own[name]
    if isinstance(in_type, staticmethod):
        return in_type.__func__
    if isinstance(in_type, property) or type(in_type).__name__ == "cached_property":
        return UNKNOWN
    return in_type


def immutable(known: Any) -> bool:
    return known is None or type(known) in (int, float, complex, bool, str, bytes, tuple, frozenset, range)


def is_standard_stream(known: Any) -> bool:
    """Whether it is one of those that print and input use: what happens to them is nobody's loss."""
    return any(known is getattr(sys, name, None) for name in STANDARD_STREAMS)


def lookup(kind: type, name: str) -> Any:
    """What a type, or one that it descends from, has under this name."""
    for each in type.__getattribute__(kind, "__mro__"):
        found = each.__dict__.get(name, UNKNOWN)
        if found is not UNKNOWN:
            return found
    return UNKNOWN


def owner_of(kind: type, name: str) -> type | None:
    """The type that gives objects of this one the method of this name."""
    for each in type.__getattribute__(kind, "__mro__"):
        if name in each.__dict__:
            owner: type = each
            return owner
    return None


def is_users_module(module: Any) -> bool:
    """Whether a module is the user's own, and not a library's."""
    if getattr(module, "__name__", "") == "__main__":
        return True
    path = module.__dict__.get("__file__")
    return isinstance(path, str) and is_users_file(path)


def is_users_code(code: Any) -> bool:
    """Whether a function was written by the user."""
    return is_users_file(code.co_filename)


@cache
def is_users_file(path: str) -> bool:
    """Whether this is neither the standard library nor an installed package nor we ourselves."""
    if path.startswith("<frozen") or "site-packages" in path or "dist-packages" in path:
        return False
    return not path.startswith(_library_places())


@cache
def _library_places() -> tuple[str, ...]:
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return ours + os.sep, os.path.dirname(os.__file__) + os.sep


def is_users_class(kind: type) -> bool:
    """Whether a class comes from one of the user's modules."""
    module = sys.modules.get(kind.__module__)
    return kind.__module__ != "builtins" and (module is None or is_users_module(module))
