"""Which calls run together: those of one fold, in an order in which neighbours have most in common.

A fold is cut where neighbours have nothing in common, and elsewhere only if workers would idle otherwise: then what
both sides need is done twice. Whether two fits are really the same is found out when they run.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Any

from allcores.sklearn import compat
from allcores.sklearn.sharing.calls import FitCall
from allcores.sklearn.sharing.costs import CUT_ENSEMBLE_COST
from allcores.sklearn.sharing.fold import Fold
from allcores.sklearn.sharing.places import Place, places

# So many units a worker are enough for balance; more would slice the data more often for nothing.
ENOUGH_A_WORKER = 32
# Below so many, the last ones are cut further, that all workers end together.
FEW_A_WORKER = 8
MOST_PIECES = 8
# The share of the last unit's time by which workers are expected to miss each other at the end.
UNCERTAINTY = 0.2


class Unit:
    """Calls that one worker runs at once. It pickles without the data.

    Attributes:
        indices: which of the caller's calls it answers.
        description: what they share, in words; empty where nothing is.
        cost: a guess at how long it takes, in units of one fit.
    """

    def __init__(
        self, indices: Sequence[int], fits: Sequence[FitCall], found: Sequence[Place | None]
    ) -> None:
        run = [place for place in found if place is not None]
        self.indices = tuple(indices)
        self.description = _description(run)
        self.cost = _cost(run) if run else 1.0
        self._calls = [call._replace(X=None, y=None) for call in fits]
        first: dict[Hashable, int] = {}
        self._equals = [
            first.setdefault(place.candidate, at) if place else at for at, place in enumerate(found)
        ]

    def __repr__(self) -> str:
        return f"<Unit of {len(self.indices)} fits{self.description and ': '}{self.description}>"

    def run(self, X: Any, y: Any) -> list[Any]:
        """Run the calls on the data; one result each, in the order of ``indices``.

        Raises:
            Exception: what the first of the calls, in the caller's order, raises that raises anything.
        """
        if len(self._calls) == 1:
            return [compat.fit_and_score(self._calls[0], X, y)]
        fold = Fold(X, y)
        answers: list[Any] = [None] * len(self._calls)
        failed: dict[int, Exception] = {}
        for at, call in enumerate(self._calls):
            if failed and self.indices[at] > min(failed):
                continue
            try:
                equal = answers[self._equals[at]]
                answers[at] = fold.repeat(equal, call) if equal is not None else fold.answer(call)
            except Exception as error:
                failed[self.indices[at]] = error
        if failed:
            raise failed[min(failed)]
        return [answer.result for answer in answers]


def units(calls: Sequence[FitCall], *, workers: int) -> list[Unit]:
    """Turn calls into units of work, in which the same work is done once.

    Args:
        calls: as many as are known; the data of all of them is the same.
        workers: how many units may run at the same time.

    Returns:
        Units that answer every call once, those that seem to take longest first.
    """
    is_understood = compat.is_known_shape() and compat.is_plain_configuration()
    shared = [index for index, call in enumerate(calls) if is_understood and _is_usual(call)]
    found = dict(zip(shared, places([calls[index] for index in shared]), strict=True))
    folds: dict[Hashable, list[int]] = {}
    for index in shared:
        folds.setdefault((id(calls[index].train), id(calls[index].test)), []).append(index)
    enough = -(-ENOUGH_A_WORKER * workers // max(len(folds), 1))
    runs = [run for fold in folds.values() for run in _cut_freely(_sorted(fold, found), found, enough)]
    if workers > 1 and len(runs) < FEW_A_WORKER * workers:
        runs = _balanced(runs, found, workers)
    runs += [[index] for index in range(len(calls)) if index not in found]
    made = [Unit(run, [calls[index] for index in run], [found.get(index) for index in run]) for run in runs]
    return sorted(made, key=lambda unit: -unit.cost)


def _is_usual(call: FitCall) -> bool:
    """Whether a call does what sharing knows about: no callbacks, and no print before the fit that would come twice."""
    options = call.options
    return (
        compat.OPTIONS.issuperset(options)
        and options.get("callback_ctx") is None
        and options.get("verbose", 0) <= 9
        and type(call.options.get("error_score", 0.0)) in (str, float, int)
    )


def _sorted(fold: list[int], found: dict[int, Place]) -> list[int]:
    """A fold's calls with most in common side by side, large ensembles before small ones."""
    ranks: dict[Hashable, int] = {}

    def order(index: int) -> Any:
        place = found[index]
        path: list[Hashable] = [place.steps[: depth + 1] for depth in range(len(place.steps))]
        path += [(place.steps, place.final), place.candidate]
        ranked = [ranks.setdefault(each, len(ranks)) for each in path]
        return (*ranked[:-1], -place.size, ranked[-1]) if place.final is not None else ranked

    return sorted(fold, key=lambda index: tuple(order(index)))


