"""How a child interpreter is started: its command line, its environment, what it imports in advance."""

from __future__ import annotations

import os
import sys

from allcores.tasks.inner_threads import THREAD_LIMITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.tasks.task import Task

# Packages whose import starts no thread (BLAS and OpenMP held to one) and changes nothing that a function could
# see. NumPy comes whenever the caller has it: arrays are what items are made of. The others take long, and come
# if the function's own module has taken names from them, or the function itself imports them.
NUMPY = "numpy"
SAFE_TO_IMPORT = frozenset({"numpy", "pandas", "scipy", "sklearn", "joblib", "threadpoolctl"})
FUNCTION: Any = type(lambda: None)
MOST_WRAPPERS = 2  # around a function that may tell what it needs; an object may answer for ever

CHILD = "ALLCORES_CHILD"  # tells the package that nobody in this process will call it soon

# What glibc is told in workers: large blocks come from what was used before, and not as pages that the kernel has to
# clear first, which takes several times as long as to write them. Up to so much (128 MB) stays with an idle worker.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 27)}

_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Options of the interpreter that would print or slow down without use.
_IDLE_OPTIONS = ("importtime", "showrefcount", "tracemalloc", "faulthandler")


def command(code: str, *arguments: str) -> list[str]:
    """The command line of a child that is as this interpreter, but without site, and runs ``code``."""
    line = [sys.executable, "-S", "-P"]
    line += ["-O"] * sys.flags.optimize
    line += ["-B"] * sys.flags.dont_write_bytecode
    line += ["-b"] * sys.flags.bytes_warning
    line += ["-X", f"utf8={int(sys.flags.utf8_mode)}"]
    if sys.pycache_prefix is not None:
        line += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    for name, value in sys._xoptions.items():
        if name not in ("utf8", "pycache_prefix", *_IDLE_OPTIONS):
            line += ["-X", name if value is True else f"{name}={value}"]
    return [*line, "-c", code, _HOME, *arguments]


def environment() -> dict[str, str]:
    """The environment in which a child starts; the caller's own comes with its world."""
    kept = ("PYTHONHASHSEED", "PYTHONHOME")
    names = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON") or name in kept
    }
    names.update(dict.fromkeys(THREAD_LIMITS, "1"))
    names = {**ALLOCATOR, **names}  # unless the user has chosen
    names[CHILD] = "1"
    return names


def is_missing(output: int) -> bool:
    """Whether standard output or error is closed here; what has its number now is not for children."""
    try:
        return not os.get_inheritable(output)
    except OSError:
        return True


def wanted_imports(task: Task) -> list[str]:
    """The modules worth importing before the function comes: only such as the caller has imported."""
    names: dict[str, None] = {NUMPY: None}
    for function in _functions(task):
        if type(function) is not FUNCTION:
            continue
        for value in list(function.__globals__.values()):
            home = getattr(value, "__module__", None) or getattr(value, "__name__", None)
            if isinstance(home, str):
                names[home] = None
        names.update(dict.fromkeys(_imported_inside(function.__code__)))
    for _, function in task.stages:
        names.update(dict.fromkeys(_homes_of(getattr(function, "args", None))))
    return [name for name in names if name in sys.modules and name.partition(".")[0] in SAFE_TO_IMPORT]


def _imported_inside(code: Any) -> list[str]:
    """What the code may import by itself: every name in it that stands for something else drops out later."""
    names = list(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names += _imported_inside(constant)
    return names


def _homes_of(held: Any) -> list[str]:
    """The modules of classes, and of objects' classes, that a partial holds, in tuples too."""
    if not isinstance(held, tuple):
        home = getattr(held if isinstance(held, type) else type(held), "__module__", None)
        return [home] if isinstance(home, str) else []
    return [home for each in held for home in _homes_of(each)]


def directories_of(modules: list[str]) -> list[str]:
    """Where the packages of these modules are."""
    found: dict[str, None] = {}
    for name in modules:
        file = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None)
        if file:
            found[os.path.dirname(os.path.dirname(os.path.abspath(file)))] = None
    return list(found)


def _functions(task: Task) -> list[Any]:
    functions: list[Any] = []
    for _, function in task.stages:
        for _ in range(MOST_WRAPPERS):
            function = getattr(function, "func", function)
        functions.append(getattr(function, "__func__", function))
    return functions
