"""Where a call stands among the calls of its fold: what it would have in common with which others.

Read from the names of the parameters that are set, as nothing may be cloned or fitted here: it costs microseconds a
call. Candidates recur in every fold with the same dictionary, and are read once.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from allcores.sklearn.sharing import keys, prefixes, sizes
from allcores.sklearn.sharing.calls import FitCall
from allcores.sklearn.sharing.costs import redo_cost, step_cost


class Step(NamedTuple):
    """A step before the last that may be fitted once for all candidates that agree on it and on those before."""

    name: str
    setting: Hashable
    cost: float
    redo_cost: float  # where only the setting differs


class Place(NamedTuple):
    """One call's place."""

    steps: tuple[Step, ...]
    final: Hashable  # equal for ensembles of which one may be cut from the other; None where there is none
    size: float  # of that ensemble
    candidate: Hashable  # equal for calls that are the same

    def in_common(self, other: Place) -> int:
        """Count the beginning steps that two places agree on."""
        agree = takewhile(lambda pair: pair[0] == pair[1], zip(self.steps, other.steps, strict=False))
        return sum(1 for _ in agree)

    def steps_cost(self, after: Place | None) -> float:
        """Guess what the steps cost after a neighbour."""
        if after is None:
            return sum(step.cost for step in self.steps)
        start = self.in_common(after)
        rest = self.steps[start:]
        if not rest:
            return 0.0
        is_same_step = len(after.steps) > start and after.steps[start].name == rest[0].name
        return (rest[0].redo_cost if is_same_step else rest[0].cost) + sum(step.cost for step in rest[1:])

    def grows_with(self, other: Place) -> bool:
        """Say whether one ensemble may be cut from the other."""
        return self.final is not None and self.final == other.final and self.steps == other.steps


def places(fits: Sequence[FitCall]) -> list[Place]:
    """Return the place of every call."""
    bases: list[Any] = []
    known: dict[Hashable, Place] = {}
    found = []
    for call in fits:
        base = _number_of(call.estimator, bases)
        others = (
            id(call.scorer),
            id(call.fit_params),
            id(call.score_params),
            call.options.get("error_score"),
        )
        candidate = (base, id(call.parameters), others)
        if candidate not in known:
            known[candidate] = _place(bases[base], call.parameters or {}, (base, others))
        found.append(known[candidate])
    return found


def _place(base: Any, parameters: dict[str, Any], group: Hashable) -> Place:
    settings = {name: _setting(value) for name, value in sorted(parameters.items())}
    steps: list[Step] = []
    final, prefix = base, ""
    rest = dict(settings)
    if (
        type(base) is Pipeline
        and prefixes.is_usual(base)
        and not parameters.keys() & base.get_params(deep=False)
    ):
        for name, step in base.steps[:-1]:
            chosen = parameters.get(name, step)
            if not prefixes.is_placeholder(chosen) and not _may_be_shared(chosen):
                break
            mine = {each: rest.pop(each) for each in settings if each == name or each.startswith(name + "__")}
            steps.append(Step(name, tuple(mine.items()), step_cost(chosen), redo_cost(chosen)))
        name, final = base.steps[-1]
        final, prefix = parameters.get(name, final), name + "__"
    size, ensemble = 0.0, None
    if sizes.may_grow(final, {each.removeprefix(prefix): value for each, value in parameters.items()}):
        parameter = prefix + str(sizes.size_parameter(type(final)))
        size = parameters.get(parameter, getattr(final, parameter.removeprefix(prefix)))
        ensemble = (group, tuple((each, value) for each, value in rest.items() if each != parameter))
    return Place(tuple(steps), ensemble, size, (group, tuple(settings.items())))


def _setting(value: Any) -> Hashable:
    try:
        return keys.key(value)
    except keys.Opaque:
        return ("the very", id(value))


def _may_be_shared(step: Any) -> bool:
    return keys.has_key(step) and not keys.draws_always(step)


def _number_of(estimator: Any, bases: list[Any]) -> int:
    for number, base in enumerate(bases):
        if is_alike(estimator, base):
            return number
    bases.append(estimator)
    return len(bases) - 1


def is_alike(one: Any, other: Any) -> bool:
    """Say whether one estimator looks like a clone of the other."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, (bool, int, float, str)):
        return bool(one == other)
    if isinstance(one, BaseEstimator):
        mine, theirs = vars(one), vars(other)
        return mine.keys() == theirs.keys() and all(is_alike(mine[name], theirs[name]) for name in mine)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_alike, one, other))
    return False
