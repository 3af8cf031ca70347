"""The task behind an executor: an item is a call, as (function, args, kwargs), and the task makes it."""

from __future__ import annotations

from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Item = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class InitializerFailed(Exception):
    """The initializer has raised what is the cause of this; the call itself was not made."""


class Calls:
    """Makes calls; the initializer is run before the first one, once in each process, or in each thread.

    ``func`` is a function that will be called, if one is known: as with ``functools.partial``, what looks for imports
    looks through this attribute. It does not travel with the task.

    >>> make = Calls(print, ("ready",))
    >>> make((abs, (-1,), {})), make((abs, (-2,), {}))
    ready
    (1, 2)
    """

    __slots__ = ("_worker", "func", "initargs", "initializer")

    def __init__(
        self,
        initializer: Callable[..., Any] | None,
        initargs: tuple[Any, ...],
        func: Callable[..., Any] | None = None,
    ) -> None:
        self.func = func
        self.initializer = initializer
        self.initargs = initargs
        self._worker = _local()

    def __reduce__(self) -> tuple[Any, ...]:
        return Calls, (self.initializer, self.initargs)

    def __call__(self, item: Item) -> Any:
        """Makes one call. Raises InitializerFailed."""
        if self.initializer is not None and not hasattr(self._worker, "initialized"):
            try:
                self.initializer(*self.initargs)
            except BaseException as error:
                raise InitializerFailed from error
            self._worker.initialized = True
        function, args, kwargs = item
        return function(*args, **kwargs)
