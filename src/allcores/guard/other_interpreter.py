"""What would differ in another interpreter, though every byte arrives: names, hashes, and who is who.

A function that asks for one of these is not run in processes by ``engine="auto"``.
"""

from __future__ import annotations

import os
import sys

from allcores.guard.symbols import CONST, Symbol
from allcores.guard.things import ITEM_ROOT, UNKNOWN, Thing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


LOOKS_UP_NAMES = (eval, exec, globals)


def names_looked_up_by(function: Any, arguments: tuple[Symbol, ...] = ()) -> str | None:
    """Why a worker would find other names, if this is a built-in that looks them up where it is called.

    ``eval`` and ``exec`` that are given a dict of names look them up there, and that travels.

    Example:
        >>> names_looked_up_by(eval)
        'eval finds other names in a worker, where only those are that the function itself mentions'
        >>> names_looked_up_by(eval, (("param", "text"), ("param", "names"))) is None
        True
    """
    if not any(function is each for each in LOOKS_UP_NAMES):
        return None
    if len(arguments) > 1 and arguments[1] != (CONST, None):
        return None
    return f"{function.__name__} finds other names in a worker, where only those are that the function itself mentions"


def hashed_by(function: Any) -> str | None:
    """Why results may differ, if this is ``hash`` and each interpreter has a seed of its own."""
    if function is hash and hashes_differ():
        return "hash of str and bytes differs from interpreter to interpreter, unless PYTHONHASHSEED is set"
    return None


def hashes_differ() -> bool:
    """Whether an interpreter that is started now hashes otherwise than this one."""
    seed = "" if sys.flags.ignore_environment else os.environ.get("PYTHONHASHSEED", "")
    return bool(sys.flags.hash_randomization) and seed in ("", "random", "0")


def is_sentinel(thing: Thing) -> bool:
    """Whether this is a plain ``object()`` that others hold too: nothing but its identity tells what it means."""
    return thing.root is not None and thing.known is not UNKNOWN and type(thing.known) is object


def sentinel_told_apart(left: Thing, right: Thing) -> str | None:
    """Why ``left is right`` may come out otherwise, if one is the item and the other a sentinel.

    Example:
        >>> MISSING = object()
        >>> sentinel_told_apart(Thing("the item", "x"), Thing("the global", "MISSING", MISSING))
        "an item that is 'MISSING' arrives in a worker as another object"
    """
    for item, other in ((left, right), (right, left)):
        if item.root == ITEM_ROOT and other.root != ITEM_ROOT and is_sentinel(other):
            return f"an item that is {other.path!r} arrives in a worker as another object"
    return None


def sentinel_returned(things: list[Thing]) -> str | None:
    """Why results may differ, if a sentinel is among what a function may return."""
    for each in things:
        if each.root != ITEM_ROOT and is_sentinel(each):
            return f"{each.path!r}, which it may return, arrives from a worker as another object"
    return None
