"""NamedTuple, as ``typing`` has it, without importing ``typing``: that takes longer than all of this package."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from collections import namedtuple

    class _Fields(type):
        """Makes a named tuple of a class whose annotations are its fields."""

        def __new__(cls, name, bases, body):
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = body.pop("__annotations__", {})
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body.pop("__module__"))
            made.__annotations__ = fields
            body.pop("__qualname__")
            for key, value in body.items():
                setattr(made, key, value)
            return made

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
