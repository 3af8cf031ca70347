"""What changes what: methods that write to their object, functions that write to an argument, and parts of objects."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


REMEDY = (
    "In another process this changes a copy, and what is written is lost here. Return the value instead, "
    'or gather it with reduce or fold; writes="allow" if it may be lost'
)

_LIST = frozenset(("append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse"))
_DICT = frozenset(("update", "setdefault", "pop", "popitem", "clear"))
_SET = frozenset(
    ("add", "update", "discard", "remove", "pop", "clear", "difference_update", "intersection_update")
) | {"symmetric_difference_update"}
_DEQUE = _LIST | {"appendleft", "extendleft", "popleft", "rotate"}
_ARRAY = frozenset(("sort", "fill", "partition", "put", "resize", "itemset", "setfield"))
_OPERATORS = frozenset(("__setitem__", "__delitem__"))
_CONFIGURATION = _OPERATORS | _DICT | {"set", "add_section", "remove_section", "remove_option"}
_MESSAGE = _OPERATORS | {"add_header", "replace_header", "del_param", "set_param", "set_payload", "attach"}

# Methods of these types that write to their object, by the first part of the module and the type's name.
METHODS = {
    "builtins.list": _LIST | _OPERATORS,
    "builtins.dict": _DICT | _OPERATORS,
    "builtins.set": _SET,
    "builtins.bytearray": _LIST | _OPERATORS,
    "collections.deque": _DEQUE | _OPERATORS,
    "collections.OrderedDict": frozenset(("move_to_end", "popitem", "pop", "clear", "update", "setdefault")),
    "collections.Counter": _DICT | {"subtract"},
    "array.array": _LIST | {"frombytes", "fromfile", "fromlist", "byteswap"},
    "numpy.ndarray": _ARRAY | _OPERATORS,
    "os._Environ": _DICT | _OPERATORS,
    "collections_abc.MutableMapping": _DICT | _OPERATORS,  # whoever inherits them writes to itself
    "collections_abc.MutableSequence": _LIST | _OPERATORS,
    "collections_abc.MutableSet": _SET,
    "collections.UserDict": _DICT | _OPERATORS,
    "collections.UserList": _LIST | _OPERATORS,
    **dict.fromkeys(("csv.writer", "csv.DictWriter"), frozenset(("writerow", "writerows", "writeheader"))),
    "xml.Element": frozenset(("append", "clear", "extend", "insert", "remove", "set")) | _OPERATORS,
    **dict.fromkeys(
        ("configparser.RawConfigParser", "configparser.ConfigParser"),
        _CONFIGURATION | {"read", "read_file", "read_string", "read_dict"},
    ),
    "configparser.SectionProxy": _OPERATORS,
    **dict.fromkeys(("email.Message", "email.MIMEPart", "email.EmailMessage"), _MESSAGE | {"set_content"}),
    **dict.fromkeys(
        ("hashlib.HASH", "hashlib.HASHXOF", "blake2.blake2b", "blake2.blake2s"), frozenset(("update",))
    ),
    "pandas.DataFrame": frozenset(("insert", "pop", "update")),
    "pandas.Series": frozenset(("pop", "update")),
}
# Of an object whose type nobody knows, these are taken to write.
ANY_METHODS = _LIST | _DICT | _SET | _DEQUE | frozenset(("fill", "subtract", "move_to_end"))

# Files: who reads one moves its position, which matters to those who hold it too, and not where it is an item.
FILE = "io._IOBase"
IN_MEMORY = frozenset(("io.StringIO", "io.BytesIO"))
FILE_WRITES = frozenset(("write", "writelines", "truncate"))
FILE_READS = frozenset(("read", "read1", "readinto", "readline", "readlines", "seek", "__next__"))
# Functions that take from an iterator that they are given.
TAKES = frozenset(("next", "list", "tuple", "set", "frozenset", "dict", "sorted", "sum", "min", "max")) | {
    *("any", "all", "enumerate", "zip", "map", "filter", "iter"),
}

# Functions that write to their first argument.
FUNCTIONS = frozenset(
    [
        *("builtins.setattr", "builtins.delattr", "random.shuffle"),
        *(f"heapq.{name}" for name in ("heappush", "heappop", "heapify", "heapreplace", "heappushpop")),
        *("bisect.insort", "bisect.insort_left", "bisect.insort_right"),
        *(f"operator.{name}" for name in ("setitem", "delitem", "iadd", "ior", "iand", "iconcat", "imul")),
        *(f"numpy.{name}" for name in ("copyto", "put", "place", "putmask", "fill_diagonal")),
        "numpy.put_along_axis",
    ]
)
# Functions that write to their second argument.
SECOND = frozenset(("json.dump", "pickle.dump", "marshal.dump", "struct.pack_into", "shutil.copyfileobj"))
# Methods, of whatever, that write to their first argument.
ARGUMENT_METHODS = frozenset(("shuffle",))

# Methods that return a part of their object, or a view of it.
PARTS = frozenset(
    ("get", "setdefault", "values", "items", "keys", "__getitem__", "elements", "most_common")
) | {*("reshape", "ravel", "view", "swapaxes", "transpose", "squeeze", "diagonal", "__iter__", "__enter__")}
# Types whose parts are of the same type, and the methods that give these; an ElementTree's are Elements too.
ELEMENT = "xml.Element"
OF_ELEMENTS = frozenset((ELEMENT, "xml.ElementTree"))
ELEMENTS = frozenset(("find", "findall", "iterfind", "iter", "getroot"))
# Functions that return their argument, or walk over what it holds.
ITERATOR = "builtins.iterator"  # one that was made here, over what others hold
WALKS = frozenset(("iter", "reversed", "enumerate", "zip", "next", "vars"))
# Functions whose result is new, but holds what the argument held.
SHALLOW = frozenset(("list", "tuple", "sorted", "set", "filter", "dict"))

# Writing to these is for their own world: the environment of this process, the state of this thread.
NO_LOSS = frozenset(("os._Environ", "thread._local", "threading.local", "contextvars.ContextVar"))


def is_class(value: Any) -> bool:
    """Whether it is a class; unlike isinstance this asks nobody's ``__class__``."""
    return issubclass(type(value), type)


