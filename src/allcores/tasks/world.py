"""The caller's world, as far as a function can see it: taken down in the caller, set up in a child.

``capture`` gives bytes, equal for equal worlds; ``apply`` opens them. What a child has anyway (the defaults) is
not sent and not imported there: a child's start is counted in milliseconds.
"""

from __future__ import annotations

import os
import sys

try:
    from _pickle import dumps, loads
except ImportError:
    from pickle import dumps, loads

from allcores.tasks import notices
from allcores.tasks.inner_threads import THREAD_LIMITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    World = dict[str, Any]

# Finders that any interpreter has, and those that matter only to those who installed them.
HARMLESS_FINDERS = (
    "BuiltinImporter",
    "FrozenImporter",
    "PathFinder",
    "DistutilsMetaFinder",
    "_SixMetaPathImporter",
    "AssertionRewritingHook",
)
FLAGS = [name for name in dir(sys.flags) if name[0] != "_" and name[:2] != "n_" and not hasattr(tuple, name)]


def capture() -> bytes:
    """The world of this process now."""
    world: World = {
        "environ": dict(os.environ),
        "cwd": _cwd(),
        "umask": _umask(),
        "path": list(sys.path),
        "argv": list(getattr(sys, "argv", [""])),
        "prefixes": (sys.prefix, sys.exec_prefix, sys.executable),
        "recursion_limit": sys.getrecursionlimit(),
        "flags": (tuple(sys.flags), _named_flags(), list(sys.warnoptions), dict(sys._xoptions)),
        "bytecode": (sys.dont_write_bytecode, sys.pycache_prefix),
        "site": any(_finder_name(finder) not in HARMLESS_FINDERS for finder in sys.meta_path),
        "warnings": _warning_filters(),
        "int_max_str_digits": sys.get_int_max_str_digits(),
        "streams": [_encoding(stream) for stream in (sys.__stdout__, sys.__stderr__)],
    }
    world.update(_of_loaded_libraries())
    return dumps(world, 5)


def apply(data: bytes) -> World:
    """Makes this process see the caller's world; ``settle`` does the rest once the function is loaded.

    Until then libraries that are loaded find limits on their threads: a process that has started one cannot
    be forked any more.
    """
    world: World = loads(data)
    os.environ.clear()
    os.environ.update(world["environ"])
    for name in THREAD_LIMITS:
        os.environ.setdefault(name, "1")
    try:
        os.chdir(world["cwd"])
    except OSError:
        pass  # the caller's own directory may be gone
    if world["umask"] is not None:
        os.umask(world["umask"])
    sys.path[:] = world["path"]
    sys.argv[:] = world["argv"]
    sys.prefix, sys.exec_prefix, sys.executable = world["prefixes"]
    _apply_flags(*world["flags"])
    sys.dont_write_bytecode, sys.pycache_prefix = world["bytecode"]
    sys.setrecursionlimit(world["recursion_limit"])
    sys.set_int_max_str_digits(world["int_max_str_digits"])
    for stream, encoding in zip((sys.stdout, sys.stderr), world["streams"], strict=True):
        if encoding is not None and _encoding(stream) not in (None, encoding):
            stream.reconfigure(encoding=encoding[0], errors=encoding[1])  # type: ignore[union-attr]
    _apply_builtins()
    if world["site"]:
        _run_site(world["path"])
    _apply_warnings(world["warnings"])
    return world


def settle(world: World) -> None:
    """The part of a world that stands behind the loading of the function."""
    for name in THREAD_LIMITS:
        if name not in world["environ"]:
            os.environ.pop(name, None)
    _apply_warnings(world["warnings"])  # modules like to add theirs when they are imported
    if "numpy" in world:
        import numpy

        numpy.seterr(**world["numpy"])
    if "decimal" in world:
        import decimal

        decimal.setcontext(world["decimal"])
    if "logging" in world:
        import logging

        disabled, levels, _ = world["logging"]
        logging.disable(disabled)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    notices.forget_handlers(world["logging"][2] if "logging" in world else [])


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return os.sep


def _umask() -> int | None:
    """Linux tells it; elsewhere it could only be read by setting it, which other threads would see."""
    try:
        status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    except (AttributeError, OSError):
        return None
    try:
        _, found, after = os.read(status, 256).partition(b"\nUmask:")
        return int(after.split()[0], 8) if found else None
    finally:
        os.close(status)


