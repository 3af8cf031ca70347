"""Arguments that many tasks of a call have in common travel once, and each task gets them as they were.

What is repeated is recognised by identity. It is captured by the function of the job, so it is loaded once, before
workers are forked, and shared by them. There a task gets a copy of its own: objects are made anew, and so is a small
array; a large array is the one that its worker has, writable, copied by the system page by page as somebody writes.
Tasks that run in the calling process get the very objects, as they do with ``n_jobs=1``.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable
from typing import Any

from allcores.sklearn.compat import Call

SMALL_BYTES = 1 << 20  # of a buffer: below it every task has its own
_ATOMS = (type(None), bool, int, float, complex, str, bytes, type, range, slice)


class Place:
    """Stands in a task for an argument that travels apart from it."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return Place, (self.number,)


class Repeated:
    """The arguments that tasks have in common.

    Args:
        calls: those that are known beforehand.
        least: in how many of them an argument must stand.

    Example:
        >>> data = [1, 2, 3]
        >>> repeated = Repeated([(sum, (data,), {}), (max, (data,), {})])
        >>> sent = repeated.without([(min, (data,), {})])
        >>> type(sent[0][1][0]).__name__, repeated.restored(sent)
        ('Place', [(<built-in function min>, ([1, 2, 3],), {})])
    """

    def __init__(self, calls: Iterable[Call], least: int = 2) -> None:
        counts: Counter[int] = Counter()
        found: dict[int, Any] = {}
        for _, args, kwargs in calls:
            for each in {id(value): value for value in (*args, *kwargs.values())}.values():
                if not isinstance(each, _ATOMS):
                    counts[id(each)] += 1
                    found[id(each)] = each
        self.values = [value for key, value in found.items() if counts[key] >= least]
        self._numbers = {id(value): number for number, value in enumerate(self.values)}
        self._moulds: dict[int, _Mould | None] = {}
        self._travelled = False

    def __reduce__(self) -> tuple[Any, ...]:
        return _of_values, (self.values,)

    def without(self, calls: list[Call]) -> list[Call]:
        """The calls as they travel."""
        if not self._numbers:
            return calls
        return [
            (
                function,
                tuple(self._out(value) for value in args),
                {name: self._out(value) for name, value in kwargs.items()},
            )
            for function, args, kwargs in calls
        ]

    def restored(self, calls: list[Call]) -> list[Call]:
        """The calls with their arguments."""
        if not self.values:
            return calls
        return [
            (
                function,
                tuple(self._back(value) for value in args),
                {name: self._back(value) for name, value in kwargs.items()},
            )
            for function, args, kwargs in calls
        ]

    def _out(self, value: Any) -> Any:
        number = self._numbers.get(id(value))
        return value if number is None else Place(number)

    def _back(self, value: Any) -> Any:
        return self._copy(value.number) if type(value) is Place else value

    def _copy(self, number: int) -> Any:
        if self._travelled and number not in self._moulds:
            try:
                self._moulds[number] = _Mould(self.values[number])
            except Exception:  # it can travel, but not by plain pickle
                self._moulds[number] = None
        mould = self._moulds.get(number)
        return self.values[number] if mould is None else mould.cast()


class _Mould:
    """Makes copies of an object."""

    def __init__(self, value: Any) -> None:
        self._buffers: list[pickle.PickleBuffer] = []
        self._body = pickle.dumps(value, 5, buffer_callback=self._buffers.append)

    def cast(self) -> Any:
        buffers = []
        for each in self._buffers:
            view = each.raw()
            small = len(view) <= SMALL_BYTES and not view.readonly
            buffers.append(bytearray(view) if small else view)
        return pickle.loads(self._body, buffers=buffers)


def _of_values(values: list[Any]) -> Repeated:
    repeated = Repeated(())
    repeated.values = values
    repeated._travelled = True
    return repeated