def type_name(kind: Any) -> str:
    """The name of a type by which the tables know it.

    >>> from collections import deque
    >>> type_name(list), type_name(deque)
    ('builtins.list', 'collections.deque')
    """
    return f"{str(kind.__module__).partition('.')[0].lstrip('_')}.{kind.__qualname__}"


def function_name(function: Any) -> str:
    """The name of a function by which the tables know it; empty where it has none.

    >>> import heapq
    >>> function_name(heapq.heappush), function_name(setattr)
    ('heapq.heappush', 'builtins.setattr')
    """
    module, name = _module_and_name(function)
    return f"{module.partition('.')[0].lstrip('_')}.{name}" if name else ""


def full_name(function: Any) -> str:
    """The same with the whole of its module, and ``os`` for the one that is behind it.

    >>> import os, urllib.parse
    >>> full_name(urllib.parse.quote), full_name(os.chdir)
    ('urllib.parse.quote', 'os.chdir')
    """
    module, name = _module_and_name(function)
    return _full(module, name) if name else ""


def full_type_name(kind: type) -> str:
    """The name of a type with the whole of its module.

    >>> import http.client
    >>> full_type_name(http.client.HTTPConnection)
    'http.client.HTTPConnection'
    """
    return _full(str(kind.__module__), kind.__qualname__)


def _full(module: str, name: str) -> str:
    module = module.lstrip("_")
    return f"{'os' if module in ('posix', 'nt') else module}.{name}"


def _module_and_name(function: Any) -> tuple[str, str]:
    kind = type(function)
    if kind.__module__ != "builtins" and not is_class(function):
        own = (
            "__getattribute__" in each.__dict__ or "__getattr__" in each.__dict__
            for each in kind.__mro__[:-1]
        )
        if any(own):
            return "", ""  # it would be asked, and might answer with anything
    module, name = getattr(function, "__module__", None), getattr(function, "__name__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return "", ""
    return module, name
