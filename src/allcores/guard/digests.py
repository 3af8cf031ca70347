"""Digests of what a function can reach, taken before and after an item runs: whether they differ tells of a write.

They are cheap and see less than everything: so many elements at most, small arrays, and of other objects the
attributes in their ``__dict__``. Objects of packages fill caches there and count, so of these less is taken:

- of instances of the user's own classes all attributes;
- of estimators (who have ``fit`` and ``get_params``) those whose names do not begin with an underscore;
- of other objects the same names, and of their values the lists, dicts, sets and tuples;
- of the standard library's, and of packages whose objects change by being read or used, none: see ``BY_IDENTITY``.

Attributes with "cache" or "memo" in their names and cached properties are nobody's loss. No code of the user's runs.
"""

from __future__ import annotations

import sys
from itertools import islice

from allcores.core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


MOST_ELEMENTS = 40  # of all values together: some ten microseconds
MOST_ATTRIBUTES = 200  # of one object, whose names are taken
MOST_ARRAY_BYTES = 8192
DEEPEST = 5
ATOMS = (int, float, complex, bool, type(None), bytes, str)
BY_IDENTITY = frozenset(
    (
        *(
            "numpy",
            "pandas",
            "polars",
            "pyarrow",
            "scipy",
            "xarray",
            "dask",
            "torch",
            "tensorflow",
            "keras",
            "jax",
        ),
        *(
            "matplotlib",
            "PIL",
            "cv2",
            "h5py",
            "requests",
            "urllib3",
            "httpx",
            "aiohttp",
            "sqlalchemy",
            "tqdm",
            "rich",
        ),
    )
)
USERS_VALUES = frozenset(
    ("types.SimpleNamespace", "argparse.Namespace")
)  # a library's, to hold what users put there
ALL, PUBLIC, HOLDING, NOTHING = "all", "public", "public that hold others", "nothing"
CONTAINERS = (list, dict, set, frozenset, tuple)
IMMUTABLE = frozenset((*ATOMS, tuple, frozenset, range, type, type(sys), type(len), type(lambda: None)))


class Held(NamedTuple):
    """A variable that a function can reach."""

    root: str
    name: str
    value: Any


def held_by(functions: list[Any]) -> list[Held]:
    """What functions have captured, and the globals that they name, as far as these can change."""
    return [each for each in reached_by(functions) if can_change(each.value)]


def reached_by(functions: list[Any]) -> list[Held]:
    """What functions have captured, and the globals that they name."""
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
    return found


def remedy_for(changed: Held) -> str:
    """What the user can do about a value that an item changes."""
    from allcores.guard import estimators, mutators

    return estimators.REMEDY if estimators.is_estimator(changed.value) else mutators.REMEDY


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
    elif isinstance(kind.__module__, str):
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
    if type(own) is not dict or not own:
        return
    share = _share(value, kind)
    if share == NOTHING:
        return
    attributes = [
        (name, each)
        for name, each in islice(own.items(), MOST_ATTRIBUTES)
        if _is_state(name, kind) and (share == ALL or name[:1] != "_")
    ]
    parts += [hash(name) for name, _ in attributes]  # all of them, whatever is left of the budget
    for _, each in attributes:
        if budget[0] <= 0:
            return
        if share != HOLDING or type(each) in CONTAINERS:
            _take(each, parts, budget, depth + 1)


def _share(value: Any, kind: type) -> str:
    """Which of an object's attributes are taken."""
    from allcores.guard.estimators import is_estimator
    from allcores.guard.things import is_users_class

    package = str(kind.__module__).partition(".")[0]
    if is_users_class(kind) or f"{kind.__module__}.{kind.__qualname__}" in USERS_VALUES:
        return ALL
    if package in BY_IDENTITY or package in sys.stdlib_module_names:
        return NOTHING
    return PUBLIC if is_estimator(value) else HOLDING


def _is_state(name: Any, kind: type) -> bool:
    if type(name) is not str or "cache" in name or "memo" in name:
        return False
    return not any(type(base.__dict__.get(name)).__name__ == "cached_property" for base in kind.__mro__)
