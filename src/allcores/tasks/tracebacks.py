"""A traceback shows the user's frames and not ours; ``ALLCORES_FULL_TRACEBACK=1`` shows all, for a bug report."""

from __future__ import annotations

import functools
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import CodeType, FrameType, TracebackType
    from typing import Any, ParamSpec, TypeVar

    Parameters = ParamSpec("Parameters")
    Result = TypeVar("Result")

LONGEST_CHAIN = 32
# What every exception has; read and set here without what a class of the user's makes of its attributes.
CAUSE: Any = BaseException.__dict__["__cause__"]
CONTEXT: Any = BaseException.__dict__["__context__"]
SUPPRESSES: Any = BaseException.__dict__["__suppress_context__"]
TRACEBACK: Any = BaseException.__dict__["__traceback__"]

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def is_hidden(code: CodeType) -> bool:
    """Whether a frame of this code is left out."""
    return code.co_filename.startswith(_HERE) and os.environ.get("ALLCORES_FULL_TRACEBACK", "0") == "0"


def leave_out_ours(error: BaseException) -> None:
    """Takes our frames out of the traceback of an exception, and of those that led to it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting and len(seen) < LONGEST_CHAIN:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            TRACEBACK.__set__(each, _without_ours(TRACEBACK.__get__(each)))
            waiting += (CAUSE.__get__(each), CONTEXT.__get__(each))


def stack_of(coroutine: Any) -> str:
    """Where a suspended coroutine stands, as text: from its outermost frame that is not ours to what it awaits."""
    import traceback

    frames: list[FrameType] = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None and not is_hidden(frame.f_code):
            frames.append(frame)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    if not frames:
        return ""
    stack = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames)
    return "Stack (most recent call last):\n" + "".join(stack.format())


def users_frames_only(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A public function whose exceptions look as if the line that calls it had raised them.

    A bare ``raise`` adds no frame to a traceback, so not even this one stays.
    """

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            leave_out_ours(error)
            raise

    return call


def users_frames_only_awaited(
    function: Callable[Parameters, Coroutine[Any, Any, Result]],
) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
    """The same for a public coroutine function."""

    @functools.wraps(function)
    async def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return await function(*args, **kwargs)
        except BaseException as error:
            leave_out_ours(error)
            raise

    return call


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    while trace is not None:
        if not is_hidden(trace.tb_frame.f_code):
            kept.append(trace)
        trace = trace.tb_next
    for above, below in zip(kept, [*kept[1:], None], strict=False):
        above.tb_next = below
    return kept[0] if kept else None
