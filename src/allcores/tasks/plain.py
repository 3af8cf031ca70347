"""Plain values: those that may share one pickle, because nobody can tell it from a pickle of each.

Inside one pickle, what occurs twice is one object on the other side. Between strings and numbers that is never
seen; between lists, dicts and sets it would be, as soon as one of two items is changed. And whatever runs code
when it is pickled or unpickled must stay on its own, so that its failure is known by its index.
"""

from __future__ import annotations

from io import BytesIO
from itertools import chain
from sys import getrefcount

try:
    from _pickle import Pickler, dumps
except ImportError:  # an interpreter whose pickle is written in Python
    from pickle import Pickler, dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

NUMBERS = frozenset((int, float, complex, bool, type(None)))
TEXTS = frozenset((str, bytes))
ATOMS = NUMBERS | TEXTS
LARGE_BYTES = 1 << 16  # bytes and buffers from this size on travel beside their pickle, where they can
CONTAINERS = frozenset((dict, list, tuple, set, frozenset))
PLAIN = ATOMS | CONTAINERS
MOST_INSIDE = 100  # what a larger container holds costs more to look at than a pickle of its own does
MOST_CHARACTERS = (
    4096  # in a result that waits for others, which would be blamed for the time that its pickle takes
)
SHORT_RANGE = 64  # a range up to this length takes longer to pickle than its numbers
SOURCES = (list, tuple, str, bytes)  # whose slices are looked at; those of an array never hold plain values


def dump_together(items: Sequence[Any]) -> bytes | None:
    """One pickle of all these (as a list, or the range that they are), or None where each needs its own."""
    if type(items) is range:
        return dumps(items if len(items) > SHORT_RANGE else list(items), 5)
    if type(items) not in SOURCES:
        return None
    try:
        types = set(map(type, items))
        if types <= ATOMS:
            return None if bytes in types and _are_large(items) else dumps(list(items), 5)
        if not _stand_alone(items):
            return None
        file = BytesIO()
        _PlainOnly(file, 5).dump(list(items))
        return file.getvalue()
    except Exception:
        return None  # not plain deep inside, changed by another thread meanwhile, or too large


def _are_large(items: Sequence[Any]) -> bool:
    return any(len(each) >= LARGE_BYTES for each in items if type(each) is bytes)


def _stand_alone(items: Sequence[Any]) -> bool:
    """Whether no container occurs twice in these, at any depth; keys and members of sets cannot change anyway."""
    level: Sequence[Any] = items
    seen: set[int] = set()
    count = 0
    while True:
        types = set(map(type, level))
        if types <= ATOMS:
            return True
        if not types <= PLAIN:
            return False
        if not types <= CONTAINERS:
            level = [each for each in level if type(each) in CONTAINERS]
        seen.update(map(id, level))
        count += len(level)
        if len(seen) < count or sum(map(len, level)) > MOST_INSIDE * len(items):
            return False
        contents: Iterable[Any] = (
            map(dict.values, level)
            if types == {dict}
            else (each.values() if type(each) is dict else each for each in level)
        )
        level = list(chain.from_iterable(contents))


class _PlainOnly(Pickler):
    """Refuses whatever is not plain, at no cost for what is: this is called only for what pickle must ask about."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is complex:
            return NotImplemented
        raise TypeError(f"{type(value).__name__} is not plain")


def holds_atoms(container: Any) -> bool:
    """Whether a container is small and holds nothing that could change under it."""
    if len(container) > MOST_INSIDE:
        return False
    for each in container:
        if type(each) not in ATOMS:
            return False
    if type(container) is dict:
        for each in container.values():
            if type(each) not in ATOMS:
                return False
    return True


def _alone() -> int:
    output: list[Any] = []
    return getrefcount(output)


ALONE = _alone()  # what `getrefcount` says of an object that one local variable holds and nobody else
