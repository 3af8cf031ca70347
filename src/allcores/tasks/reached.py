"""What a function reaches of the user's own modules: which code, and which values of their globals.

Modules are imported again in a worker, so what the caller has changed in them since would be missing there: a
setting, a function that was replaced, code that was edited and reloaded. ``look`` follows a function by the names
in its code, to depth 3. Code makes the ``fingerprint`` by which warm workers are chosen. Values travel at the
beginning of a job, if they are small plain data, or functions and classes from elsewhere. All others stay as an
import gives them, and so does what the reached code itself assigns with ``global``: that is each worker's own.
"""

from __future__ import annotations

import os
import sys
from _functools import partial  # type: ignore[import-not-found]

from allcores.tasks.functions import importable
from allcores.tasks.mentions import cached_function
from allcores.tasks.pickling import dump_values, load_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from allcores.tasks.task import Task

    Names = tuple[str, ...]
    Values = dict[tuple[str, str], Any]  # by module and name, or module and class.name

DEPTH = 3
MOST_FOLLOWED = 300
MOST_PARTS = 100  # of a container, all in all
LONGEST = 1000  # characters or bytes

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
_CONTAINERS = frozenset({list, tuple, set, frozenset, dict})
_HOMES_OF_PLAIN_CLASSES = frozenset({"datetime", "decimal", "fractions", "pathlib", "pathlib._local", "uuid"})
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_FUNCTION: Any = type(lambda: None)
_CODE: Any = type((lambda: None).__code__)
_MODULE: Any = type(sys)
_NAMED: Any = (_FUNCTION, type, *([cached_function] if cached_function is not None else []))
_METHOD: Any = type((lambda self: None).__get__(0))
_MOST_REMEMBERED = 4096
_names_of: dict[int, tuple[CodeType, Names, Names]] = {}
_missing = object()


def look(task: Task) -> tuple[object, bytes]:
    """A fingerprint of the code that a task's functions reach, and a pickle of the values that travel with it."""
    walk = _Walk()
    for _, function in task.stages:
        walk.follow(function, 0, by_name=False)
    if task.reduction is not None:
        walk.follow(task.reduction.fold, 0, by_name=False)
        walk.follow(task.reduction.merge, 0, by_name=False)
    setup = getattr(getattr(task, "surroundings", None), "setup", None)
    if setup is not None:
        walk.follow(setup, 0, by_name=False)
    plain: Values = {}
    foreign: Values = {}
    for place, value in walk.values.items():
        if place in walk.assigned:
            continue
        if _is(value, _FUNCTION | type):
            if _comes_from_elsewhere(value, *place):
                foreign[place] = value
        elif _is(value, _CODE):
            foreign[place] = value
        elif _is_small(value):
            plain[place] = value
    return (walk.fingerprint(), tuple(plain), tuple(foreign)), dump_values(plain, foreign)


def install(data: bytes) -> None:
    """In a worker: gives modules the values that they have in the caller, where these are others."""
    for (module, name), value in load_values(data).items():
        *path, last = name.split(".")
        try:
            __import__(module)
            owner: Any = sys.modules[module]
            for part in path:
                owner = getattr(owner, part)
            current = owner.__dict__.get(last, _missing)
            if type(current) is not type(value) or current != value:
                setattr(owner, last, value)
        except Exception:
            continue  # the function will say so, should it need what is missing here


