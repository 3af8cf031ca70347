"""What a call asks to be around its items, checked at the door: who takes ``rng``, who takes ``state``."""

from __future__ import annotations

import functools

from allcores.core.plan import THREADS
from allcores.options import Options
from allcores.tasks.coroutines import is_coroutine_function
from allcores.tasks.surroundings import Surroundings, generator
from allcores.tasks.task import STARMAP, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


SHARING_ENGINES = (THREADS, "asyncio")  # their items share the generators of the process


def surround(task: Task, options: Options) -> None:
    """Gives a task what its options ask for.

    Raises:
        TypeError: ``setup`` is a coroutine function.
        ValueError: nobody takes what there is to be given, or the engine cannot keep it.
        ImportError: a function takes ``rng`` and NumPy is not installed.
    """
    if options.seed is None and options.setup is None:
        return
    wanted = [name for name, value in (("rng", options.seed), ("state", options.setup)) if value is not None]
    takes = tuple(tuple(_taken(kind, function, wanted)) for kind, function in task.stages)
    somebody = {name for names in takes for name in names}
    if is_coroutine_function(options.setup):
        raise TypeError(
            "setup is called and never awaited; write it as def, or make what the coroutines share before the call"
        )
    if options.setup is not None and "state" not in somebody:
        raise ValueError(
            "setup gives its value to the function as keyword `state`, which it does not take; "
            "write def f(x, state): ..."
        )
    if "rng" in somebody:
        generator((0,))
    elif options.seed is not None and options.engine in SHARING_ENGINES:
        raise ValueError(
            f"seed cannot be kept with engine={options.engine!r} unless the function draws from its own generator: "
            "threads share `random` and `numpy.random`. Write def f(x, rng): ... and draw from rng, "
            "or engine='processes'"
        )
    task.surroundings = Surroundings(options.seed, options.setup, takes)


def shares_generators(task: Task) -> bool:
    """Whether items draw seeded numbers from generators that threads would share."""
    surroundings = task.surroundings
    if surroundings is None or surroundings.seed is None:
        return False
    return not any("rng" in names for names in surroundings.takes)


def _taken(kind: str, function: Any, wanted: list[str]) -> list[str]:
    """Which of these keywords a function takes by name; its first parameter is the item's."""
    import inspect

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some that are written in C do not say
        return []
    if kind != STARMAP and parameters and parameters[0].kind is not inspect.Parameter.KEYWORD_ONLY:
        parameters = parameters[1:]
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = {each.name for each in parameters if each.kind in by_name}
    found = [name for name in wanted if name in names]
    bound = function.keywords if isinstance(function, functools.partial) else {}
    for name in found:
        if name in bound:
            option = {"rng": "seed", "state": "setup"}[name]
            raise ValueError(
                f"{name} is given twice: by {option}= and by kwargs (or partial); leave one of them out"
            )
    return found
