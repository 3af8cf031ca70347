"""The ways to run a call that the contract holds for: every engine, and both starts of the process engine."""

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

import allcores as ac
from starting import workers_start_by


class Way(NamedTuple):
    """An engine with the options that choose it, and what can be asked of it."""

    name: str
    options: dict[str, Any]
    parallel: bool = False  # two items really run at the same time
    moves: bool = False  # items and results travel between processes
    can_stop: bool = False  # an item that runs too long can be stopped
    start: str | None = None
    make_engine: Callable[[], Any] | None = None

    def _with(self, options: dict[str, Any]) -> dict[str, Any]:
        made = {} if self.make_engine is None else {"engine": self.make_engine()}
        return {**self.options, **made, **options}

    def map(self, function, *iterables, **options):
        return ac.map(function, *iterables, **self._with(options))

    async def amap(self, function, *iterables, **options):
        return await ac.amap(function, *iterables, **self._with(options))

    def starmap(self, function, iterable, **options):
        return ac.starmap(function, iterable, **self._with(options))

    def par(self, items, **options):
        return ac.par(items, **self._with(options))


def _ways() -> list[Way]:
    ways = [
        Way("inline", {"engine": "inline"}),
        Way("threads", {"engine": "threads", "n_jobs": 2}, parallel=True),
        Way("asyncio", {"engine": "asyncio", "n_jobs": 2}),
        Way("processes", {"engine": "processes", "n_jobs": 2}, parallel=True, moves=True, can_stop=True),
        Way(
            "portable",
            {"engine": "processes", "n_jobs": 2},
            parallel=True,
            moves=True,
            can_stop=True,
            start="portable",
        ),
        Way("auto", {}, can_stop=True),
    ]
    if importlib.util.find_spec("allcores.testing") is not None:
        from allcores.testing import SimEngine

        ways.append(Way("simulated", {"n_jobs": 2}, make_engine=SimEngine))
    return ways


WAYS = _ways()


def entered(chosen: Way) -> Iterator[Way]:
    """While this way is taken no warm worker of another start is reused."""
    with workers_start_by(chosen.start):
        yield chosen


def taken(*ways: Way):
    return {"scope": "module", "params": ways, "ids": [each.name for each in ways]}


@pytest.fixture(**taken(*WAYS))
def way(request) -> Iterator[Way]:
    """Each way in turn."""
    yield from entered(request.param)


@pytest.fixture(**taken(*[each for each in WAYS if each.parallel]))
def parallel(request) -> Iterator[Way]:
    """The ways that really run two items at the same time."""
    yield from entered(request.param)


@pytest.fixture(**taken(*[each for each in WAYS if each.moves]))
def moving(request) -> Iterator[Way]:
    """The ways whose items travel between processes."""
    yield from entered(request.param)


@pytest.fixture(**taken(*[each for each in WAYS if not each.moves]))
def staying(request) -> Iterator[Way]:
    """The ways whose items need not travel."""
    yield from entered(request.param)


@pytest.fixture(**taken(*[each for each in WAYS if each.can_stop]))
def stopping(request) -> Iterator[Way]:
    """The ways that can stop an item while it runs."""
    yield from entered(request.param)