class _Walk:
    """One walk from functions along the names in their code."""

    def __init__(self) -> None:
        self.values: Values = {}
        self.assigned: set[tuple[str, str]] = set()
        self._followed: dict[int, Any] = {}
        self._searched: set[tuple[str, int]] = set()
        self._code: list[int] = []
        self._modules: dict[str, None] = {}

    def follow(self, value: Any, depth: int, by_name: bool) -> None:
        """What can be called; ``by_name``: a worker has it from an import, and not by value."""
        if id(value) in self._followed or len(self._followed) >= MOST_FOLLOWED:
            return
        self._followed[id(value)] = value
        by_name = by_name or (_is(value, _NAMED) and importable(value))
        if _is(value, _FUNCTION):
            self._follow_function(value, depth, by_name)
        elif by_name and _is(value, type) and _is_users(value.__module__):
            self._follow_class(value)
        for part in _callable_parts(value):
            self.follow(part, depth, by_name)

    def _follow_function(self, function: Any, depth: int, by_name: bool) -> None:
        known = function.__globals__
        home = known.get("__name__", "")
        if not _is_users(home):
            return
        if home != "__main__":
            self._modules[home] = None
        names, assigned = _names(function.__code__)
        self._code.append(hash(function.__code__))
        self.assigned.update((home, name) for name in assigned)
        for cell in function.__closure__ or ():
            if _is(content := _content(cell), _MODULE):
                self._search(content.__name__, names, depth)
        lives_in = home if by_name and home != "__main__" else ""
        if lives_in and importable(function):
            self._take_what_was_set(function)
        for name in names:
            if name in known:
                self._reach(lives_in, name, known[name], names, depth)
            elif name in sys.modules and _is_users(name):  # it is imported inside the function
                self._search(name, names, depth)

    def _take_what_was_set(self, function: Any) -> None:
        """Attributes of a function, and its code where that is another function's: an import gives neither."""
        module, name = function.__module__, function.__qualname__
        for attribute, value in function.__dict__.items():
            self.values[module, f"{name}.{attribute}"] = value
        code = function.__code__
        is_own = code.co_qualname == name and code.co_filename == function.__globals__.get("__file__")
        if not (is_own or hasattr(function, "__wrapped__") or function.__name__.startswith("__")):
            self.values[module, f"{name}.__code__"] = code

    def _follow_class(self, kind: type) -> None:
        self._modules[kind.__module__] = None
        self._code.append(id(kind))
        for name, member in list(kind.__dict__.items()):
            if not name.startswith("__"):
                self.values[kind.__module__, f"{kind.__qualname__}.{name}"] = member

    def _reach(self, home: str, name: str, value: Any, names: Names, depth: int) -> None:
        """What code finds under this name; ``home`` is the module that a worker has it from."""
        if _is(value, _MODULE):
            self._search(value.__name__, names, depth)
            return
        if home and not name.startswith("__"):
            self.values[home, name] = value
        if depth < DEPTH and callable(value):
            by_name = bool(home) and _is(value, _NAMED) and value.__module__ == home
            self.follow(value, depth + 1, by_name)

    def _search(self, module: str, names: Names, depth: int) -> None:
        """Looks up the names of some code in a module that it mentions."""
        if (module, id(names)) in self._searched or not _is_users(module) or module == "__main__":
            return
        self._searched.add((module, id(names)))
        self._modules[module] = None
        known = sys.modules[module].__dict__
        for name in names:
            if name in known:
                self._reach(module, name, known[name], names, depth)

    def fingerprint(self) -> object:
        """Code by what it does, modules by when their files were written."""
        files = []
        for name in self._modules:
            try:
                status = os.stat(sys.modules[name].__file__)  # type: ignore[arg-type]
            except (AttributeError, KeyError, OSError, TypeError, ValueError):
                continue
            files.append((name, status.st_mtime_ns, status.st_size))
        return tuple(self._code), tuple(files)


def _callable_parts(value: Any) -> list[Any]:
    """What a callable thing is made of: the functions within it. Attributes of objects of other kinds stay alone."""
    if _is(value, _FUNCTION):
        parts = [_content(cell) for cell in value.__closure__ or ()]
        parts += [*(value.__defaults__ or ()), value.__dict__.get("__wrapped__")]
    elif _is(value, type):
        members = list(value.__dict__.values()) if _is_users(value.__module__) else []
        parts = [*value.__bases__, *map(_unbound, members)]
    elif _is(value, _METHOD):
        owner = value.__self__
        parts = [value.__func__, owner if _is(owner, type) else type(owner)]
    elif _is(value, partial):
        parts = [value.func, *value.args, *value.keywords.values()]
    elif cached_function is not None and _is(value, cached_function):
        parts = [value.__wrapped__]
    else:
        parts = [type(value)]
    return [part for part in parts if callable(part)]


