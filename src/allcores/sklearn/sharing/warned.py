"""Warnings of work that is done once, shown for everyone who would have done it.

What is shown while a fit is shared is held back; it is let out if the fit succeeds, and shown again, by the filters of
that moment, whenever somebody gets the result without doing the work. Held back is what passed the user's filters, by
thread: ``warnings.catch_warnings(record=True)`` would take the warnings of all threads, and forget how to show them.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_HERE = os.path.dirname(__file__)


class Shown(NamedTuple):
    """One warning that passed the filters."""

    message: Any
    category: type[Warning]
    filename: str
    lineno: int

    def is_ours(self) -> bool:
        """Say whether the warning names a line of this package, as the one that called what warns."""
        return self.filename.startswith(_HERE)

    def again(self) -> None:
        """Warn of the same once more, from where it came: filters decide anew, and may make it an exception."""
        name = _module_of(self.filename)
        registry = vars(sys.modules[name]).setdefault("__warningregistry__", {}) if name else None
        warnings.warn_explicit(*self, module=name, registry=registry)


class _Logs(threading.local):
    def __init__(self) -> None:
        self.stack: list[list[Shown]] = []


_logs = _Logs()
_lock = threading.Lock()
_holders = 0
_show_before: Any = None


@contextmanager
def held() -> Iterator[list[Shown]]:
    """Hold back what this thread shows, and let it out at the end, unless the work is given up.

    It is let out as well where an ``Exception`` ends the work, as that is part of what it did.
    """
    log: list[Shown] = []
    _enter()
    _logs.stack.append(log)
    try:
        yield log
    except Exception:
        _leave()
        let_out(log)
        raise
    except BaseException:
        _leave()
        raise
    else:
        _leave()
        let_out(log)


def let_out(log: list[Shown]) -> None:
    """Show what was held back, or hand it to whoever holds back around this."""
    for each in log:
        warnings.showwarning(*each)


def _enter() -> None:
    global _holders, _show_before
    with _lock:
        _holders += 1
        if warnings.showwarning is not _show:
            _show_before = warnings.showwarning
            warnings.showwarning = _show


def _leave() -> None:
    global _holders
    _logs.stack.pop()
    with _lock:
        _holders -= 1
        if not _holders and warnings.showwarning is _show:
            warnings.showwarning = _show_before


def _show(
    message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    if _logs.stack:
        _logs.stack[-1].append(Shown(message, category, filename, lineno))
    else:
        _show_before(message, category, filename, lineno, file, line)


@functools.lru_cache(maxsize=256)
def _module_of(filename: str) -> str | None:
    """Find the module of a source file: filters and "once per place" go by it."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) == filename:
            return name
    return None
