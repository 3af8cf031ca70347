"""Random generators that a function may draw from without being given one: those of the process, and captured ones."""

from __future__ import annotations

import sys
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    import types
    from collections.abc import Iterator
    from typing import Any

    from allcores.tasks.task import Task

DEPTH = 3  # of functions that functions name, as the guard against lost writes looks
MOST_PARTS = 100  # of a container
MOST_SEEN = 300  # in all: a call must not wait for this
PLAIN = frozenset({bool, bytes, complex, float, int, str})
# Where the Mersenne Twisters of `random` and of numpy.random stand when the system has seeded them.
UNTOUCHED, UNTOUCHED_NUMPY = 624, 623


def states() -> tuple[Any, ...]:
    """The states of the generators that belong to this process, as far as their modules are loaded."""
    random: Any = sys.modules.get("random")
    numpy: Any = sys.modules.get("numpy.random")
    python = random.getstate() if hasattr(random, "getstate") else None  # another thread may be importing it
    if not hasattr(numpy, "get_state"):
        return python, None
    _, key, *rest = numpy.get_state()
    return python, (key.tobytes(), *rest)


def moved(before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    """Whether somebody has drawn from one of them in between."""
    return any(old is not None and old != new for old, new in zip(before, after, strict=True))


def reseed() -> None:
    """Seeds them from the system: forks must not repeat each other."""
    for name in ("random", "numpy.random"):
        if name in sys.modules:
            sys.modules[name].seed()


def drawn() -> bool:
    """Whether somebody has drawn from one of them, or seeded it, since the system did."""
    random, numpy = sys.modules.get("random"), sys.modules.get("numpy.random")
    if random is not None and random.getstate()[1][-1] != UNTOUCHED:
        return True
    return numpy is not None and numpy.get_state()[2] != UNTOUCHED_NUMPY


def own_of_process(value: Any) -> tuple[str, str] | None:
    """Module and name of a generator that belongs to the process: it travels by name, never with its state."""
    for module, name in (("random", "_inst"), ("numpy.random.mtrand", "_rand")):
        if value is not None and getattr(sys.modules.get(module), name, None) is value:
            return module, name
    return None


def reduce_own(value: Any) -> tuple[Any, tuple[str, str]] | None:
    """How such a generator is pickled; None for everything else."""
    where = own_of_process(value)
    return None if where is None else (find_own, where)


def find_own(module: str, name: str) -> Any:
    """The generator of this process."""
    __import__(module)
    return getattr(sys.modules[module], name)


def is_generator(value: Any) -> bool:
    """Whether this is a generator whose state would be copied into every worker."""
    numpy: Any = sys.modules.get("numpy.random")
    random: Any = sys.modules.get("random")
    if numpy is not None and issubclass(type(value), (numpy.Generator, numpy.RandomState)):
        return own_of_process(value) is None
    if random is None or not issubclass(type(value), random.Random):
        return False
    return not issubclass(type(value), random.SystemRandom) and own_of_process(value) is None


def captured(task: Task) -> str | None:
    """Where a function of this task holds a generator, as ``f.rng``; None if none is found."""
    if "random" not in sys.modules and "numpy.random" not in sys.modules:
        return None
    seen: set[int] = set()
    for _, function in task.stages:
        name = getattr(function, "__name__", type(function).__name__)
        found = _search(function, name, seen, DEPTH)
        if found is not None:
            return found
    return None


def _search(value: Any, path: str, seen: set[int], depth: int) -> str | None:
    if is_generator(value):
        return path
    if (
        depth < 0
        or len(seen) > MOST_SEEN
        or id(value) in seen
        or issubclass(type(value), (str, bytes, int, float, type))
    ):
        return None
    seen.add(id(value))
    for name, part in _parts(value):
        found = _search(part, f"{path}{name}", seen, depth - 1)
        if found is not None:
            return found
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a function names, captured, or is bound to; what a small container or an object of the user's holds."""
    import functools
    import types

    if issubclass(type(value), dict):
        yield from [(f"[{_short(key)}]", part) for key, part in islice(value.items(), MOST_PARTS)]
    elif issubclass(type(value), (list, tuple)):
        yield from ((f"[{index}]", part) for index, part in enumerate(value[:MOST_PARTS]))
    elif issubclass(type(value), types.FunctionType):
        yield from _parts_of_function(value)
    elif issubclass(type(value), types.MethodType):
        yield "", value.__func__
        yield "", value.__self__
    elif issubclass(type(value), types.BuiltinMethodType):
        if is_generator(value.__self__):
            yield "", value.__self__
    elif issubclass(type(value), functools.partial):
        yield "", value.func
        yield "", value.args
        yield "", value.keywords
    elif not issubclass(type(value), types.ModuleType):
        try:
            own = object.__getattribute__(value, "__dict__")  # no code of the user's runs
        except AttributeError:
            return
        yield from [(f".{name}", part) for name, part in islice(own.items(), MOST_PARTS)]


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    code, known = function.__code__, function.__globals__
    if _is_of_a_library(code.co_filename):
        known = {}  # what it keeps for itself is its own affair
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    yield from ((f".{name}", _content(cell)) for name, cell in cells)
    yield from ((f".{name}", known[name]) for name in code.co_names if name in known)
    yield "", function.__kwdefaults__ or {}
    yield "", function.__defaults__ or ()


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _is_of_a_library(filename: str) -> bool:
    import os

    return filename.startswith(("<frozen", os.path.dirname(os.__file__))) or "site-packages" in filename


def _short(key: Any) -> str:
    return repr(key) if issubclass(type(key), (str, int)) else "..."
