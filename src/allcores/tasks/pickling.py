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

from allcores.tasks.flat import Lightener, lightly
from allcores.tasks.functions import PlainPickler, importable, reduce_cached, reduce_dispatching
from allcores.tasks.generators import reduce_own
from allcores.tasks.mentions import MAIN_GLOBALS, Mentions, cached_function, main_globals
from allcores.tasks.views import reduce_view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from typing import Any

    from allcores.tasks.mentions import Definitions
    from allcores.tasks.task import Task

    Known = Container[str] | None

PROTOCOL = 5
MAIN = b"__main__"
NO_DEFINITIONS = dumps({}, PROTOCOL)
DEFINITIONS_FIRST = b"D"  # no pickle begins with it
NOT_PLAIN = (
    MAIN,
    *(b"Random", b"randomstate"),  # a generator that belongs to the process must not travel with its state
    b"getattr",  # a method, which goes by its function's name, though its class may have been patched
)
MULTIPROCESSING_MAIN = (
    "__mp_main__"  # what multiprocessing calls the main module where it has imported it again
)
OPAQUE = frozenset((bytes, bytearray, str))  # what they hold says nothing
_not_loaded: list[BaseException] = []  # why definitions are missing here

__all__ = [
    "PROTOCOL",
    "dump_alone",
    "dump_definitions",
    "dump_item",
    "dump_result",
    "dump_task",
    "dump_values",
    "dumps",
    "explain",
    "load_definitions",
    "load_task",
    "load_values",
    "loads",
    "loads_slotted",
    "travels",
]


def _memory() -> tuple[BytesIO, None]:
    return BytesIO(), None


def dump_task(task: Task, aside: Any = None, known: Known = None) -> tuple[bytes, Definitions]:
    """The task as bytes, and the definitions of ``__main__`` that travel in them. Raises Unpicklable.

    ``aside`` may take large buffers out of the pickle (see ``mail.Aside``); for ``known`` see ``Mentions``.
    """
    _know_the_other_main()
    plain = None if _registered_by_value() else _plain(task, aside)
    if plain is not None and not any(name in plain for name in NOT_PLAIN):
        return plain + NO_DEFINITIONS, {}
    try:
        return _by_value([task], aside, known)
    except Exception as error:
        from allcores.tasks.culprit import unpicklable_function

        raise unpicklable_function(task, error) from error


def load_task(data: bytes, buffers: Any = None) -> Task:
    """The task again; what travelled with it is installed in ``__main__``, and what stands before and behind it."""
    file = BytesIO(data)
    if data.startswith(DEFINITIONS_FIRST):
        file.seek(len(DEFINITIONS_FIRST))
        _load_definitions(file)
    task, definitions = _load_pair(file, buffers)
    _install(definitions)
    rest = file.read()
    if rest:
        load_definitions(rest)
    loaded: Task = task
    return loaded


def dump_item(item: Any, index: int, aside: Any = None, known: Known = None) -> tuple[bytes, Definitions]:
    """An item as bytes, and the definitions of ``__main__`` that a worker needs for it. Raises Unpicklable.

    ``aside`` may take large buffers out of the pickle (see ``mail.Aside``); for ``known`` see ``Mentions``.
    """
    try:
        data = dumps(item if aside is None else aside.beside(item), PROTOCOL, buffer_callback=aside)
        if MULTIPROCESSING_MAIN in sys.modules and MULTIPROCESSING_MAIN.encode() in data:
            raise ImportError(f"{MULTIPROCESSING_MAIN} cannot be imported elsewhere")
    except Exception as first:
        if aside is not None:
            aside.buffers.clear()
        try:
            file, needed = dump_alone(item, known)
            return file.getvalue(), needed
        except Exception as error:
            from allcores.tasks.culprit import unpicklable_item

            raise unpicklable_item(item, index, error) from first
    opaque = type(item) in OPAQUE  # and perhaps long
    return data, (_mentioned(item) if not opaque and MAIN in data else {})


def dump_alone(
    value: Any, known: Known = None, root: Any = None, open_files: Callable[[], tuple[Any, Any]] = _memory
) -> tuple[Any, Definitions]:
    """Writes a value alone, and says what it needs of ``__main__``. Raises what pickle raises.

    ``root`` travels by value although its name is known. ``open_files`` gives the file for the pickle, which is
    returned, and what takes buffers out of it.
    """

    def dump(kind: Any, heavy: frozenset[int]) -> tuple[Any, Definitions]:
        file, aside = open_files()
        mentions = Mentions(known, root)
        pickler = kind(file, mentions, aside)
        pickler.light.heavy = heavy
        pickler.dump(value)
        pickler.light.look_back(pickler)
        return file, mentions.recorded

    written: tuple[Any, Definitions] = _with_either(dump)
    return written


