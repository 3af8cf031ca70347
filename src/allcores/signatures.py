"""Calls that do not fit the signature of a public function say what to write instead."""

from __future__ import annotations

import functools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    Parameters = ParamSpec("Parameters")
    Result = TypeVar("Result")


def otherwise(
    advice: str,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Adds the advice to the TypeError of a call whose arguments do not fit.

    Example:
        >>> @otherwise("write double(2)")
        ... def double(number): return 2 * number
        >>> double(2, n_jobs=2)
        Traceback (most recent call last):
        ...
        TypeError: double() got an unexpected keyword argument 'n_jobs'; write double(2)
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @functools.wraps(function)
        def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                trace = error.__traceback__
                if trace is None or trace.tb_next is not None:  # it comes from within
                    raise
                misfit = str(error)
            raise TypeError(f"{misfit}; {advice}") from None

        return call

    return decorate
