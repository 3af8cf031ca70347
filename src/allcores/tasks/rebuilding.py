"""How an exception travels that its class cannot make again: without its ``__init__``, from what it holds.

Pickle calls an exception's class with ``args``, which are what ``super().__init__`` was given and often not what the
class takes. Where that goes wrong and the class does not say itself how it is pickled, it is made here by the
``__new__`` and ``__init__`` of the built-in exception that it derives from; then it is given its attributes.
"""

from __future__ import annotations

import contextlib
import copyreg
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

OWN_WAYS = (
    "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__"
)  # fmt: skip
HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: no type of the interpreter's own
_OF_ALL = frozenset(vars(BaseException))
_UNSET = object()
_FIELDS: Any = (
    type(OSError.errno),
    type(BaseException.__context__),
)  # what C and slots keep, and what looks so


def reduce_own(value: Any) -> Any:
    """As pickle wants it: how an exception reduces itself, whatever a library has registered for all of them."""
    if not issubclass(type(value), BaseException):
        return NotImplemented
    registered = copyreg.dispatch_table.get(type(value))
    if getattr(registered, "__module__", "").partition(".")[0] != "tblib":
        return NotImplemented
    return value.__reduce_ex__(2)


def reduce_bare(value: Any) -> Any:
    """As pickle wants it: how to reduce an exception of the user's, or NotImplemented for all else."""
    kind = type(value)
    if not issubclass(kind, BaseException) or not kind.__flags__ & HEAP_TYPE:
        return NotImplemented
    if any(name in vars(each) for each in kind.__mro__ if each.__flags__ & HEAP_TYPE for name in OWN_WAYS):
        return NotImplemented
    if kind is getattr(sys.modules.get("urllib.error"), "HTTPError", None):
        return kind, (
            value.filename,
            value.code,
            value.msg,
            value.hdrs,
            None,
        )  # its body is an open connection
    held = {name: _content(descriptor, value) for name, descriptor in _fields(kind)}
    fields = {name: content for name, content in held.items() if content is not _UNSET}
    return rebuild, (kind, value.args, fields, dict(value.__dict__))


def rebuild(
    kind: Any, args: tuple[Any, ...], fields: dict[str, Any], attributes: dict[str, Any]
) -> BaseException:
    """The exception again."""
    native: Any = next(
        each for each in kind.__mro__ if issubclass(each, BaseException) and not each.__flags__ & HEAP_TYPE
    )
    if issubclass(native, BaseExceptionGroup):
        error: BaseException = native.__new__(kind, fields["message"], fields["exceptions"])
    else:
        error = native.__new__(kind, *args)
        with contextlib.suppress(Exception):
            native.__init__(error, *args)
    for name, descriptor in _fields(kind):
        # Some show None for what was never set, and take it for set afterwards.
        if name in fields and _content(descriptor, error) is not fields[name]:
            with contextlib.suppress(Exception):
                descriptor.__set__(error, fields[name])
    vars(BaseException)["args"].__set__(error, args)
    error.__dict__.update(attributes)
    return error


def _content(descriptor: Any, error: BaseException) -> Any:
    try:
        return descriptor.__get__(error, type(error))
    except Exception:
        return _UNSET


def _fields(kind: type) -> Iterator[tuple[str, Any]]:
    """What its objects keep outside of their dictionary; but not what somebody looked for an attribute in."""
    for each in kind.__mro__:
        for name, descriptor in vars(each).items():
            hidden = name.startswith("__") or name in _OF_ALL or descriptor is AttributeError.obj
            if isinstance(descriptor, _FIELDS) and not hidden:
                yield name, descriptor
