"""How functions, items and results become bytes, and objects again on the other side.

Plain pickle where it does: what can be imported travels by name. What lives in the caller's ``__main__``, and
lambdas and closures, travel by value (see ``functions``; by cloudpickle, imported late, what is less plain).
Workers install what travelled so in their own ``__main__``; then plain pickle by name works both ways, and a
result or an exception that comes back refers to the caller's own classes. Classes that cannot be found by name
are found by the token that cloudpickle gave them, so their state in the caller is never overwritten by a result.

Every item and every result is a pickle of its own: any part of a chunk can be sent again, what cannot travel
is known by its index, and no two tasks share an object.
"""

from __future__ import annotations

import sys
from io import BytesIO, TextIOWrapper

try:
    from _pickle import Pickler, Unpickler, dumps, loads
except ImportError:  # an interpreter whose pickle is written in Python
    from pickle import Pickler, Unpickler, dumps, loads

from allcores.tasks.functions import PlainPickler, cached_function, reduce_cached
from allcores.tasks.generators import reduce_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.tasks.task import Task

    Definitions = dict[str, Any]

PROTOCOL = 5
GENERATORS = (b"Random", b"randomstate")  # one that belongs to the process must not travel with its state
MAIN = b"__main__"
MULTIPROCESSING_MAIN = (
    "__mp_main__"  # what multiprocessing calls the main module where it has imported it again
)

__all__ = [
    "PROTOCOL",
    "dump_definitions",
    "dump_item",
    "dump_result",
    "dump_task",
    "dump_values",
    "dumps",
    "load_definitions",
    "load_task",
    "load_values",
    "loads",
    "loads_slotted",
    "travels",
]


def dump_task(task: Task, aside: Any = None) -> tuple[bytes, Definitions]:
    """The task as bytes, and the definitions of ``__main__`` that travel in them. Raises Unpicklable.

    ``aside`` may take large buffers out of the pickle (see ``mail.Aside``).
    """
    _know_the_other_main()
    plain = None if _registered_by_value() else _plain(task, aside)
    if plain is not None and MAIN not in plain and not any(name in plain for name in GENERATORS):
        return plain + dumps({}, PROTOCOL), {}
    try:
        return _by_value(task, aside)
    except Exception as error:
        from allcores.tasks.culprit import unpicklable_function

        raise unpicklable_function(task, error) from error


def load_task(data: bytes, buffers: Any = None) -> Task:
    """The task again; what travelled with it is installed in ``__main__`` first."""
    task, definitions = _load_pair(data, buffers)
    _install(definitions)
    loaded: Task = task
    return loaded


def dump_item(item: Any, index: int, aside: Any = None) -> tuple[bytes, Definitions]:
    """An item as bytes, and the definitions of ``__main__`` that a worker needs for it. Raises Unpicklable.

    ``aside`` may take large buffers out of the pickle (see ``mail.Aside``).
    """
    try:
        data = dumps(item, PROTOCOL, buffer_callback=aside)
        if MULTIPROCESSING_MAIN in sys.modules and MULTIPROCESSING_MAIN.encode() in data:
            raise ImportError(f"{MULTIPROCESSING_MAIN} cannot be imported elsewhere")
    except Exception as first:
        if aside is not None:
            aside.buffers.clear()
        try:
            file = BytesIO()
            pickler = _recording_by_value(file)
            pickler.dump(item)
        except Exception as error:
            from allcores.tasks.culprit import unpicklable_item

            raise unpicklable_item(item, index, error) from first
        return file.getvalue(), dict(pickler.recorded)
    return data, (_mentioned(item) if MAIN in data else {})


def dump_definitions(definitions: Definitions, index: int) -> tuple[bytes, Definitions]:
    """The definitions that an item needs as bytes, and all that went with them. Raises Unpicklable."""
    try:
        return _by_value(definitions)
    except Exception as error:
        from allcores.tasks.culprit import unpicklable_definitions

        raise unpicklable_definitions(definitions, index, error) from error


def load_definitions(data: bytes) -> None:
    """Installs definitions in ``__main__``."""
    asked, also = _load_pair(data)
    _install(also)
    _install(asked)