def _unbound(member: Any) -> Any:
    if _is(member, staticmethod | classmethod):
        return member.__func__
    return member.fget if _is(member, property) else member


def _is(value: Any, kinds: Any) -> bool:
    """What ``isinstance`` says where it asks nothing of the value itself, which may be a proxy that is not bound."""
    return issubclass(type(value), kinds)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _is_users(name: str) -> bool:
    """Whether a module of this name is the user's own: neither installed, nor the standard library's, nor ours."""
    if name == "__main__":
        return True
    file: Any = getattr(sys.modules.get(name), "__file__", None)
    if not _is(file, str) or file.startswith((_OURS, _STANDARD_LIBRARY)):
        return False
    return "site-packages" not in file and "dist-packages" not in file


def _comes_from_elsewhere(value: Any, module: str, name: str) -> bool:
    """Whether a function or class was put into this module from outside, by an import or by replacing another.

    What an import may have made there as well is left to it where it is no light thing to send.
    """
    home = value.__module__
    if home == module:
        return bool(
            value.__qualname__ != name and importable(value)
        )  # one of the same module in place of another
    if not _is(home, str) or not _is_users(home):
        return False
    if home == "__main__" or importable(value):
        return True
    return getattr(sys.modules[home], name, None) is not value and _is(value, _FUNCTION) and _is_light(value)


def _is_light(function: Any) -> bool:
    """Whether all that a function takes along, if it travels by value, is small."""
    known = function.__globals__
    taken = [_content(cell) for cell in function.__closure__ or ()]
    taken += [*(function.__defaults__ or ()), *function.__dict__.values()]
    taken += [known[name] for name in _names(function.__code__)[0] if name in known]
    return all(
        _is(part, _MODULE)
        or (_is(part, _NAMED) and (importable(part) or part is function))
        or _is_small(part)
        for part in taken
    )


def _is_small(value: Any) -> bool:
    left = MOST_PARTS

    def small(value: Any) -> bool:
        nonlocal left
        left -= 1
        kind = type(value)
        if kind in _ATOMS:
            return not _is(value, str | bytes) or len(value) <= LONGEST
        if kind in _CONTAINERS:
            parts = [*value.keys(), *value.values()] if kind is dict else value
            return len(value) <= left and all(small(part) for part in parts)
        return kind.__module__ in _HOMES_OF_PLAIN_CLASSES

    return small(value) and left >= 0


def _names(code: CodeType) -> tuple[Names, Names]:
    """The names that code looks up, and those that it assigns with ``global``."""
    known = _names_of.get(id(code))
    if known is None or known[0] is not code:
        names: dict[str, None] = {}
        assigned: dict[str, None] = {}
        _gather(code, names, assigned)
        if len(_names_of) >= _MOST_REMEMBERED:
            _names_of.clear()
        known = _names_of[id(code)] = code, tuple(names), tuple(assigned)
    return known[1], known[2]


def _gather(code: CodeType, names: dict[str, None], assigned: dict[str, None]) -> None:
    from opcode import opmap

    names.update(dict.fromkeys(code.co_names))
    store, delete, extended = opmap["STORE_GLOBAL"], opmap["DELETE_GLOBAL"], opmap["EXTENDED_ARG"]
    instructions, high = code.co_code, 0
    for position in range(0, len(instructions), 2):
        operation, argument = instructions[position], instructions[position + 1] | high
        high = argument << 8 if operation == extended else 0
        if operation in (store, delete):
            assigned[code.co_names[argument]] = None
    for constant in code.co_consts:
        if _is(constant, _CODE):
            _gather(constant, names, assigned)
