"""Everything that outlives a job: the zygote, and crews that wait for the next call of the same function.

All of it belongs to this process alone. A fork of this process closes what it inherited and begins anew; at exit
everything is ended.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading

from allcores.processes.crew import Crew
from allcores.processes.interpreter import NUMPY, SAFE_TO_IMPORT, directories_of, wanted_imports
from allcores.processes.wire import setup_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from allcores.processes.forked import Zygote
    from allcores.tasks.task import Task

MOST_IDLE_CREWS = 2
WARM_BOOT_SECONDS = 0.006
COLD_BOOT_SECONDS = 0.03
NUMPY_BOOT_SECONDS = 0.08
MODULE_BOOT_SECONDS = 0.0008  # of the large packages that are imported in advance
OVERDUE_SHARE = 0.2  # what is late will take so much longer than it has taken


class Pool:
    """What this process keeps."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[Crew] = []  # the most recent one last
        self.crews: set[Crew] = set()
        self.zygote: Zygote | None = None
        self.retired: list[Zygote] = []
        self.threaded: set[object] = set()  # keys of functions whose loading starts threads
        self.over = False


_pool = Pool()


def is_over() -> bool:
    """Whether the interpreter has begun to shut down."""
    return _pool.over


def is_starting() -> bool:
    """Whether a start goes on in the background."""
    return _pool.zygote is not None and _pool.zygote.alive() and not _pool.zygote.ready()


def is_warm() -> bool:
    """Whether the next function's workers will be there soon."""
    return bool(_pool.idle) or (_pool.zygote is not None and _pool.zygote.alive() and _pool.zygote.ready())


class Start:
    """The start of workers for a function that may be wanted: how long it will take, and its first half in advance.

    Args:
        task: what the workers are to have loaded.
    """

    def __init__(self, task: Task) -> None:
        self._imports = wanted_imports(task)
        self._cold: float | None = None

    def seconds(self) -> float:
        """How long it will take from now on, about, until workers answer."""
        zygote = self._zygote()
        if zygote is None:
            return self._cold_seconds()
        if zygote.ready():
            return WARM_BOOT_SECONDS
        age = zygote.age_seconds()
        return max(WARM_BOOT_SECONDS, self._cold_seconds() - age, OVERDUE_SHARE * age)

    def begun(self) -> bool:
        """Whether there is nothing to do in advance any more."""
        return portable() or self._zygote() is not None

    def begin(self) -> None:
        """Starts what workers are forked from: it boots while its caller does other things. Raises OSError."""
        if not portable():
            start_zygote(self._imports)

    def _zygote(self) -> Zygote | None:
        zygote = _pool.zygote
        return zygote if zygote and zygote.alive() and _roots(self._imports) <= zygote.roots else None

    def _cold_seconds(self) -> float:
        if self._cold is None:
            imports = self._imports
            large = _roots(imports) - {NUMPY}
            modules = sum(name.partition(".")[0] in SAFE_TO_IMPORT for name in sys.modules) if large else 0
            numpy_seconds = NUMPY_BOOT_SECONDS if imports else 0.0
            self._cold = COLD_BOOT_SECONDS + numpy_seconds + modules * MODULE_BOOT_SECONDS
        return self._cold


def portable() -> bool:
    """Whether workers are fresh interpreters here."""
    return not sys.platform.startswith("linux") or os.environ.get("ALLCORES_START") == "portable"


def take_crew(
    task: Task, function: bytes, captured: Sequence[bytes], world: bytes, fingerprint: object
) -> Crew:
    """A crew for this function in this world: one that waits, or a new one."""
    key = (function, tuple(map(hash, captured)), world, fingerprint, portable())
    refused: list[Crew] = []
    found = None
    with _pool.lock:
        for crew in reversed(_pool.idle):
            if crew.key == key:
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
        portable=portable(),
        threaded=key in _pool.threaded,
    )
    crew.setup = setup_body(world, function, captured, crew.mail.shelve(captured))
    with _pool.lock:
        _pool.crews.add(crew)
    return crew


def give_back(crew: Crew, reuse: bool) -> None:
    """A job has ended: the crew waits for the next, or ends."""
    if crew.threaded:
        _pool.threaded.add(crew.key)
    keep = crew.release(reuse and not _pool.over)
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


def zygote_for(crew: Crew, sock: Any) -> Zygote:
    """Asks a zygote for a template on this channel; starts one if there is none, or none with these imports."""
    from allcores.processes.forked import Zygote

    imports, words = crew.imports, crew.words.handle
    cloudpickle = directories_of(["cloudpickle"])[0] if b"cloudpickle" in crew.setup else ""

    with _pool.lock:
        zygote = _zygote_with(imports)
        if not zygote.ask_for_template(sock, words, cloudpickle):  # it has stopped reading
            _retire(zygote)
            zygote = _pool.zygote = Zygote(imports)
            zygote.ask_for_template(sock, words, cloudpickle)
        return zygote


def start_zygote(imports: list[str]) -> None:
    """Starts a zygote with these imports unless one is there: it boots while its caller makes ready what follows."""
    with _pool.lock:
        _zygote_with(imports)


def _zygote_with(imports: list[str]) -> Zygote:
    """The zygote, or a new one if there is none or none with these imports."""
    from allcores.processes.forked import Zygote

    if _pool.over:
        raise OSError("the interpreter is shutting down")
    zygote = _pool.zygote
    _pool.retired = [each for each in _pool.retired if not each.buried()]
    if zygote is not None and not (zygote.alive() and _roots(imports) <= zygote.roots):
        _retire(zygote)
        zygote = None
    if zygote is None:
        zygote = _pool.zygote = Zygote(imports)
    return zygote


def _roots(imports: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in imports}


def release_zygote(zygote: Zygote) -> None:
    """One template less; a zygote that was replaced ends with its last."""
    with _pool.lock:
        zygote.users -= 1
        if zygote is not _pool.zygote and zygote.users <= 0:
            zygote.stop(wait=False)


def _retire(zygote: Zygote) -> None:
    _pool.zygote = None
    _pool.retired.append(zygote)
    if zygote.users <= 0 or not zygote.alive():
        zygote.stop(wait=False)


def shutdown() -> None:
    """Ends all workers and waits, briefly, until they have ended. The next call starts new ones."""
    with _pool.lock:
        idle, _pool.idle = _pool.idle, []
    for crew in idle:
        end_crew(crew)
    with _pool.lock:
        if _pool.crews and not _pool.over:
            return  # jobs of other threads are under way: they keep the zygote
        zygotes = _pool.retired + ([_pool.zygote] if _pool.zygote is not None else [])
        _pool.zygote, _pool.retired = None, []
    for zygote in zygotes:
        zygote.stop(wait=True)


def _at_exit() -> None:
    """Ends the root of all, and so everything; crews that other threads still use are not touched."""
    _pool.over = True
    shutdown()


def _in_forked_child() -> None:
    """Closes what belongs to the process that was forked, at once; begins anew."""
    global _pool
    old, _pool = _pool, Pool()
    for crew in old.crews:
        crew.abandon()
    for zygote in [*old.retired, *([old.zygote] if old.zygote is not None else [])]:
        zygote.forget()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
