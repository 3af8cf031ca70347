"""Crews that outlive their job: they wait for the next call of the same function.

They belong to this process alone. A fork of it closes what it inherited and begins anew; at exit they are ended.
"""

from __future__ import annotations

import atexit
import os
import threading

from allcores.processes import start
from allcores.processes.crew import Crew
from allcores.processes.interpreter import wanted_imports
from allcores.processes.wire import setup_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from allcores.tasks.task import Task

MOST_IDLE_CREWS = 2


class Pool:
    """What this process keeps."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[Crew] = []  # the most recent one last
        self.crews: set[Crew] = set()
        self.threaded: set[object] = set()  # keys of functions whose loading starts threads


_pool = Pool()


def has_idle_crews() -> bool:
    """Whether workers wait for a function that was called before."""
    return bool(_pool.idle)


def take_crew(
    task: Task, function: bytes, captured: Sequence[memoryview], world: bytes, fingerprint: object
) -> Crew:
    """A crew for this function in this world: one that waits, or a new one."""
    key = (function, tuple(map(len, captured)), world, fingerprint, start.portable())
    refused: list[Crew] = []
    found = None
    with _pool.lock:
        for crew in reversed(_pool.idle):
            if crew.key == key and crew.mail.has_shelved(captured):
                _pool.idle.remove(crew)
                found = crew
                break
    if found is not None:
        found.refresh()
        if found.serviceable:
            return found
        refused.append(found)
    for crew in refused:
        end_crew(crew)
    crew = Crew(
        key,
        wanted_imports(task),
        portable=start.portable(),
        threaded=key in _pool.threaded,
    )
    crew.setup = setup_parts(world, function, captured, crew.mail.shelve(captured))
    with _pool.lock:
        _pool.crews.add(crew)
    return crew


def give_back(crew: Crew, reuse: bool) -> None:
    """A job has ended: the crew waits for the next, or ends."""
    if crew.threaded:
        _pool.threaded.add(crew.key)
    keep = crew.release(reuse and not start.is_over())
    crew.mail.shrink()
    ended = []
    with _pool.lock:
        if keep:
            _pool.idle.append(crew)
            while len(_pool.idle) > MOST_IDLE_CREWS:
                ended.append(_pool.idle.pop(0))
        else:
            ended.append(crew)
    for each in ended:
        end_crew(each)


def end_crew(crew: Crew) -> None:
    """Ends a crew that nobody uses."""
    with _pool.lock:
        _pool.crews.discard(crew)
    crew.stop()


def shutdown() -> None:
    """Ends all workers and waits, briefly, until they have ended. The next call starts new ones."""
    with _pool.lock:
        idle, _pool.idle = _pool.idle, []
    for crew in idle:
        end_crew(crew)
    if start.is_over() or not _pool.crews:  # else jobs of other threads are under way: they keep the zygote
        start.stop_zygotes()


def _at_exit() -> None:
    """Ends the root of all, and so everything; crews that other threads still use are not touched."""
    start.refuse_from_now_on()
    shutdown()


def _in_forked_child() -> None:
    """Closes what belongs to the process that was forked, at once; begins anew."""
    global _pool
    old, _pool = _pool, Pool()
    for crew in old.crews:
        crew.abandon()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
