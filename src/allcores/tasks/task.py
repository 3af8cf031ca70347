"""A task: what is done with each item.

A task is the fused chain of a stream's stages and, where the stream ends in a reduction, the reduction.
``Task.run`` turns one item into its output; with a filter or a flat_map in the chain (``spreads``) the output
is the list of values that the item became.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from allcores.core.combine import Reduction
    from allcores.tasks.surroundings import Surroundings

MAP, STARMAP, FILTER, FLAT_MAP = "map", "starmap", "filter", "flat_map"


class Task:
    """The stages that each item passes through, and what the outputs are reduced with, if anything.

    Attributes:
        stages: pairs of a kind (map, starmap, filter, flat_map) and the user's function.
        reduction: how outputs are reduced (None: they are results themselves).
        retry_on: classes of exceptions after which an item may be tried again.
        spreads: whether an item's output is a list of values.
        surroundings: random numbers and the like that its functions find around them, if any.
    """

    __slots__ = ("_run", "reduction", "retry_on", "spreads", "stages", "surroundings")

    def __init__(
        self,
        stages: tuple[tuple[str, Callable[..., Any]], ...],
        reduction: Reduction | None = None,
        retry_on: tuple[type[BaseException], ...] = (),
        surroundings: Surroundings | None = None,
    ) -> None:
        self.stages = stages
        self.reduction = reduction
        self.retry_on = retry_on
        self.surroundings = surroundings
        self.spreads = any(kind in (FILTER, FLAT_MAP) for kind, _ in stages)
        self._run: Callable[[Any], Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Task, (self.stages, self.reduction, self.retry_on, self.surroundings)

    @property
    def run(self) -> Callable[[Any], Any]:
        """The function from one item to its output."""
        if self._run is None:
            given = self.surroundings.given if self.surroundings is not None else tuple
            self._run = _compose(given(self.stages), self.spreads)
        return self._run

    @property
    def begin(self) -> Callable[[int], None] | None:
        """What must be told the index of an item before it runs, or None."""
        seeded = self.surroundings is not None and self.surroundings.seed is not None
        return self.surroundings.begin if seeded else None  # type: ignore[union-attr]

    def running(self, run: Callable[[Any], Any]) -> Task:
        """The same task, whose items are run by ``run``."""
        task = Task(self.stages, self.reduction, self.retry_on, self.surroundings)
        task._run = run
        return task


def _compose(stages: tuple[tuple[str, Callable[..., Any]], ...], spreads: bool) -> Callable[[Any], Any]:
    if spreads:
        return _spreading(stages)
    functions = [_unstarred(function) if kind == STARMAP else function for kind, function in stages]
    if not functions:
        return _identity
    run = functions[0]
    for function in functions[1:]:
        run = _after(run, function)
    return run


def _after(first: Callable[[Any], Any], then: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda item: then(first(item))


def _spreading(stages: tuple[tuple[str, Callable[..., Any]], ...]) -> Callable[[Any], list[Any]]:
    """Each stage hands a value on to those behind it, as generators do that are chained; the last makes a list."""
    run: Callable[[Any], list[Any]] = _alone
    for kind, function in reversed(stages):
        run = _BEFORE[kind](function, run)
    return run


def _alone(value: Any) -> list[Any]:
    return [value]


def _map_before(function: Callable[..., Any], rest: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    if rest is _alone:  # what most chains end with, without a call for the list
        return lambda value: [function(value)]
    return lambda value: rest(function(value))


def _starmap_before(
    function: Callable[..., Any], rest: Callable[[Any], list[Any]]
) -> Callable[[Any], list[Any]]:
    return lambda value: rest(function(*value))


def _filter_before(
    function: Callable[..., Any], rest: Callable[[Any], list[Any]]
) -> Callable[[Any], list[Any]]:
    if rest is _alone:
        return lambda value: [value] if function(value) else []
    return lambda value: rest(value) if function(value) else []


def _flat_map_before(
    function: Callable[..., Any], rest: Callable[[Any], list[Any]]
) -> Callable[[Any], list[Any]]:
    if rest is _alone:
        return lambda value: list(function(value))
    return lambda value: [output for each in function(value) for output in rest(each)]


_BEFORE = {MAP: _map_before, STARMAP: _starmap_before, FILTER: _filter_before, FLAT_MAP: _flat_map_before}


def _unstarred(function: Callable[..., Any]) -> Callable[[Any], Any]:
    def call(arguments: Any) -> Any:
        return function(*arguments)

    return call


def _identity(item: Any) -> Any:
    return item
