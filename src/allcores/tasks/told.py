"""What workers have been told of ``__main__``: the definitions, and in an executor the globals, that calls need there.

The functions of a job travel once, and with them whatever they need; items may need a class more. An executor's
workers live longer, and so does what initializers and calls have left in their globals: all functions of ``__main__``
share one set of these there. A value of the caller's is sent when a call first needs it and then only when it has
changed in the caller since: when it is another object or, up to ``MOST_BYTES``, has another pickle.
"""

from __future__ import annotations

from allcores.core.records import NamedTuple
from allcores.tasks.mentions import Everything, cached_function, main_globals
from allcores.tasks.pickling import DEFINITIONS_FIRST, dump_alone, dump_definitions, dump_item, dump_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from allcores.tasks.mentions import Definitions
    from allcores.tasks.task import Task

MOST_BYTES = 1 << 18  # larger ones are not read for each call: that something changed within is not seen
ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
FUNCTIONS: Any = (type(lambda: None), cached_function)
MODULE = type(__import__("sys"))
EVERYTHING = Everything()


class Job:
    """A job's functions and items: every definition is sent once.

    Attributes:
        log: definitions as bytes, in the order in which a worker must load them.
    """

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self._sent: Definitions = {}

    def dump_task(self, task: Task, aside: Any) -> bytes:
        """See ``pickling``."""
        data, self._sent = dump_task(task, aside)
        return data

    def dump_item(self, item: Any, index: int, aside: Any = None) -> tuple[bytes, Definitions]:
        """See ``pickling``."""
        return dump_item(item, index, aside)

    def define(self, needed: Definitions, index: int) -> None:
        """Adds to the log what an item needs and no worker has been sent. Raises Unpicklable."""
        new = {name: value for name, value in needed.items() if self._sent.get(name) is not value}
        if new:
            data, also = dump_definitions(new, index)
            self.log.append(data)
            self._sent.update(also)
            self._sent.update(new)


class Lasting:
    """An executor's functions: a variable is told again when it has changed here.

    Args:
        first: the first function that will be called, if it is known: what it needs is loaded before workers fork.
    """

    def __init__(self, first: Callable[..., Any] | None) -> None:
        self.log: list[bytes] = []
        self._first = first
        self._seen: dict[str, _Seen] = {}
        self._last: dict[str, int] = {}  # where in the log a variable was told last
        self._live: list[int] = []  # how many of the variables of an entry have been told there last

    def dump_task(self, task: Task, aside: Any) -> bytes:
        """The task and, behind it, what its first call needs."""
        data = self._needed_by(task) + dump_task(task, aside, EVERYTHING)[0]
        if self._first is None:
            return data
        try:
            _, needed = dump_alone(self._first, EVERYTHING)
            changed, seen = self._look(needed)
            more = dump_definitions({**changed, "": self._first}, 0, self._known(changed))[0]
        except Exception:
            return data  # its future will be told why
        self._seen.update(seen)
        return data + more

    def _needed_by(self, task: Task) -> bytes:
        """What the initializer and its arguments need to be loaded. Raises Unpicklable."""
        try:
            changed, seen = self._look(dump_alone(task, EVERYTHING)[1])
            before = dump_definitions(changed, 0, self._known(changed))[0] if changed else b""
        except Exception:
            dump_task(task, None, ())  # says what cannot travel
            raise
        self._seen.update(seen)
        return DEFINITIONS_FIRST + before if before else b""

    def dump_item(self, item: Any, index: int, aside: Any = None) -> tuple[bytes, Definitions]:
        """A call as bytes, in which everything that has a name in ``__main__`` goes by that."""
        return dump_item(item, index, aside, EVERYTHING)

    def define(self, needed: Definitions, index: int) -> None:
        """Adds to the log what a call needs and workers do not know as it is now. Raises Unpicklable."""
        changed, seen = self._look(needed)
        if changed:
            data, _ = dump_definitions(changed, index, self._known(changed))
            self._add(data, changed)
        self._seen.update(seen)

    def _known(self, changed: Definitions) -> set[str]:
        return self._seen.keys() - changed.keys()

    def _look(self, names: Iterable[str]) -> tuple[Definitions, dict[str, _Seen]]:
        """What has changed of these variables and all that they need, and how they are now."""
        changed: Definitions = {}
        seen: dict[str, _Seen] = {}
        waiting = list(names)
        known = main_globals()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in known:
                continue
            value, old = known[name], self._seen.get(name)
            now = seen[name] = _see(value, old)
            if _differs(now, old):
                changed[name] = value
            waiting += now.needs
            if isinstance(value, type):
                fresh = name in changed  # with all of its attributes
                for attribute, content in _data_of(value).items():
                    place = f"{name}.{attribute}"
                    old = self._seen.get(place)
                    now = seen[place] = _see(content, old)
                    if not fresh and _differs(now, old):
                        changed[place] = content
                    waiting += now.needs
        return changed, seen

    def _add(self, data: bytes, changed: Definitions) -> None:
        """One more entry; entries that are void by now are emptied: values that change for ever must not pile up.

        Classes and functions stay, as other entries may name them.
        """
        entry = len(self.log)
        self._live.append(len(changed))
        self.log.append(data)
        for name, value in changed.items():
            before = self._last.get(name)
            self._last[name] = entry
            if before is not None and not isinstance(value, (type, *FUNCTIONS)):
                self._live[before] -= 1
                if not self._live[before]:
                    self.log[before] = b""


