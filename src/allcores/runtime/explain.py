"""What a call would do, without doing it: a few items run in the calling thread, and the planner is asked."""

from __future__ import annotations

import time
from contextlib import nullcontext

from allcores.core.plan import INLINE, PROCESSES, Plan
from allcores.errors import Unpicklable
from allcores.runtime.lateness import Probing
from allcores.tasks.coroutines import Begun, probing
from allcores.tasks.run import run_items
from allcores.tasks.surroundings import Inline
from allcores.tasks.task import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allcores.core.events import Outcome
    from allcores.runtime.planner import Planner
    from allcores.runtime.source import Source

MOST_ITEMS = 3
MOST_SECONDS = 0.2
WORTH_A_PROBE_SECONDS = (
    0.001  # a shorter item would be slowed down by the probe, and says nothing about the GIL
)
NOTHING = Task((("map", bool),))


def explained(planner: Planner, source: Source) -> Plan:
    """The plan for what ``source`` holds. Raises what the function raises."""
    planner.look_beforehand(source)
    if planner.watch.refuses and planner.watch.lost is not None:
        return Plan(
            INLINE, 1, 1, {}, [f"nothing would run, since writes='error' refuses this: {planner.watch.lost}"]
        )
    obstacle = _obstacle_of_the_function(planner)
    if planner.explicit is not None:
        plan = planner.asked_for()
        if obstacle is not None and plan.engine == PROCESSES:
            plan.reasons.append(f"but it would fail: {obstacle}")
        return plan
    if obstacle is not None:
        planner.refuse(PROCESSES, obstacle)
    started, seconds = time.perf_counter(), WORTH_A_PROBE_SECONDS
    while source.pulled < MOST_ITEMS and time.perf_counter() - started <= MOST_SECONDS:
        first, items = source.take(1)
        if not len(items):
            break
        planner.watch_this_thread()  # anew: the last probe has ended, and what it computed looks like a library's work
        planner.item_begins(items)
        with (
            Probing(nothing_known=first == 0) if seconds >= WORTH_A_PROBE_SECONDS else nullcontext() as probe
        ):
            with Inline(planner.task):
                outcomes, seconds, cpu_seconds = _run(probing(planner.task), first, items)
            if probe is not None:
                probe.stop()
            if type(outcomes[0].body) is Begun:
                outcomes[0].body.drop()
                planner.turn_to_loop(outcomes[0].body.stage)
                return planner.asked_for()
            if issubclass(type(outcomes[0].body), BaseException):
                raise outcomes[0].body
            if seconds < WORTH_A_PROBE_SECONDS:
                own_seconds = min(_run(NOTHING, 0, [None])[1] for _ in range(3))
                seconds, cpu_seconds = (max(0.0, each - own_seconds) for each in (seconds, cpu_seconds))
            planner.observe(items, outcomes, seconds, cpu_seconds)
        planner.observe_lateness(None if probe is None else probe.share)
    if source.error is not None:
        raise source.error
    if not source.pulled:
        return Plan(INLINE, 1, 1, {}, ["there are no items: nothing would run"])
    planner.look_at_transport()
    planner.lean_on_prior()
    length = source.length
    return planner.plan(None if length is None else max(0, length - source.pulled))


def _run(task: Task, first: int, items: Sequence[Any]) -> tuple[list[Outcome], float, float]:
    """What became of items, and the seconds and CPU seconds that it took."""
    began, cpu_began = time.perf_counter(), time.thread_time()
    outcomes = run_items(task, first, items, stop_on_error=True)
    return outcomes, time.perf_counter() - began, time.thread_time() - cpu_began


def _obstacle_of_the_function(planner: Planner) -> str | None:
    """Why the function cannot travel to a worker process, or None if it can."""
    from allcores.tasks.pickling import dump_task

    try:
        dump_task(planner.task)
    except Unpicklable as error:
        return str(error)
    return None
