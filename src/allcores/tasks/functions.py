"""Plain functions by value, without cloudpickle: its import takes longer than the start of all workers.

A function of ``__main__``, a lambda or a closure travels as its code (marshal), the globals that the code names,
and what it captured. Functions that are sent together and shared their globals share them again. Whatever is not
so plain (classes of ``__main__`` above all) is refused here, and the caller turns to cloudpickle.
"""

from __future__ import annotations

import marshal
import sys
from io import BytesIO

try:
    from _pickle import Pickler
except ImportError:
    from pickle import Pickler

from allcores.tasks.flat import Lightener
from allcores.tasks.generators import reduce_own
from allcores.tasks.mentions import MAIN_GLOBALS, cached_function
from allcores.tasks.views import reduce_view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FunctionType
    from typing import Any

    from allcores.tasks.mentions import Mentions

MARSHAL_VERSION = 2  # without references: equal code gives equal bytes, by which warm workers are found
_FUNCTION: Any = type(lambda: None)
_CODE: Any = type((lambda: None).__code__)
_CELL: Any = type((lambda value: lambda: value)(0).__closure__[0])  # type: ignore[index]
_MODULE: Any = type(sys)
_METHOD: Any = type((lambda self: None).__get__(0))
_FUNCTION_ATTRIBUTES = ("__defaults__", "__kwdefaults__", "__doc__", "__module__", "__annotations__")


class NotPlain(Exception):
    """This needs more than we do here."""


class PlainPickler(Pickler):
    """Pickles functions by value where they cannot be imported by name.

    ``mentions`` is told every class and function, and takes down those of ``__main__``.
    """

    def __init__(self, file: BytesIO, mentions: Mentions, aside: Any = None) -> None:
        super().__init__(file, 5, buffer_callback=aside)
        self.light = Lightener()
        self._mentions = mentions
        self._globals: dict[int, dict[str, Any]] = {}

    def reducer_override(self, value: Any) -> Any:
        """As pickle wants it: how to reduce, or NotImplemented for the usual way."""
        kind: Any = type(value)
        named = self._mentions.meet(value)
        if named is not None:
            return named
        if kind is _FUNCTION:
            return NotImplemented if importable(value) else reduce_dispatching(value) or self._function(value)
        if kind is cached_function:
            return NotImplemented if importable(value) else reduce_cached(value)
        if kind is _MODULE:
            name = value.__name__
            if sys.modules.get(name) is not value or name == "__main__":
                raise NotPlain(name)
            return import_module, (name,)
        if issubclass(kind, type) and value.__module__ == "__main__":
            raise NotPlain(value.__qualname__)
        if kind is _METHOD:
            return (
                NotImplemented if _found_by_name(value) else (make_method, (value.__func__, value.__self__))
            )
        if kind is _CODE:
            return marshal.loads, (marshal.dumps(value, MARSHAL_VERSION),)
        return reduce_own(value) or reduce_view(value) or self.light.reduced(value) or NotImplemented

    def _function(self, function: FunctionType) -> Any:
        code = function.__code__
        names = _names(code)
        known = function.__globals__
        used = {name: known[name] for name in names if name in known}
        submodules = _submodules(used, names)
        shared: Any = self._globals.get(id(known))
        if self._mentions.shares(known):
            self._mentions.recorded.update(used)
            shared, used = MAIN_GLOBALS, {}
        elif shared is None:
            about = ("__name__", "__package__", "__file__", "__path__")
            shared = self._globals[id(known)] = {name: known[name] for name in about if name in known}
        attributes = {name: getattr(function, name) for name in _FUNCTION_ATTRIBUTES}
        captured = [
            (True, self.light.value(cell.cell_contents)) if _full(cell) else (False, None)
            for cell in function.__closure__ or ()
        ]
        state = (self.light.values(used), submodules, attributes, captured, function.__dict__)
        packed = marshal.dumps(code, MARSHAL_VERSION)
        arguments = (packed, shared, function.__name__, function.__qualname__, len(captured))
        return make_function, arguments, state, None, None, fill_function


