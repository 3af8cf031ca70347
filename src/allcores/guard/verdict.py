"""What the guard says about a task."""

from __future__ import annotations

from allcores.core.records import NamedTuple
from allcores.guard.judging import is_plain_data
from allcores.guard.reach import Finding, Reach
from allcores.guard.things import ITEM_ROOT, UNKNOWN, Thing
from allcores.tasks.task import FILTER, FLAT_MAP, STARMAP, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Verdict(NamedTuple):
    """What was found.

    Attributes:
        findings: writes that would be lost.
        excused: variables that are written as caches are.
        unsafe: why threads may not compute it; None if they may.
        not_in_threads: why threads may not even wait for it.
        not_in_processes: why another interpreter may give other results.
    """

    findings: tuple[Finding, ...]
    excused: frozenset[str]
    unsafe: str | None
    not_in_threads: str | None = None
    not_in_processes: str | None = None


def verdict(task: Task, sample: Any = UNKNOWN) -> Verdict:
    """Looks at the functions of a task. Never raises: what cannot be read is not promised.

    Args:
        task: the task.
        sample: one of its items, if one is at hand; its type says what a method of it does.

    Example:
        >>> seen = []
        >>> found = verdict(Task((("map", lambda x: seen.append(x)),)), 1).findings
        >>> found[0].root, found[0].what
        ('the global', 'seen.append(...)')
    """
    reach = Reach()
    try:
        _follow(reach, task, sample)
    except Exception:
        reach.unsafe = reach.unsafe or "it could not be read to its end"
    return Verdict(
        tuple(reach.findings),
        frozenset(reach.excused),
        reach.unsafe,
        reach.whereabouts.not_in_threads,
        reach.whereabouts.not_in_processes,
    )


def _follow(reach: Reach, task: Task, sample: Any) -> None:
    if sample is UNKNOWN or not is_plain_data(sample):
        reach.unsafe = "its items are not plain data"
    value = [Thing(ITEM_ROOT, "item", sample)]
    for kind, function in task.stages:
        arguments = _spread(function, value) if kind == STARMAP else [_named(function, value)]
        returned = reach.follow(function, arguments)
        if returned is None:
            returned = reach.foreign(function)
        if kind == FLAT_MAP:
            value = [Thing(each.root, f"{each.path}[...]") for each in returned if each.root is not None]
        elif kind != FILTER:
            value = returned
    if task.stages and task.stages[-1][0] != FILTER:
        reach.whereabouts.returns(value)
    if task.reduction is not None:
        for function in _functions_of((task.reduction.fold, task.reduction.merge)):
            reach.follow(function, [])
    if not reach.computes_beside:
        reach.unsafe = reach.unsafe or "nothing that it calls is in the table of thread-safe operations"


def _spread(function: Any, value: list[Thing]) -> list[list[Thing]]:
    """The parts of an item, as the function's arguments."""
    if len(value) == 1 and type(value[0].known) in (tuple, list):
        return [[Thing(value[0].root, _name(function, i), part)] for i, part in enumerate(value[0].known)]
    count = getattr(getattr(function, "__code__", None), "co_argcount", 1)
    return [[Thing(each.root, _name(function, i)) for each in value] for i in range(count)]


def _named(function: Any, value: list[Thing]) -> list[Thing]:
    """The item under the name that the function has for it."""
    return [each._replace(path=_name(function, 0)) if each.path == "item" else each for each in value]


def _name(function: Any, position: int) -> str:
    while hasattr(function, "func") and hasattr(function, "args"):  # functools.partial
        position += len(function.args)
        function = function.func
    inner = getattr(function, "__func__", function)
    names = getattr(getattr(inner, "__code__", None), "co_varnames", ())
    position += inner is not function
    return str(names[position]) if position < len(names) else "item"


def _functions_of(things: Any, depth: int = 0) -> list[Any]:
    found = []
    for each in things:
        if hasattr(each, "func") and hasattr(each, "args"):
            found += _functions_of((each.func, *each.args, *each.keywords.values()), depth + 1)
        elif callable(each):
            found.append(each)
    return found


def in_words(finding: Finding) -> str:
    """A finding as a sentence without an end."""
    where = f" ({finding.file}:{finding.line})" if finding.file else ""
    return f"the function writes to {finding.root} {finding.path!r}: {finding.what}{where}"