def dump_values(plain: dict[Any, Any], foreign: dict[Any, Any]) -> bytes:
    """Values of globals as bytes, empty for none; the foreign ones are functions and classes.

    Raises Unpicklable for what can only have come from ``__main__`` and cannot travel.
    """
    values = {**plain, **foreign}
    if not values:
        return b""
    data = _plain(values)
    if data is not None and MAIN not in data:
        return data + dumps({}, PROTOCOL)
    try:
        return _by_value(values)[0]
    except Exception as error:
        stays = next((place for place, value in foreign.items() if not travels(value)), None)
        if stays is None:
            raise
        if foreign[stays].__module__ == "__main__":
            from allcores.tasks.culprit import unpicklable_replacement

            raise unpicklable_replacement(".".join(stays), foreign[stays], error) from error
        return dump_values(plain, {place: value for place, value in foreign.items() if place != stays})


def load_values(data: bytes) -> dict[Any, Any]:
    """The values again; what travelled with them is installed in ``__main__``."""
    values, definitions = _load_pair(data)
    _install(definitions)
    return dict(values)


def dump_result(output: Any, index: int) -> bytes:
    """A result as bytes, in the worker, once plain pickle has refused it. Raises Unpicklable."""
    try:
        file = BytesIO()
        _by_token(file).dump(output)
        return file.getvalue()
    except Exception as error:
        from allcores.tasks.culprit import unpicklable_result

        raise unpicklable_result(output, index, error) from error


def travels(value: Any) -> bool:
    """Whether this can be pickled at all, by name or by value."""
    try:
        _recording_by_value(BytesIO()).dump(value)
    except Exception:
        return False
    return True


def class_by_token(token: str) -> type:
    """The class that was sent to a worker under this token and now comes back."""
    from cloudpickle import cloudpickle

    found: type | None = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(token)
    if found is None:
        raise LookupError("a result's class was defined in a function and does not exist here any more")
    return found


def loads_slotted(data: Any, buffers: Any = None) -> Any:
    """An object again whose class has slots here and, having travelled by value, had none where it was pickled."""
    import pickle

    base: Any = pickle._Unpickler

    class Slotted(base):  # type: ignore[misc]
        def load_build(self) -> None:
            state, target = self.stack[-1], self.stack[-2]
            parts = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
            plain = all(part is None or isinstance(part, dict) for part in parts)
            if hasattr(target, "__dict__") or hasattr(target, "__setstate__") or not plain:
                super().load_build()
                return
            self.stack.pop()
            for part in parts:
                for name, value in (part or {}).items():
                    object.__setattr__(target, name, value)

    Slotted.dispatch = {**base.dispatch, pickle.BUILD[0]: Slotted.load_build}
    return Slotted(BytesIO(data), buffers=buffers).load()


# -- by name ------------------------------------------------------------------------------------------------


def _plain(value: Any, aside: Any = None) -> bytes | None:
    try:
        return dumps(value, PROTOCOL, buffer_callback=aside)
    except Exception:
        return None


class _Mentions(Pickler):
    """Pickles as usual and takes down what it meets of ``__main__``."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, PROTOCOL)
        self.recorded: Definitions = {}

    def reducer_override(self, value: Any) -> Any:
        _record(self.recorded, value)
        return NotImplemented


def _mentioned(item: Any) -> Definitions:
    pickler = _Mentions(BytesIO())
    pickler.dump(item)
    return pickler.recorded


def _record(recorded: Definitions, value: Any) -> None:
    """Takes down a class or function of ``__main__`` that can be found there by its name."""
    if getattr(value, "__module__", None) != "__main__":
        return
    if isinstance(value, type) or type(value) in (type(_record), cached_function):
        name = value.__qualname__.partition(".")[0]
        found = sys.modules["__main__"].__dict__.get(name)
        if found is value or ("." in value.__qualname__ and isinstance(found, type)):
            recorded[name] = found


# -- by value -----------------------------------------------------------------------------------------------


def _registered_by_value() -> bool:
    """Whether the user told cloudpickle to send some module's functions by value."""
    cloudpickle = sys.modules.get("cloudpickle")
    registry = getattr(
        cloudpickle, "list_registry_pickle_by_value", set
    )  # another thread may be importing it
    return bool(registry())