def make_function(
    packed: bytes, shared: dict[str, Any], name: str, qualified: str, cells: int
) -> FunctionType:
    """The function, empty as yet."""
    shared.setdefault("__builtins__", sys.modules["builtins"])
    closure = tuple([_CELL() for _ in range(cells)]) or None
    function: FunctionType = _FUNCTION(marshal.loads(packed), shared, name, None, closure)
    function.__qualname__ = qualified
    return function


def fill_function(function: FunctionType, state: Any) -> None:
    """Gives a function its globals, what it captured, and its attributes; it may be among these itself."""
    used, submodules, attributes, captured, own = state
    for name in submodules:
        import_module(name)
    function.__globals__.update(used)
    for cell, (full, content) in zip(function.__closure__ or (), captured, strict=True):
        if full:
            cell.cell_contents = content
    for name, value in attributes.items():
        setattr(function, name, value)
    function.__dict__.update(own)


def reduce_cached(value: Any) -> Any:
    """How a function under ``functools.cache`` travels: it pickles by name alone, which does not do for all."""
    return make_cached, (value.__wrapped__, value.cache_parameters())


def make_cached(function: FunctionType, parameters: dict[str, Any]) -> Any:
    """The function under a cache of its own, still empty."""
    import functools

    return functools.lru_cache(**parameters)(function)


def reduce_dispatching(value: Any) -> Any:
    """How a function under ``functools.singledispatch`` travels, or None for others: without its cache."""
    own = dict(value.__dict__)
    if "registry" not in own or value.__globals__ is not getattr(
        sys.modules.get("functools"), "__dict__", None
    ):
        return None
    for name in ("registry", "register", "dispatch", "_clear_cache"):
        own.pop(name, None)
    return make_dispatching, (value.__name__,), (dict(value.registry), own), None, None, fill_dispatching


def make_dispatching(name: str) -> Any:
    """The function, which knows no type as yet."""
    import functools

    def unknown(*_: Any) -> None: ...

    unknown.__name__ = name  # for its messages
    return functools.singledispatch(unknown)


def fill_dispatching(function: Any, state: Any) -> None:
    """Gives it the functions for types, which may call it themselves."""
    import functools

    registry, own = state
    for kind, each in registry.items():
        function.register(kind, each)
    functools.update_wrapper(function, registry[object])
    function.__dict__.update(own)


def _found_by_name(method: Any) -> bool:
    """Whether a worker, too, finds this method under its function's name; it does not if the class was patched."""
    function = method.__func__
    if type(function) is not _FUNCTION:
        return True
    if function.__module__ == "__main__" or ("." not in function.__qualname__ and importable(function)):
        return False  # the class may have another one of this name where it is imported anew
    try:
        found = getattr(method.__self__, function.__name__)
    except Exception:
        return False
    return type(found) is _METHOD and found.__func__ is function and found.__self__ is method.__self__


def make_method(function: Any, owner: Any) -> Any:
    """The function as a method of its owner."""
    return _METHOD(function, owner)


def import_module(name: str) -> Any:
    """The module of this name."""
    __import__(name)
    return sys.modules[name]


def _full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def importable(function: Any) -> bool:
    """Whether a function or class is found under its own name in a module that can be imported."""
    module = function.__module__
    if not isinstance(module, str) or module == "__main__":
        return False
    found: Any = sys.modules.get(module)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function


def _names(code: CodeType) -> dict[str, None]:
    """What the code, and the code within it, may look up in its globals; in order."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, _CODE):
            names.update(_names(constant))
    return names


def _submodules(used: dict[str, Any], names: dict[str, None]) -> list[str]:
    """Submodules that the code reaches through their package, such as ``xml.dom`` through ``xml``."""
    found = []
    for value in used.values():
        if type(value) is _MODULE and hasattr(value, "__path__"):
            prefix = value.__name__ + "."
            found += [
                name
                for name in list(sys.modules)
                if name.startswith(prefix) and all(part in names for part in name[len(prefix) :].split("."))
            ]
    return found