def dump_definitions(definitions: Definitions, index: int, known: Known = None) -> tuple[bytes, Definitions]:
    """The definitions that an item needs as bytes, and all that went with them. Raises Unpicklable.

    What is least likely to be loaded elsewhere stands last: what stands before it is there all the same.
    """
    parts: list[Definitions] = [{}, {}]
    for name, value in definitions.items():
        kind = type(value)
        if kind.__module__ != "builtins" and not isinstance(value, type):
            parts.append({name: value})
        else:
            parts[kind in (dict, list, set, tuple)][name] = value
    try:
        return _by_value([part for part in parts if part], None, known)
    except Exception as error:
        from allcores.tasks.culprit import unpicklable_definitions

        raise unpicklable_definitions(definitions, index, error) from error


def load_definitions(data: bytes) -> None:
    """Installs definitions in ``__main__``; ``A.b`` is the attribute of a class, and what has no name is but loaded.

    That some cannot be loaded is the trouble of whoever needs them: see ``explain``.
    """
    _load_definitions(BytesIO(data))


def _load_definitions(file: BytesIO) -> None:
    unpickler = Unpickler(file)
    try:
        while definitions := unpickler.load():
            for place, value in definitions.items():
                kind, _, name = place.rpartition(".")
                if kind:
                    setattr(main_globals()[kind], name, value)
                elif name:
                    main_globals()[name] = value
    except BaseException as error:
        _not_loaded[:] = [error]


def explain(error: BaseException) -> None:
    """Names as the cause of an error what could not be loaded here, if the error may come from that."""
    if _not_loaded and isinstance(error, NameError | AttributeError) and error.__cause__ is None:
        error.__cause__ = _not_loaded[0]


def dump_values(plain: dict[Any, Any], foreign: dict[Any, Any]) -> bytes:
    """Values of globals as bytes, empty for none; the foreign ones are functions and classes.

    Raises Unpicklable for what can only have come from ``__main__`` and cannot travel.
    """
    values = {**plain, **foreign}
    if not values:
        return b""
    data = _plain(values)
    if data is not None and MAIN not in data:
        return data + NO_DEFINITIONS
    try:
        return _by_value([values])[0]
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
    values, definitions = _load_pair(BytesIO(data))
    _install(definitions)
    return dict(values)


def dump_result(output: Any, index: int, reduce: Callable[[Any], Any] | None = None) -> bytes:
    """A result as bytes, in the worker, once plain pickle has refused it. Raises Unpicklable.

    ``reduce`` may know how to reduce some objects, and says NotImplemented of others.
    """
    try:
        file = BytesIO()
        _by_token(file, reduce).dump(output)
        return file.getvalue()
    except Exception as error:
        from allcores.tasks.culprit import unpicklable_result

        raise unpicklable_result(output, index, error) from error


def travels(value: Any) -> bool:
    """Whether this can be pickled at all, by name or by value."""
    try:
        _recording_by_value(BytesIO(), Mentions()).dump(value)
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
    def dump(heavy: frozenset[int]) -> bytes:
        _start_anew(aside)
        file = BytesIO()
        pickler = _Lightening(file, aside, heavy)
        pickler.dump(value)
        pickler.light.look_back(pickler)
        return file.getvalue()

    try:
        data: bytes = lightly(dump)
    except Exception:
        return None
    return data


class _Lightening(Pickler):
    """Pickles as usual, but for large flat containers."""

    def __init__(self, file: BytesIO, aside: Any, heavy: frozenset[int]) -> None:
        super().__init__(file, PROTOCOL, buffer_callback=aside)
        self.light = Lightener(heavy)

    def reducer_override(self, value: Any) -> Any:
        return self.light.reduced(value) or NotImplemented


class _Noting(Pickler):
    """Pickles as usual and takes down what it meets of ``__main__``."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, PROTOCOL, buffer_callback=_leave_out)
        self.mentions = Mentions()

    def reducer_override(self, value: Any) -> Any:
        self.mentions.meet(value)
        return NotImplemented


def _leave_out(buffer: Any) -> None:
    """Where nobody will open the pickle."""


def _mentioned(item: Any) -> Definitions:
    pickler = _Noting(BytesIO())
    pickler.dump(item)
    return pickler.mentions.recorded


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


def _by_value(values: Iterable[Any], aside: Any = None, known: Known = None) -> tuple[bytes, Definitions]:
    """Values, and what they need of ``__main__``, as pickles that share their objects; an empty one ends them."""
    pair: tuple[bytes, Definitions] = _with_either(
        lambda kind, heavy: _dump_pair(kind, heavy, values, aside, Mentions(known))
    )
    return pair


def _with_either(dump: Callable[[Any, frozenset[int]], Any]) -> Any:
    """What ``dump`` makes with a plain pickler or, where that refuses, with cloudpickle's; see ``lightly``."""
    if not _registered_by_value():
        try:
            return lightly(lambda heavy: dump(PlainPickler, heavy))
        except Exception:
            pass  # it needs cloudpickle, or that will say why it cannot travel
    return lightly(lambda heavy: dump(_recording_by_value, heavy))


