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

# With how many different estimators of a batch one is compared: usually there is one.
MOST_BASES = 8


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
    bases: list[Base] = []
    known: dict[Hashable, Place] = {}
    found = []
    for call in fits:
        base = next((each for each in bases[-MOST_BASES:] if is_alike(call.estimator, each.estimator)), None)
        if base is None:
            base = Base(call.estimator)
            bases.append(base)
        others = (
            id(call.scorer),
            id(call.fit_params),
            id(call.score_params),
            call.options.get("error_score"),
        )
        group = (id(base), others)
        candidate = (group, id(call.parameters))
        if candidate not in known:
            known[candidate] = base.place(call.parameters or {}, group)
        found.append(known[candidate])
    return found


class Base:
    """An estimator that calls carry clones of, and what setting parameters on it means."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self._final, self._prefix = estimator, ""
        self._steps: list[tuple[str, Any]] = []
        self._whole: set[str] = set()  # parameters that are not those of a step
        if type(estimator) is Pipeline and prefixes.is_usual(estimator):
            *self._steps, (name, self._final) = estimator.steps
            self._prefix = name + "__"
            self._whole = set(keys.parameters(estimator))
        self._looks = [Look(step) for _, step in self._steps]

    def place(self, parameters: dict[str, Any], group: Hashable) -> Place:
        """Return the place of a candidate."""
        settings = {name: _setting(value) for name, value in sorted(parameters.items())}
        steps: list[Step] = []
        rest = dict(settings)
        if self._whole.isdisjoint(parameters):
            for (name, _), look in zip(self._steps, self._looks, strict=True):
                if name in parameters:
                    look = Look(parameters[name])
                if not look.may_be_shared:
                    break
                mine = {
                    each: rest.pop(each) for each in settings if each == name or each.startswith(name + "__")
                }
                steps.append(Step(name, tuple(mine.items()), look.cost, look.redo_cost))
        final = parameters.get(self._prefix[:-2], self._final)
        size, ensemble = 0.0, None
        if sizes.size_parameter(type(final)):
            changes = {name.removeprefix(self._prefix): value for name, value in parameters.items()}
            if sizes.may_grow(final, changes):
                parameter = str(sizes.size_parameter(type(final)))
                size = changes.get(parameter, getattr(final, parameter))
                rest.pop(self._prefix + parameter, None)
                ensemble = (group, tuple(rest.items()))
        return Place(tuple(steps), ensemble, size, (group, tuple(settings.items())))


class Look:
    """What a step looks like before anything is set on it."""

    def __init__(self, step: Any) -> None:
        self.may_be_shared = prefixes.is_placeholder(step) or (
            keys.has_key(step) and not keys.draws_always(step)
        )
        self.cost = step_cost(step)
        self.redo_cost = redo_cost(step)


def _setting(value: Any) -> Hashable:
    try:
        return keys.key(value)
    except keys.Opaque:
        return ("the very", id(value))


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
        return mine.keys() == theirs.keys() and all(
            value is theirs[name] or is_alike(value, theirs[name]) for name, value in mine.items()
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_alike, one, other))
    return _setting(one) == _setting(other)
