"""Warnings stand at the line of the user's that called us, also where a thread of ours does a coroutine's calling."""

from __future__ import annotations

import os
import sys
from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Line: TypeAlias = tuple[str, int, dict[str, Any]]  # filename, line number, globals of the module

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_thread: Any = _local()


def users_line() -> Line:
    """Where the user's code has called us."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HOME):
        frame = frame.f_back
    line: Line | None = getattr(_thread, "line", None)
    if line is not None and frame.f_globals.get("__name__") == "concurrent.futures.thread":
        return line
    return frame.f_code.co_filename, frame.f_lineno, frame.f_globals


def call_for(line: Line) -> None:
    """This thread is about to call for a coroutine of the user's that stands in this line."""
    _thread.line = line


def warn(message: str, category: type[Warning]) -> None:
    """Warns, in the user's line."""
    import warnings

    filename, number, names = users_line()
    registry = names.setdefault("__warningregistry__", {})
    module = str(names.get("__name__", "<unknown>"))
    warnings.warn_explicit(message, category, filename, number, module, registry)