def _dump_pair(
    kind: Any, heavy: frozenset[int], values: Iterable[Any], aside: Any, mentions: Mentions
) -> tuple[bytes, Definitions]:
    _start_anew(aside)
    file = BytesIO()
    pickler = kind(file, mentions, aside)
    pickler.light.heavy = heavy
    for value in values:
        pickler.dump(value)
    sent: Definitions = {}
    while True:  # what is sent may need more; none is taken back: the pickler refers to all it has written
        new = mentions.missing(sent)
        pickler.dump(pickler.light.values(new))
        if not new:
            pickler.light.look_back(pickler)
            return file.getvalue(), sent
        sent.update(new)


def _start_anew(aside: Any) -> None:
    if aside is not None:
        aside.buffers.clear()  # of an earlier attempt


def _load_pair(file: BytesIO, buffers: Any = None) -> tuple[Any, Definitions]:
    unpickler = Unpickler(file, buffers=buffers)
    value = unpickler.load()
    definitions: Definitions = {}
    while more := unpickler.load():
        definitions.update(more)
    return value, definitions


def _install(definitions: Definitions) -> None:
    main_globals().update(definitions)


def _refuse_files(value: Any) -> None:
    """An open file would arrive as a copy of its text, at a position of its own: not what the loop sees."""
    if issubclass(type(value), TextIOWrapper):
        raise TypeError("cannot pickle an open file")


_classes: dict[str, Any] = {}


def _recording_by_value(file: Any, mentions: Mentions, aside: Any = None) -> Any:
    """A cloudpickle pickler that takes down what it sends of ``__main__``."""
    if "recording" not in _classes:
        from cloudpickle import cloudpickle

        class Recording(cloudpickle.Pickler):  # type: ignore[misc]
            def __init__(self, file: Any, mentions: Mentions, aside: Any) -> None:
                super().__init__(file, PROTOCOL, aside)
                self._mentions = mentions
                self.light = Lightener()

            def reducer_override(self, value: Any) -> Any:
                _refuse_files(value)
                named = self._mentions.meet(value)
                if named is not None:
                    return named
                if type(value) is cached_function and value.__module__ == "__main__":
                    return reduce_cached(value)
                own = reduce_own(value) or reduce_view(value) or self.light.reduced(value)
                if own is None and type(value) is type(travels) and not importable(value):
                    own = reduce_dispatching(value)
                if own is not None:
                    return own
                reduced = super().reducer_override(value)
                by_value = type(value) is type(travels) and reduced is not NotImplemented
                return (
                    self._sharing(reduced)
                    if by_value and self._mentions.shares(value.__globals__)
                    else reduced
                )

            def _sharing(self, reduced: Any) -> Any:
                make, (code, _, *more), (own, slots), *rest = reduced
                self._mentions.recorded.update(slots["__globals__"])
                return make, (code, MAIN_GLOBALS, *more), (own, {**slots, "__globals__": {}}), *rest

        _classes["recording"] = Recording
    return _classes["recording"](file, mentions, aside)


def _by_token(file: BytesIO, reduce: Callable[[Any], Any] | None) -> Any:
    """A cloudpickle pickler for the way back: what came from the caller returns by name or by token."""
    if "by_token" not in _classes:
        from cloudpickle import cloudpickle

        sent_by_value: set[str] = set()
        tokens = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS

        class ByToken(cloudpickle.Pickler):  # type: ignore[misc]
            def __init__(self, file: BytesIO, reduce: Callable[[Any], Any] | None) -> None:
                super().__init__(file, PROTOCOL)
                self._reduce = reduce

            def reducer_override(self, value: Any) -> Any:
                _refuse_files(value)
                if self._reduce is not None and (reduced := self._reduce(value)) is not NotImplemented:
                    return reduced
                mentions = Mentions()
                if type(value) is not cached_function and mentions.meet(value) is None and mentions.recorded:
                    return value.__qualname__
                if type(value) is memoryview:
                    return reduce_view(value)
                if issubclass(type(value), type):
                    token = tokens.get(value)
                    if token is not None and token not in sent_by_value:
                        return class_by_token, (token,)
                    reduced = super().reducer_override(value)
                    if value in tokens:
                        sent_by_value.add(tokens[value])
                    return reduced
                return super().reducer_override(value)

        _classes["by_token"] = ByToken
    return _classes["by_token"](file, reduce)
