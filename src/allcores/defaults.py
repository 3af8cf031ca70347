"""Defaults for calls: of a ``with config(...)`` block, and below these of the environment."""

from __future__ import annotations

import os
from contextvars import ContextVar, Token

from allcores.processes import presence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

_configured: ContextVar[dict[str, Any] | None] = ContextVar("allcores_config", default=None)


class config:  # noqa: N801  (used like a function, as contextlib.suppress is)
    """Inside ``with allcores.config(**options):`` these options are the defaults of every call.

    What a call says itself wins, then the innermost block, then the environment (``ALLCORES_ENGINE``,
    ``ALLCORES_N_JOBS``). A block holds for its own thread and asyncio task, and not inside worker processes. A
    stream takes its defaults where ``par`` is called.

    Args:
        **options: as for ``map`` and ``par``.

    Raises:
        TypeError, ValueError: the options mean nothing, or nothing together: at once, before the block.

    Example:
        >>> import allcores as ac
        >>> with ac.config(engine="threads", n_jobs=2):
        ...     ac.map(abs, [-1, 2])
        [1, 2]
    """

    def __init__(self, **options: Any) -> None:
        from allcores.options import checked

        checked(options)
        self._options = options
        self._tokens: list[Token[dict[str, Any] | None]] = []

    def __enter__(self) -> config:
        self._tokens.append(_configured.set({**(_configured.get() or {}), **self._options}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _configured.reset(self._tokens.pop())

    @staticmethod
    def current() -> dict[str, Any]:
        """The defaults that hold here and now: of the blocks around, and below these of the environment.

        Raises:
            ValueError: the environment asks for something that means nothing.

        Example:
            >>> import allcores as ac
            >>> with ac.config(n_jobs=2, retries=1):
            ...     with ac.config(retries=3):
            ...         ac.config.current()
            {'n_jobs': 2, 'retries': 3}
        """
        return with_defaults({})


def with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """The options of a call, and for those that it leaves open the defaults that hold here and now."""
    configured = _configured.get()
    if configured:
        given = {**configured, **given}
    environ = os.environ
    if ("ALLCORES_ENGINE" in environ or "ALLCORES_N_JOBS" in environ) and not presence.inside_worker():
        given = {**_of_the_environment(), **given}
    return given


def _of_the_environment() -> dict[str, Any]:
    """What the environment asks for. Raises ValueError that names the variable."""
    from allcores.options import ENGINES, MOST_JOBS

    found: dict[str, Any] = {}
    if engine := os.environ.get("ALLCORES_ENGINE"):
        if engine not in ENGINES:
            raise ValueError(
                f"the environment variable ALLCORES_ENGINE is {engine!r}; write one of: {', '.join(ENGINES)}"
            )
        found["engine"] = engine
    if n_jobs := os.environ.get("ALLCORES_N_JOBS"):
        is_whole = n_jobs.removeprefix("-").isdecimal() and len(n_jobs) < 20
        found["n_jobs"] = int(n_jobs) if is_whole else 0
        if not found["n_jobs"] or found["n_jobs"] > MOST_JOBS:
            raise ValueError(
                f"the environment variable ALLCORES_N_JOBS is {n_jobs!r}; "
                "write a whole number such as 4, or -1 for every core"
            )
    return found
