"""allcores runs the loop you already have on every core you have.

>>> import allcores as ac
>>> ac.map(abs, [-2, -1, 0])
[2, 1, 0]
>>> ac.par(range(10)).map(lambda x: x * x).filter(lambda x: x % 2).sum()
165
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from allcores.api import amap, cpu_count, explain, map, partial, rng, shutdown, starmap, warmup
    from allcores.core.plan import Plan
    from allcores.defaults import config
    from allcores.errors import (
        AllcoresError,
        DeadlineExceeded,
        Failure,
        LostWriteError,
        LostWriteWarning,
        RandomStateWarning,
        RemoteError,
        RemoteTraceback,
        StartError,
        TaskTimeout,
        Unpicklable,
        WorkerLost,
    )
    from allcores.executor import Executor, ExecutorBroken
    from allcores.stream import Stream, par
    from allcores.tasks.place import worker_index

__version__ = "0.1.0"

_HOMES = {
    "allcores.api": (
        "amap",
        "cpu_count",
        "explain",
        "map",
        "partial",
        "rng",
        "shutdown",
        "starmap",
        "warmup",
    ),
    "allcores.defaults": ("config",),
    "allcores.stream": ("Stream", "par"),
    "allcores.executor": ("Executor", "ExecutorBroken"),
    "allcores.core.plan": ("Plan",),
    "allcores.tasks.place": ("worker_index",),
    "allcores.errors": (
        "AllcoresError",
        "DeadlineExceeded",
        "Failure",
        "LostWriteError",
        "LostWriteWarning",
        "RandomStateWarning",
        "RemoteError",
        "RemoteTraceback",
        "StartError",
        "TaskTimeout",
        "Unpicklable",
        "WorkerLost",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_ELSEWHERE = {  # what other libraries call it, and what to write here
    **dict.fromkeys(("Parallel", "Pool", "ThreadPool"), "allcores.map(function, items)"),
    **dict.fromkeys(
        ("imap", "imap_unordered"), "allcores.par(items, ordered=...).map(function), and walk over that"
    ),
    **dict.fromkeys(("ProcessPoolExecutor", "ThreadPoolExecutor"), "allcores.Executor()"),
    "delayed": "allcores.map(function, items), which takes the function itself",
    "apply_async": "allcores.Executor().submit(function, *arguments)",
    "Client": "allcores.Executor()",
}

__all__ = [
    "AllcoresError",
    "DeadlineExceeded",
    "Executor",
    "ExecutorBroken",
    "Failure",
    "LostWriteError",
    "LostWriteWarning",
    "Plan",
    "RandomStateWarning",
    "RemoteError",
    "RemoteTraceback",
    "StartError",
    "Stream",
    "TaskTimeout",
    "Unpicklable",
    "WorkerLost",
    "amap",
    "config",
    "cpu_count",
    "explain",
    "map",
    "par",
    "partial",
    "rng",
    "shutdown",
    "starmap",
    "warmup",
    "worker_index",
]


def __getattr__(name: str) -> object:
    """Imports a public name when it is first used: workers, which share this package, need few."""
    home = _HOME_OF.get(name)
    if home is None:
        hint = f"; write {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
        raise AttributeError(f"module 'allcores' has no attribute {name!r}{hint}")
    value: object = getattr(__import__(home, fromlist=[name]), name)
    globals()[name] = value
    return value


if "ALLCORES_CHILD" not in os.environ:  # what every call needs: the first one is not the one to pay for it
    import allcores.api  # noqa: F401


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
