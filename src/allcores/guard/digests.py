"""Digests of what a function can reach, taken before and after an item runs: whether they differ tells of a write.

They are cheap and see less than everything: so many elements at most, small arrays, instances of the user's own
classes by their ``__dict__``, and anything else by its identity. No code of the user's runs for them.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

MOST_ELEMENTS = 40  # of all values together: some ten microseconds
MOST_ARRAY_BYTES = 8192
DEEPEST = 5
ATOMS = (int, float, complex, bool, type(None), bytes, str)
IMMUTABLE = frozenset((*ATOMS, tuple, frozenset, range, type, type(sys), type(len), type(lambda: None)))


class Held(NamedTuple):
    """A variable that a function can reach."""

    root: str
    name: str
    value: Any


def held_by(functions: list[Any]) -> list[Held]:
    """What functions have captured, and the globals that they name, as far as these can change."""
    found: list[Held] = []
    for function in functions:
        while type(function).__name__ == "partial" and hasattr(function, "func"):
            found += [Held("the argument of partial", str(i), each) for i, each in enumerate(function.args)]
            found += [Held("the argument of partial", *each) for each in function.keywords.items()]
            function = function.func
        owner = getattr(function, "__self__", None)
        if type(function).__name__ == "method":
            found.append(Held("the object of the method", "self", owner))
            function = function.__func__
        code = getattr(function, "__code__", None)
        if code is None:
            found.append(Held("the object", type(function).__name__, function))
            continue
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
            try:
                found.append(Held("the captured variable", name, cell.cell_contents))
            except ValueError:
                pass
        for value in function.__defaults__ or ():
            found.append(Held("the default argument", "of the function", value))
        known = function.__globals__
        found += [Held("the global", name, known[name]) for name in code.co_names if name in known]
    return [each for each in found if can_change(each.value)]


def can_change(value: Any) -> bool:
    """Whether a digest of this value could ever differ from an earlier one."""
    kind = type(value)
    return kind not in IMMUTABLE and not issubclass(kind, type)


def digests(held: list[Held]) -> list[int]:
    """A number for each, the same as long as nothing is written."""
    budget = [MOST_ELEMENTS]
    found = []
    for each in held:
        parts: list[int] = []
        _take(each.value, parts, budget, 0)
        found.append(hash(tuple(parts)))
    return found


def _take(value: Any, parts: list[int], budget: list[int], depth: int) -> None:
    kind = type(value)
    budget[0] -= 1
    if kind in ATOMS:
        parts.append(hash(value) if kind not in (str, bytes) or len(value) < 1000 else id(value))
        return
    parts.append(id(value))
    if depth > DEEPEST:
        return
    if kind in (list, tuple, set, frozenset) or kind.__name__ == "deque":
        parts.append(len(value))
        _take_each(value, parts, budget, depth)
    elif kind is dict or (issubclass(kind, dict) and kind.__module__ == "collections"):
        parts.append(dict.__len__(value))
        for name, each in dict.items(value):
            if budget[0] <= 0:
                return
            _take(name, parts, budget, depth + 1)
            _take(each, parts, budget, depth + 1)
    elif kind is bytearray or kind.__module__ == "numpy":
        size = len(value) if kind is bytearray else getattr(value, "nbytes", MOST_ARRAY_BYTES)
        if size < MOST_ARRAY_BYTES:
            parts.append(hash(bytes(value) if kind is bytearray else value.tobytes()))
            budget[0] -= size // 100
    elif kind.__module__ in USERS or _is_users(kind):
        _take_instance(value, kind, parts, budget, depth)


def _take_each(values: Any, parts: list[int], budget: list[int], depth: int) -> None:
    for each in values:
        if budget[0] <= 0:
            return
        _take(each, parts, budget, depth + 1)


def _take_instance(value: Any, kind: type, parts: list[int], budget: list[int], depth: int) -> None:
    """An object's attributes, those aside that are there to be filled once."""
    try:
        own = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return
    if type(own) is not dict:
        return
    for name, each in own.items():
        if budget[0] <= 0:
            return
        filled = any(type(base.__dict__.get(name)).__name__ == "cached_property" for base in kind.__mro__)
        if not filled and "cache" not in name and "memo" not in name:
            parts.append(hash(name))
            _take(each, parts, budget, depth + 1)


USERS = frozenset(("__main__",))


def _is_users(kind: type) -> bool:
    from allcores.guard.things import is_users_class

    return is_users_class(kind)