def _finder_name(finder: Any) -> str:
    return finder.__name__ if isinstance(finder, type) else type(finder).__name__


def _encoding(stream: Any) -> tuple[str, str] | None:
    encoding, errors = getattr(stream, "encoding", None), getattr(stream, "errors", None)
    return (encoding, errors) if encoding and errors and hasattr(stream, "reconfigure") else None


class Flags(tuple):  # type: ignore[type-arg]
    """``sys.flags`` of the caller, which nobody can make another one of: who starts an interpreter like this one
    (multiprocessing, loky) reads there how. A worker itself starts with fewer modules, and other flags.
    """

    def __new__(cls, values: tuple[Any, ...], named: World) -> Flags:
        """Its values in their order, and by name."""
        flags = super().__new__(cls, values)
        vars(flags).update(named)
        return flags


def _named_flags() -> World:
    return {name: getattr(sys.flags, name) for name in FLAGS}


def _apply_flags(values: tuple[Any, ...], named: World, warnoptions: list[str], xoptions: World) -> None:
    sys.flags = Flags(values, named)  # type: ignore[assignment]
    sys.warnoptions[:] = warnoptions
    sys._xoptions.clear()
    sys._xoptions.update(xoptions)


def _apply_builtins() -> None:
    """``exit`` and the like, which the site module would have made."""
    import builtins

    if not hasattr(builtins, "exit"):
        import _sitebuiltins

        for name in ("quit", "exit"):
            setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))


def _run_site(path: list[str]) -> None:
    """Lets .pth files install their import hooks (editable installs), as in the caller."""
    import site

    site.main()
    sys.path[:] = path


# -- warnings -----------------------------------------------------------------------------------------------


def _warning_filters() -> list[tuple[str, str | None, int, str, str, str | None, int, int]]:
    """The filters without objects: patterns and categories by name."""
    import _warnings

    current = getattr(sys.modules.get("warnings"), "filters", _warnings.filters)
    return [
        (action, *_pattern(message), category.__module__, category.__qualname__, *_pattern(module), line)
        for action, message, category, module, line in current
    ]


def _pattern(pattern: Any) -> tuple[str | None, int]:
    if pattern is None:
        return None, 0
    if isinstance(pattern, str):  # the interpreter's own first filters
        return pattern, -1
    return pattern.pattern, pattern.flags


def _apply_warnings(described: list[Any]) -> None:
    if described == _warning_filters():
        return
    import warnings

    filters = []
    for action, message, message_flags, module_name, name, module, module_flags, line in described:
        category = _category(module_name, name)
        if category is not None:
            pattern = _compiled(message, message_flags), _compiled(module, module_flags)
            filters.append((action, pattern[0], category, pattern[1], line))
    warnings.filters[:] = filters  # type: ignore[index]
    notices.forget_repetitions()


def _compiled(pattern: str | None, flags: int) -> Any:
    if pattern is None or flags < 0:
        return pattern
    import re

    return re.compile(pattern, flags)


def _category(module_name: str, name: str) -> type[Warning] | None:
    try:
        found: Any = __import__(module_name, fromlist=["_"])
        for part in name.split("."):
            found = getattr(found, part)
    except Exception:
        return None
    return found if isinstance(found, type) and issubclass(found, Warning) else None


# -- libraries ----------------------------------------------------------------------------------------------


def _of_loaded_libraries() -> World:
    """What libraries that the caller has loaded keep, where it is not their default."""
    world: World = {}
    decimal = sys.modules.get("decimal")
    if decimal is not None and hasattr(decimal, "getcontext"):
        context = decimal.getcontext()
        if repr(context) != repr(decimal.DefaultContext):
            context = context.copy()
            context.clear_flags()
            world["decimal"] = context
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "geterr"):
        errors = dict(numpy.geterr())
        if errors != {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}:
            world["numpy"] = errors
    logging = sys.modules.get("logging")
    if logging is not None and hasattr(logging, "root"):
        levels = {"": logging.root.level} if logging.root.level != logging.WARNING else {}
        for name, logger in list(logging.root.manager.loggerDict.items()):
            level = getattr(logger, "level", 0)
            if level:
                levels[name] = level
        handled = notices.loggers_with_handlers(logging)
        if levels or handled or logging.root.manager.disable:
            world["logging"] = (logging.root.manager.disable, levels, handled)
    return world
