"""What items have printed, and to which of them it belongs.

Rule of this file: what was printed travels with the outcome of its item and is never opened here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from allcores.core.events import Outcome, Printed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def shared_out(outcomes: list[Outcome], printed: Sequence[Printed]) -> list[Outcome]:
    """The outcomes of consecutive items, each with what its items have printed; what was printed before or behind
    all of them (by a thread that an item has left behind) goes with the first or the last.

    >>> shared = shared_out([Outcome(0, 2, 0, "ab"), Outcome(2, 3, 2, "c")], [(1, 1, "b"), (7, 1, "")])
    >>> [each.printed for each in shared]
    [((1, 1, 'b'),), ((7, 1, ''),)]
    """
    if not printed or not outcomes:
        return outcomes
    shared: list[Outcome] = []
    rest = list(printed)
    for outcome in outcomes:
        last = len(shared) == len(outcomes) - 1
        own = rest if last else [each for each in rest if each[0] < outcome.stop]
        rest = [] if last else [each for each in rest if each[0] >= outcome.stop]
        size_bytes = outcome.size_bytes + sum(len(text) for _, _, text in own)
        shared.append(outcome._replace(printed=(*outcome.printed, *own), size_bytes=size_bytes))
    return shared


def item_by_item(outcome: Outcome, values: list[Any]) -> Iterator[tuple[list[Printed], list[Any]]]:
    """Runs of values of an outcome, each with what is to be shown before them.

    >>> list(item_by_item(Outcome(5, 8, 0, None, printed=((6, 1, "x"),)), [1, 2, 3]))
    [([], [1]), ([(6, 1, 'x')], [2, 3])]
    """
    by_item: dict[int, list[Printed]] = {outcome.start: []}
    for each in outcome.printed:
        index = min(max(each[0], outcome.start), outcome.stop - 1)
        by_item.setdefault(index, []).append(each)
    starts = sorted(by_item)
    for start, stop in zip(starts, [*starts[1:], outcome.stop], strict=True):
        if by_item[start] or stop > start:
            yield by_item[start], values[start - outcome.start : stop - outcome.start]
