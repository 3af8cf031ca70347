"""NamedTuple, as ``typing`` has it, without importing ``typing``: that takes longer than all of this package.

Nor is ``collections.namedtuple`` called, which compiles a constructor for each class: two dozen of them would be a
sixth of ``import allcores``. Here classes of as many fields share one, compiled once, with other names in it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from collections import _tuplegetter
    from functools import cache

    class _Record(tuple):
        """What all named tuples have in common; the names are those of ``collections.namedtuple``."""

        __slots__ = ()

        @classmethod
        def _make(cls, values):
            """A record of these values."""
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            """A copy with other values in some fields."""
            made = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise TypeError(f"Got unexpected field names: {list(changes)!r}")
            return made

        def _asdict(self):
            """The values by the names of their fields."""
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            values = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({values})"

        def __getnewargs__(self):
            return tuple(self)

    @cache
    def _constructor(count):
        names = "".join(f"field{number}, " for number in range(count))
        return eval(f"lambda cls, {names}: new(cls, ({names}))", {"new": tuple.__new__})

    class _Fields(type):
        """Makes a named tuple of a class whose annotations are its fields."""

        def __new__(cls, name, bases, body):
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body[field] for field in fields if field in body}
            template = _constructor(len(fields))
            code = template.__code__.replace(
                co_varnames=("cls", *fields), co_name="__new__", co_qualname=f"{name}.__new__"
            )
            new = type(template)(code, template.__globals__, None, tuple(defaults.values()))
            body.update((field, _tuplegetter(index, "")) for index, field in enumerate(fields))
            return type(
                name,
                (_Record,),
                {
                    **body,
                    "__slots__": (),
                    "__new__": new,
                    "__match_args__": fields,
                    "_fields": fields,
                    "_field_defaults": defaults,
                },
            )

    class NamedTuple(metaclass=_Fields):
        """The base of classes with named fields:

        >>> class Point(NamedTuple):
        ...     '''A place.'''
        ...
        ...     x: int
        ...     y: int = 0
        >>> Point(1), Point(1)._replace(y=2), Point(1) == (1, 0)
        (Point(x=1, y=0), Point(x=1, y=2), True)
        """
