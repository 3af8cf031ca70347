"""Large containers of nothing but strings and numbers go by marshal, in a third of the time.

Pickle takes down every string, in case that it comes once more; marshal, in its second version, does not, and equal
containers give equal bytes, which travel like a large array. Where strings do come again and again they are left to
pickle, which writes each of them once. So is a container that something else refers to, too, since it is to be one
object there as well: that shows when all has been pickled, and then it is done again.

What is flat is looked for where functions have their tables: in what they captured, in the globals that they name,
the arguments of a partial and the attributes of an object.
"""

from __future__ import annotations

import marshal
from copyreg import dispatch_table
from functools import partial

try:
    from _pickle import PickleBuffer
except ImportError:  # an interpreter whose pickle is written in Python
    from pickle import PickleBuffer

from allcores.tasks.plain import ATOMS, TEXTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

VERSION = 2
LEAST_ELEMENTS = 1000
SAMPLED = 200  # texts, when it is asked whether they repeat
MOST_REPEATED = 0.1  # of the sample
MADE_IN_PYTHON = 1 << 9  # among the flags of a class: it is no type of the interpreter's own


def is_flat(value: Any) -> bool:
    """Whether this is a large dict, list or tuple of nothing but strings, bytes and numbers that hardly repeat.

    >>> is_flat([str(number) for number in range(10_000)]), is_flat(["a", "b"] * 5_000), is_flat([[]] * 10_000)
    (True, False, False)
    """
    kind = type(value)
    if kind not in (dict, list, tuple) or len(value) < LEAST_ELEMENTS:
        return False
    parts = list(value.values()) if kind is dict else value
    try:
        return ATOMS.issuperset(map(type, parts)) and ATOMS.issuperset(map(type, value)) and _vary(parts)
    except RuntimeError:  # another thread changes it
        return False


def _vary(values: Any) -> bool:
    sample = [each for each in values[:: len(values) // SAMPLED] if type(each) in TEXTS]
    return len(set(map(id, sample))) >= (1 - MOST_REPEATED) * len(sample)


class Flat:
    """Stands in a pickle for a flat container, and is that when it is opened."""

    __slots__ = ("container",)

    def __init__(self, container: Any) -> None:
        self.container = container

    def __reduce__(self) -> tuple[Any, ...]:
        return marshal.loads, (PickleBuffer(marshal.dumps(self.container, VERSION)),)


class MetElsewhere(Exception):
    """Containers, by their ``id``, for which ``Flat`` stands in one place of a pickle, and which are in it, too."""

    def __init__(self, ids: frozenset[int]) -> None:
        super().__init__(ids)
        self.ids = ids


def lightly(dump: Callable[[frozenset[int]], Any]) -> Any:
    """What ``dump`` makes, which is told what to leave to pickle, and may find out that there is more of it."""
    heavy: frozenset[int] = frozenset()
    while True:
        try:
            return dump(heavy)
        except MetElsewhere as met:
            heavy |= met.ids


class Lightener:
    """Puts ``Flat`` in the place of what is flat, for one pickle.

    Attributes:
        heavy: containers, by their ``id``, that are left to pickle.
    """

    __slots__ = ("_known", "heavy")

    def __init__(self, heavy: frozenset[int] = frozenset()) -> None:
        self.heavy = heavy
        self._known: dict[int, Flat] = {}

    def look_back(self, pickler: Any) -> None:
        """Everything has been pickled. Raises MetElsewhere where a container is there twice, as two objects."""
        if self._known and (twice := self._known.keys() & pickler.memo.copy().keys()):
            raise MetElsewhere(frozenset(twice))

    def value(self, value: Any) -> Any:
        """What stands for this value."""
        if type(value) not in (dict, list, tuple):
            return value
        known = self._known.get(id(value))
        if known is None and id(value) not in self.heavy and is_flat(value):
            known = self._known[id(value)] = Flat(value)
        return value if known is None else known

    def values(self, mapping: Mapping[Any, Any]) -> dict[Any, Any]:
        """The same mapping with what stands for its values."""
        return {name: self.value(value) for name, value in mapping.items()}

    def reduced(self, value: Any) -> Any:
        """How a partial or an object with something flat in it is reduced; None where pickle knows as well."""
        if type(value) is partial:
            return self._reduced_partial(value)
        own = _attributes(value)
        if not any(type(self.value(each)) is Flat for each in own.values()):
            return None
        reduced: Any = object.__reduce_ex__(value, 5)
        make, arguments, state, *rest = reduced
        return (make, arguments, self.values(own), *rest) if state is own else None

    def _reduced_partial(self, value: Any) -> Any:
        make, outer, (function, arguments, keywords, own) = value.__reduce__()
        light = tuple(map(self.value, arguments)), self.values(keywords or {})
        if not any(type(each) is Flat for each in (*light[0], *light[1].values())):
            return None
        return make, outer, (function, light[0], light[1] or None, own)


def _attributes(value: Any) -> dict[str, Any]:
    """The attributes of an object that is pickled as they are; none where anything else decides how."""
    kind: Any = type(value)
    usual = kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__
    if not (usual and kind.__flags__ & MADE_IN_PYTHON) or kind in dispatch_table:
        return {}
    if getattr(kind, "__getstate__", None) is not getattr(object, "__getstate__", None):
        return {}
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return own if type(own) is dict else {}