def _know_the_other_main() -> None:
    """In a process that multiprocessing has spawned, what is defined in the main script travels by value too."""
    module = sys.modules.get(MULTIPROCESSING_MAIN)
    if getattr(module, "__name__", None) == MULTIPROCESSING_MAIN:  # elsewhere it is but an alias for __main__
        import cloudpickle

        cloudpickle.register_pickle_by_value(module)


def _by_value(value: Any, aside: Any = None) -> tuple[bytes, Definitions]:
    """One value, and what it needs of ``__main__``, as pickles that share their objects; an empty one ends them."""
    if not _registered_by_value():
        try:
            file = BytesIO()
            return _dump_pair(PlainPickler(file, _record, aside), file, value, aside)
        except Exception:
            pass  # it needs cloudpickle, or that will say why it cannot travel
    file = BytesIO()
    return _dump_pair(_recording_by_value(file, aside), file, value, aside)


def _dump_pair(pickler: Any, file: BytesIO, value: Any, aside: Any) -> tuple[bytes, Definitions]:
    buffers: list[Any] = [] if aside is None else aside.buffers
    buffers.clear()  # of an earlier attempt
    pickler.dump(value)
    recorded: Definitions = {}
    while True:  # what is recorded may lead to more; nothing is taken back: the pickler refers to all it has written
        new = {name: value for name, value in pickler.recorded.items() if name not in recorded}
        pickler.dump(new)
        if not new:
            return file.getvalue(), recorded
        recorded.update(new)


def _load_pair(data: bytes, buffers: Any = None) -> tuple[Any, Definitions]:
    unpickler = Unpickler(BytesIO(data), buffers=buffers)
    value = unpickler.load()
    definitions: Definitions = {}
    while more := unpickler.load():
        definitions.update(more)
    return value, definitions


def _install(definitions: Definitions) -> None:
    sys.modules["__main__"].__dict__.update(definitions)


def _refuse_files(value: Any) -> None:
    """An open file would arrive as a copy of its text, at a position of its own: not what the loop sees."""
    if isinstance(value, TextIOWrapper):
        raise TypeError("cannot pickle an open file")


_classes: dict[str, Any] = {}


def _recording_by_value(file: BytesIO, aside: Any = None) -> Any:
    """A cloudpickle pickler that takes down what it sends of ``__main__``."""
    if "recording" not in _classes:
        from cloudpickle import cloudpickle

        class Recording(cloudpickle.Pickler):  # type: ignore[misc]
            def __init__(self, file: BytesIO, aside: Any) -> None:
                super().__init__(file, PROTOCOL, aside)
                self.recorded: Definitions = {}

            def reducer_override(self, value: Any) -> Any:
                _refuse_files(value)
                _record(self.recorded, value)
                if type(value) is cached_function and value.__module__ == "__main__":
                    return reduce_cached(value)
                own = reduce_own(value)
                if own is not None:
                    return own
                return super().reducer_override(value)

        _classes["recording"] = Recording
    return _classes["recording"](file, aside)


def _by_token(file: BytesIO) -> Any:
    """A cloudpickle pickler for the way back: what came from the caller returns by name or by token."""
    if "by_token" not in _classes:
        from cloudpickle import cloudpickle

        sent_by_value: set[str] = set()
        tokens = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS

        class ByToken(cloudpickle.Pickler):  # type: ignore[misc]
            def __init__(self, file: BytesIO) -> None:
                super().__init__(file, PROTOCOL)

            def reducer_override(self, value: Any) -> Any:
                _refuse_files(value)
                if isinstance(value, type) or type(value) is type(_record):
                    known: Definitions = {}
                    _record(known, value)
                    if known:
                        return value.__qualname__
                if isinstance(value, type):
                    token = tokens.get(value)
                    if token is not None and token not in sent_by_value:
                        return class_by_token, (token,)
                    reduced = super().reducer_override(value)
                    if value in tokens:
                        sent_by_value.add(tokens[value])
                    return reduced
                return super().reducer_override(value)

        _classes["by_token"] = ByToken
    return _classes["by_token"](file)
