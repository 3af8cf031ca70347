"""Small judgements: how a call binds its arguments, what an attribute is, what is data, a cache, or no loss."""

from __future__ import annotations

from allcores.guard import estimators, mutators, thread_safe
from allcores.guard.following import SPREAD
from allcores.guard.mutators import function_name, is_class, type_name
from allcores.guard.summary import Summary
from allcores.guard.symbols import ATTR, Symbol
from allcores.guard.things import (
    FUNCTION,
    ITEM_ROOT,
    MODULE,
    UNKNOWN,
    Thing,
    attribute_of,
    immutable,
    is_standard_stream,
    is_users_module,
    lookup,
    owner_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any


def is_plain_data(value: Any, depth: int = 0) -> bool:
    """Whether operators on this value run nobody's code."""
    name = type_name(type(value))
    if name == thread_safe.ARRAY:
        return not value.dtype.hasobject
    if name in thread_safe.HOLDERS and depth < 2 and len(value) <= 100:
        held = value.values() if name == "builtins.dict" else value
        return all(is_plain_data(each, depth + 1) for each in held)
    return name in thread_safe.DATA or (name.startswith("numpy.") and hasattr(value, "dtype"))


def bound(code: CodeType, arguments: list[list[Thing]], keywords: tuple[str, ...]) -> dict[str, list[Thing]]:
    """Parameters by name, as a call binds them."""
    names = positional(code)
    if keywords == SPREAD:
        everything = [thing for each in arguments for thing in each]
        return dict.fromkeys(code.co_varnames, everything)
    count = len(arguments) - len(keywords)
    found = dict(zip(names, arguments[:count], strict=False))
    known = set(names) | set(code.co_varnames[len(names) : len(names) + code.co_kwonlyargcount])
    rest = code.co_argcount + code.co_kwonlyargcount
    if code.co_flags & 4:
        found[code.co_varnames[rest]] = [thing for each in arguments[len(names) : count] for thing in each]
        rest += 1
    for name, things in zip(keywords, arguments[count:], strict=False):
        if name in known:
            found[name] = things
        elif code.co_flags & 8:
            found.setdefault(code.co_varnames[rest], []).extend(things)
    return found


def positional(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[: code.co_argcount]


def attribute_thing(thing: Thing, name: str) -> Thing:
    path = f"{thing.path}.{name}" if thing.path else name
    known = attribute_of(thing.known, name)
    root = thing.root
    if type(thing.known) is MODULE and not is_users_module(thing.known):
        root = None  # a setting of a library's, or one of its functions
    if thing.known is not UNKNOWN and known is UNKNOWN and thing.kind is None:
        return Thing(root, path, known, f"{type_name(type(thing.known))}.{name}")
    kind = f"{thing.kind}.{name}" if thing.kind is not None else None
    return Thing(root, path, known, kind or _method_name(thing.known, known, name))


def _method_name(owner: Any, known: Any, name: str) -> str | None:
    if owner is UNKNOWN or type(owner) is MODULE or known is UNKNOWN or type(known) is FUNCTION:
        return None
    return f"{type_name(type(owner))}.{name}"


def table_name(thing: Thing) -> str:
    known = thing.known
    if thing.kind is not None:
        return thing.kind
    if known is UNKNOWN:
        return ""
    if type_name(type(known)) == "numpy.ufunc":
        return "numpy.ufunc"
    return type_name(known) if is_class(known) else function_name(known)


def is_cache(symbol: Symbol, summary: Summary, reads: bool = False) -> bool:
    """Whether a name says that this is a cache, and the function looks things up in it."""
    name = str(symbol[2] if symbol[0] == ATTR else symbol[1] if len(symbol) > 1 else "").lower()
    return ("cache" in name or "memo" in name) and (reads or symbol in summary.reads)


def no_loss(thing: Thing) -> bool:
    return thing.known is not UNKNOWN and (
        type_name(type(thing.known)) in mutators.NO_LOSS
        or immutable(thing.known)
        or is_standard_stream(thing.known)
    )


def method_writes(thing: Thing, name: str) -> bool:
    """Whether this method writes to its object, as far as its type is known."""
    known = thing.known
    if known is UNKNOWN:
        return name in mutators.ANY_METHODS or name in mutators.METHODS.get(thing.kind or "", ())
    owner = owner_of(type(known), name)
    if owner is not None and name in mutators.METHODS.get(type_name(owner), ()):
        return True
    return estimators.learns(known, name) or _file_changes(thing, name)


def _file_changes(thing: Thing, method: str) -> bool:
    """Whether others see that a file is written or read: they hold it too, or it is nowhere but in memory."""
    kinds = [type_name(each) for each in type(thing.known).__mro__]
    if mutators.FILE not in kinds:
        return False
    if thing.root == ITEM_ROOT:
        return method in mutators.FILE_WRITES and not mutators.IN_MEMORY.isdisjoint(kinds)
    return method in mutators.FILE_WRITES or method in mutators.FILE_READS


def is_shared_iterator(thing: Thing, certain: bool) -> bool:
    """Whether it is an iterator, or unless that must be ``certain`` may be one, from which others take too."""
    if thing.root is None or thing.root == ITEM_ROOT or thing.kind == mutators.ITERATOR:
        return False
    if thing.known is UNKNOWN:
        return not certain
    return lookup(type(thing.known), "__next__") is not UNKNOWN and not no_loss(thing)


def part_kind(thing: Thing) -> str | None:
    """The type of what this holds, where that is certain."""
    kind = thing.kind if thing.known is UNKNOWN else type_name(type(thing.known))
    return mutators.ELEMENT if kind in mutators.OF_ELEMENTS else None


def operator_of(name: str) -> str:
    symbols_of = {
        "iadd": "+",
        "isub": "-",
        "imul": "*",
        "itruediv": "/",
        "ior": "|",
        "iand": "&",
        "ixor": "^",
    }
    return symbols_of.get(name.strip("_"), name.strip("_")) + "="