def _cut_freely(fold: list[int], found: dict[int, Place], most: int) -> list[list[int]]:
    """Cut a fold into at most so many runs where neighbours have nothing in common."""
    atoms: list[list[int]] = [[fold[0]]]
    for before, index in pairwise(fold):
        if _bond(found[before], found[index]):
            atoms[-1].append(index)
        else:
            atoms.append([index])
    runs: list[list[int]] = [[] for _ in range(min(most, len(atoms)))]
    for number, atom in enumerate(atoms):
        runs[number * len(runs) // len(atoms)] += atom
    return runs


def _balanced(runs: list[list[int]], found: dict[int, Place], workers: int) -> list[list[int]]:
    """Cut the runs that would come last into pieces, if all workers end earlier that way by all that one can guess."""
    if not runs:
        return []

    def cost(run: list[int]) -> float:
        return _cost([found[index] for index in run])

    runs = sorted(runs, key=cost, reverse=True)
    whole = len(runs) - (len(runs) % workers or min(workers, len(runs)))
    costs = [cost(run) for run in runs[:whole]]
    choices = [
        [piece for run in runs[whole:] for piece in _pieces(run, found, count)]
        for count in range(1, MOST_PIECES + 1)
    ]
    return runs[:whole] + min(choices, key=lambda last: _makespan([*costs, *map(cost, last)], workers))


def _pieces(run: list[int], found: dict[int, Place], count: int) -> list[list[int]]:
    """Cut a run into about so many pieces of about the same cost, where neighbours have least in common."""
    here = [found[index] for index in run]
    marks, total = [], 0.0
    for before, place in zip([None, *here], here, strict=False):
        marks.append(total)
        total += _added_cost(before, place)
    cuts = set()
    for number in range(1, count):
        wanted = total * number / count
        near = [at for at in range(1, len(run)) if abs(marks[at] - wanted) <= total / count / 4]
        near = [at for at in near if here[at].candidate != here[at - 1].candidate]
        if near:
            cuts.add(min(near, key=lambda at: (_bond(here[at - 1], here[at]), abs(marks[at] - wanted))))
    borders = [0, *sorted(cuts), len(run)]
    return [run[start:stop] for start, stop in pairwise(borders)]


def _makespan(costs: list[float], workers: int) -> float:
    """When the last worker ends if each takes the longest unit that is left, and how sure that is."""
    costs = sorted(costs, reverse=True)
    ends = [0.0] * workers
    for cost in costs:
        heapq.heapreplace(ends, ends[0] + cost)
    return max(ends) + UNCERTAINTY * costs[-1]


def _bond(before: Place, place: Place) -> float:
    """How much work two neighbours have in common."""
    same_final = before.grows_with(place) or before.candidate == place.candidate
    return place.steps_cost(None) - place.steps_cost(before) + same_final


def _cost(run: Sequence[Place]) -> float:
    return sum(_added_cost(before, place) for before, place in zip([None, *run], run, strict=False))


def _added_cost(before: Place | None, place: Place) -> float:
    """What a call costs after its neighbour."""
    if before is not None and before.candidate == place.candidate:
        return 0.0
    is_cut = before is not None and before.grows_with(place)
    return place.steps_cost(before) + (CUT_ENSEMBLE_COST if is_cut else 1.0)


def _description(run: Sequence[Place]) -> str:
    """What neighbours have in common, in words."""
    steps: dict[str, None] = {}
    sizes: set[float] = set()
    equal = 0
    for before, place in pairwise(run):
        steps |= dict.fromkeys(step.name for step in place.steps[: before.in_common(place)] if step.cost)
        if before.candidate == place.candidate:
            equal += 1
        elif before.grows_with(place):
            sizes |= {before.size, place.size}
    parts = []
    if steps:
        parts.append("fitted once: " + ", ".join(steps))
    if sizes:
        parts.append(f"cut from ensembles of {max(sizes):g}")
    if equal:
        parts.append(f"{equal} equal to others")
    return "; ".join(parts)
