"""What surrounds each item of a job: random numbers of its own, and what ``setup`` made in this worker.

It travels inside the task. Functions that take ``rng`` or ``state`` are given them as keywords. Generators that
belong to a whole process (``random``, ``numpy.random``) are seeded for each item wherever items have the process to
themselves; threads share them, so there only ``rng`` is an item's own.
"""

from __future__ import annotations

import sys
from _thread import _local

from allcores.errors import StartError
from allcores.tasks import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from allcores.tasks.task import Task

    Stages = tuple[tuple[str, Callable[..., Any]], ...]


class Surroundings:
    """What the items of one job find around them, in each thread that runs some.

    Attributes:
        seed: the numbers that the item's index is added to (None: nothing is seeded).
        setup: the user's function that makes ``state`` (None: there is none).
        takes: for each stage, which of ``rng`` and ``state`` its function takes.
        setup_seconds: how long ``setup`` took here (0: it has not been called).
        outside: the states of the process's generators as they are outside of the item that the calling thread runs
            and that has set them (None: it runs none).
    """

    __slots__ = ("_draws", "_numpy", "_own", "outside", "seed", "setup", "setup_seconds", "takes")

    def __init__(
        self,
        seed: tuple[int, ...] | None,
        setup: Callable[[], Any] | None,
        takes: tuple[tuple[str, ...], ...],
    ) -> None:
        self.seed = seed
        self.setup = setup
        self.takes = takes
        self.setup_seconds = 0.0
        self.outside: tuple[Any, ...] | None = None
        self._draws = seed is not None and any("rng" in names for names in takes)
        # A function may import NumPy while its first item runs: these numbers are to be the item's, too.
        self._numpy = None if seed is None else numpy_random()
        self._own: Any = _local()

    def __reduce__(self) -> tuple[Any, ...]:
        return Surroundings, (self.seed, self.setup, self.takes)

    def enter(self, *, shared: bool) -> None:
        """This thread is about to run items; after the first call there is nothing left to do.

        Args:
            shared: other threads of this process run items at the same time.

        Raises:
            StartError: ``setup`` raised; its exception is the cause.
        """
        own = self._own
        if getattr(own, "entered", False):
            return
        own.shared = shared
        if self.setup is not None:
            from time import perf_counter

            began = perf_counter()
            if self.seed is not None and not shared:
                self._seed_the_process(self.seed)  # so that every worker's setup makes the same
            own.state = self.set_up()
            self.setup_seconds = perf_counter() - began
        own.entered = True

    def set_up(self) -> Any:
        """What ``setup`` makes. Raises StartError, with what it raised as the cause."""
        assert self.setup is not None
        try:
            return self.setup()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise StartError(
                f"setup raised {type(error).__name__}: {error}. "
                "It is called without arguments, once in each worker, before that runs its first item."
            ) from error

    def adopt(self, state: Any) -> None:
        """Items of this thread are given what another one has made by ``set_up``."""
        self._own.state = state

    def begin(self, index: int) -> None:
        """The item with this index is about to run in this thread, for the first time or once more."""
        assert self.seed is not None
        numbers = (*self.seed, index)
        own = self._own
        if self._draws:
            own.rng = self._numpy.default_rng(numbers)  # type: ignore[union-attr]
        if not own.shared:
            self._seed_the_process(numbers)

    def keywords(self, index: int | None) -> dict[str, Any]:
        """``rng`` and ``state``, for an item that takes turns with others in this thread.

        ``index`` is the item's, for a generator of its own; None: it has begun here, with the present one.
        """
        own = dict(vars(self._own))
        if index is not None and self._draws:
            own["rng"] = self._numpy.default_rng((*self.seed, index))  # type: ignore[misc, union-attr]
        return own

    def _seed_the_process(self, numbers: tuple[int, ...]) -> None:
        import random

        random.seed(repr(numbers))
        if self._numpy is not None:
            self._numpy.seed(self._numpy.SeedSequence(numbers).generate_state(4))

    def given(self, stages: Stages) -> Stages:
        """The same stages, with ``rng`` and ``state`` given to the functions that take them."""
        pairs = zip(stages, self.takes, strict=True)
        return tuple(
            (kind, _given(function, names, self._own) if names else function)
            for (kind, function), names in pairs
        )


class Inline:
    """A context in which the calling thread runs items of a task; afterwards its own random numbers go on.

    So they do whenever ``items`` have a ``pull`` and the next one is pulled between two of them.
    """

    __slots__ = ("_before", "_seated", "_surroundings")

    def __init__(self, task: Task, items: Any = ()) -> None:
        self._surroundings = task.surroundings
        self._before: tuple[Any, Any] | None = None
        self._seated = False
        if task.begin is not None and hasattr(items, "pull"):
            items.pull = self._outside(items.pull)

    def __enter__(self) -> None:
        self._seated = place.worker_index() is None
        if self._seated:
            place.sit_inline()
        surroundings = self._surroundings
        if surroundings is None:
            return
        try:
            if surroundings.seed is not None:
                self._stop()
            surroundings.enter(shared=False)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        """Does nothing the second time: after an interrupt it is called once more, to be sure."""
        if self._seated:
            place.stand_up()
            self._seated = False
        self._go_on()

    def _stop(self) -> None:
        from allcores.tasks import generators

        assert self._surroundings is not None
        self._before = generator_states()
        self._surroundings.outside = generators.states()

    def _go_on(self) -> None:
        if self._before is not None:
            import random

            python, numpy = self._before
            random.setstate(python)
            if numpy is not None:
                sys.modules["numpy.random"].set_state(numpy)
            self._before = None
            if self._surroundings is not None:
                self._surroundings.outside = None

    def _outside(self, pull: Callable[[int], Any]) -> Callable[[int], Any]:
        """The same, drawing from the caller's own sequence; the next item is seeded anyway."""

        def pull_outside(count: int) -> Any:
            self._go_on()
            try:
                return pull(count)
            finally:
                self._stop()

        return pull_outside


def generator_states() -> tuple[Any, Any]:
    """The states of the generators that belong to this process; None for NumPy's where it is not loaded."""
    import random

    numpy = sys.modules.get("numpy.random")
    return random.getstate(), (numpy.get_state() if numpy is not None else None)


def numpy_random() -> Any:
    """``numpy.random``, or None where NumPy is not installed."""
    try:
        import numpy.random
    except ImportError:
        return None
    return numpy.random


def generator(numbers: tuple[int, ...]) -> Any:
    """The generator that an item draws from. Raises ImportError, with what to do, where there is no NumPy."""
    numpy = numpy_random()
    if numpy is None:
        raise ImportError(
            "rng is a numpy.random.Generator and NumPy is not installed: install it, or draw from the "
            "module `random`, which seed=... seeds for each item as well"
        )
    return numpy.default_rng(numbers)


def _given(function: Callable[..., Any], names: tuple[str, ...], own: Any) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        return function(*arguments, **{name: getattr(own, name) for name in names})

    return call
