"""Says once, when a call has ended, that its items drew random numbers which the loop would not have drawn."""

from __future__ import annotations

from allcores.core.plan import ASYNCIO, PROCESSES, THREADS
from allcores.errors import RandomStateWarning
from allcores.runtime.users_line import warn
from allcores.tasks.generators import captured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.runtime.watch import Watch
    from allcores.tasks.task import Task

_REMEDY = (
    "write seed=1 (any number): then item i draws the same numbers wherever it runs, from `random`, from "
    "`numpy.random`, or from rng where the function is def f(x, rng)"
)


def warn_of_draws(task: Task, engine: Any, undisturbed: bool, watch: Watch) -> None:
    """Warns in the user's own line, if there is a reason to.

    Args:
        task: what the items went through.
        engine: where they did.
        undisturbed: beside the items no code of the user's has run, neither an iterator nor a consumer. Threads
            share their generators with it, and nobody can tell who drew.
        watch: knows whether everything that the items reach is in the table of thread-safe operations. What those
            draw from the generators of the process makes no difference: ``SVC().fit`` draws a seed that it does
            not use.
    """
    holder = captured(task) if engine.name == PROCESSES else None
    if holder is not None:
        message = (
            f"`{holder}` is a random generator that the function holds: each worker draws from a copy of its own, "
            f"so workers repeat each other's numbers, and yours does not move. Instead, {_REMEDY}"
        )
    elif not undisturbed and engine.name in (THREADS, ASYNCIO):
        return
    elif getattr(engine, "drew", bool)() and not watch.knows_everything():
        message = (
            "items drew from the generators of `random` or `numpy.random` on several workers at once: "
            f"unless it seeds them itself, the results differ from the loop's, and from call to call. Then {_REMEDY}"
        )
    else:
        return
    warn(message, RandomStateWarning)