class _Seen(NamedTuple):
    """A variable as it was when workers were told: what it held, its pickle (None: unknown), and what that needs."""

    value: Any
    digest: Any
    needs: tuple[str, ...]


def _see(value: Any, old: _Seen | None) -> _Seen:
    kind = type(value)
    if kind in ATOMS:
        return _Seen(value, (kind, value), ())
    same = old is not None and old.value is value
    if kind in FUNCTIONS or kind is MODULE or issubclass(kind, type):
        if same:
            assert old is not None
            return old
        return _Seen(value, None, () if kind is MODULE else _needs(value))
    if same and old is not None and old.digest is TOO_LARGE:
        return old
    try:
        file, needed = dump_alone(value, EVERYTHING, None, _open_digest)
    except _TooLarge:
        return _Seen(value, TOO_LARGE, ())
    except Exception:  # it cannot travel, or another thread is changing it just now
        return old if same and old is not None else _Seen(value, None, ())
    return _Seen(value, file.digest(), tuple(needed))


def _differs(now: _Seen, old: _Seen | None) -> bool:
    if old is None:
        return True
    if now.digest in (None, TOO_LARGE) or old.digest in (None, TOO_LARGE):
        return now.value is not old.value
    return bool(now.digest != old.digest)


def _needs(value: Any) -> tuple[str, ...]:
    try:
        return tuple(dump_alone(value, EVERYTHING, value)[1])
    except Exception:  # whoever sends it will say why it cannot travel
        return ()


def _data_of(kind: type) -> Definitions:
    """The attributes of a class that are neither functions nor made by the interpreter."""
    return {
        name: value
        for name, value in list(vars(kind).items())
        if not name.startswith(("__", "_abc_"))
        and not callable(value)
        and not hasattr(type(value), "__get__")
    }


TOO_LARGE = "too large"


class _TooLarge(BaseException):
    """No reason to try another pickler."""


class _Digest:
    """A file that keeps nothing but a checksum, and buffers go the same way."""

    def __init__(self) -> None:
        from hashlib import blake2b

        self._hash = blake2b(digest_size=16)
        self._size_bytes = 0

    def write(self, data: Any) -> int:
        self._size_bytes += len(data)
        if self._size_bytes > MOST_BYTES:
            raise _TooLarge
        self._hash.update(data)
        return len(data)

    def take(self, buffer: Any) -> None:
        self.write(buffer.raw())

    def digest(self) -> bytes:
        return self._hash.digest()


def _open_digest() -> tuple[_Digest, Any]:
    file = _Digest()
    return file, file.take
