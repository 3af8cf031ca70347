"""Every error that allcores raises, in one tree::

    Exception
    └── AllcoresError             everything below; catch this to catch us and not the user's own errors
        ├── WorkerLost            a worker process died while it ran an item: .index, .signal, .exitcode, .output
        ├── TaskTimeout           an item ran longer than ``timeout`` (a TimeoutError): .index, .seconds, .output
        ├── DeadlineExceeded      the job ran longer than ``deadline`` (a TimeoutError): .seconds
        ├── Unpicklable           a function, item or result cannot travel (a TypeError): .what, .path
        ├── RemoteError           an exception of the user's that could not be rebuilt here: .type_name, .text
        ├── LostWriteError        with ``writes="error"``: the function writes to what workers only have a copy of
        ├── StartError            workers could not be started at all
        └── ExecutorBroken        an Executor can run nothing any more (a concurrent.futures.BrokenExecutor)
    UserWarning
    ├── RandomStateWarning        items draw from a generator that no seed=... makes reproducible
    └── LostWriteWarning          the function writes to what workers only have a copy of

What the user's own function raises is none of these: it arrives with its own type.
Bad options are plain ``TypeError`` and ``ValueError``, raised before any worker starts.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class AllcoresError(Exception):
    """The root of every error that allcores itself raises."""


class WorkerLost(AllcoresError):
    """A worker process died while it ran an item.

    Attributes:
        index: position of the item that was running, or None if none was.
        signal: number of the signal that ended the worker, or None if it exited by itself or nobody knows.
        exitcode: exit status of the worker, or None if a signal ended it or nobody knows.
        output: the last 4 KB that the worker wrote and nobody has seen, its Python stack after a crash included.
    """

    def __init__(
        self,
        message: str,
        index: int | None = None,
        signal: int | None = None,
        exitcode: int | None = None,
        output: str = "",
    ) -> None:
        super().__init__(message, index, signal, exitcode, output)
        self.index = index
        self.signal = signal
        self.exitcode = exitcode
        self.output = output

    def __str__(self) -> str:
        return str(self.args[0])


class TaskTimeout(AllcoresError, TimeoutError):
    """An item ran longer than ``timeout`` seconds; its worker was stopped.

    Attributes:
        index: position of the item.
        seconds: the timeout that it passed.
        output: the last 4 KB that the worker wrote and nobody has seen, and its Python stack when it was stopped.
    """

    def __init__(self, message: str, index: int, seconds: float, output: str = "") -> None:
        super().__init__(message, index, seconds, output)
        self.index = index
        self.seconds = seconds
        self.output = output

    def __str__(self) -> str:
        return str(self.args[0])


class DeadlineExceeded(AllcoresError, TimeoutError):
    """The whole job ran longer than ``deadline`` seconds.

    Attributes:
        seconds: the deadline that it passed.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message, seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return str(self.args[0])


class Unpicklable(AllcoresError, TypeError):
    """A function, an item or a result cannot be pickled, so it cannot travel between processes.

    Attributes:
        what: "function", "item" or "result".
        path: where the culprit sits, for example ``f.__closure__['lock']`` or ``item['handle']``.
        index: position of the item concerned, or None for the function.
    """

    def __init__(self, message: str, what: str, path: str, index: int | None = None) -> None:
        super().__init__(message, what, path, index)
        self.what = what
        self.path = path
        self.index = index

    def __str__(self) -> str:
        return str(self.args[0])


class RemoteError(AllcoresError):
    """An exception raised by the user's function that could not be rebuilt in the caller.

    Attributes:
        type_name: qualified name of the exception's type.
        text: its message and its traceback, as text.
        index: position of the item that raised it, or None.
    """

    def __init__(self, message: str, type_name: str, text: str, index: int | None = None) -> None:
        super().__init__(message, type_name, text, index)
        self.type_name = type_name
        self.text = text
        self.index = index

    def __str__(self) -> str:
        return str(self.args[0])


class StartError(AllcoresError):
    """Workers could not be started: the function cannot be loaded, ``setup`` raised, or every new worker dies."""


class RandomStateWarning(UserWarning):
    """Items draw random numbers that the loop would not have drawn; ``seed=...`` makes them the same everywhere."""


class LostWriteError(AllcoresError, RuntimeError):
    """With ``writes="error"``: the function writes to something of which workers only have a copy.

    Example:
        >>> import allcores as ac
        >>> results = []
        >>> ac.map(lambda x: results.append(x), range(3), writes="error")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        allcores.errors.LostWriteError: the function writes to the global 'results': results.append(...) ...
    """


class LostWriteWarning(UserWarning):
    """The function writes to something of which workers only have a copy: the caller would never see it."""


class RemoteTraceback(Exception):
    """The traceback of an exception in its worker, as text: the last ``__cause__`` of the exception's chain."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return "\n" + self.text


class Failure:
    """Stands in the place of an item's result when ``on_error="return"``.

    Attributes:
        index: position of the item.
        item: the item itself; a tuple of arguments where several iterables were mapped.
        error: the exception.

    Example:
        >>> import allcores as ac
        >>> ac.map(lambda x: 1 / x, [1, 0, 2], on_error="return")
        [1.0, Failure(index=1, item=0, error=ZeroDivisionError('division by zero')), 0.5]
    """

    __slots__ = ("error", "index", "item")

    def __init__(self, index: int, item: Any, error: BaseException) -> None:
        self.index = index
        self.item = item
        self.error = error

    def __repr__(self) -> str:
        return f"Failure(index={self.index}, item={self.item!r}, error={self.error!r})"
