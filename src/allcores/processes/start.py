"""The start of workers: the zygote that this process keeps, how long it takes to have one, its end.

A fork of this process closes what it inherited and begins anew; at exit the zygote is ended, and so everything.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading

from allcores.processes.interpreter import NUMPY, SAFE_TO_IMPORT, wanted_imports
from allcores.processes.root import Zygote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.tasks.task import Task

WARM_BOOT_SECONDS = 0.006
COLD_BOOT_SECONDS = 0.03
NUMPY_BOOT_SECONDS = 0.08
MODULE_BOOT_SECONDS = (
    0.0012  # of the large packages that are imported in advance, beside a caller that computes
)
OVERDUE_SHARE = 0.2  # what is late will take so much longer than it has taken


class Kept:
    """What this process keeps of zygotes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.zygote: Zygote | None = None
        self.retired: list[Zygote] = []  # replaced, and used by crews that exist
        self.over = False


_kept = Kept()


def is_over() -> bool:
    """Whether the interpreter has begun to shut down."""
    return _kept.over


def is_starting() -> bool:
    """Whether a start goes on in the background."""
    return _kept.zygote is not None and _kept.zygote.alive() and not _kept.zygote.ready()


def is_warm() -> bool:
    """Whether workers can be forked at once."""
    return _kept.zygote is not None and _kept.zygote.alive() and _kept.zygote.ready()


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
        zygote = _kept.zygote
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


def ask_for_template(imports: list[str], sock: Any, words: int, cloudpickle: str) -> Zygote:
    """Asks a zygote for a template on this channel; starts one if there is none, or none with these imports.

    ``words``: the descriptor of the crew's words; ``cloudpickle``: the directory it is in, if the function needs it.
    """
    with _kept.lock:
        zygote = _zygote_with(imports)
        if not zygote.ask_for_template(sock, words, cloudpickle):  # it has stopped reading
            _retire(zygote)
            zygote = _kept.zygote = Zygote(imports)
            zygote.ask_for_template(sock, words, cloudpickle)
        return zygote


def start_zygote(imports: list[str]) -> None:
    """Starts a zygote with these imports unless one is there: it boots while its caller makes ready what follows."""
    with _kept.lock:
        _zygote_with(imports)


def _zygote_with(imports: list[str]) -> Zygote:
    """The zygote, or a new one if there is none or none with these imports."""
    if _kept.over:
        raise OSError("the interpreter is shutting down")
    zygote = _kept.zygote
    _kept.retired = [each for each in _kept.retired if not each.buried()]
    if zygote is not None and not (zygote.alive() and _roots(imports) <= zygote.roots):
        _retire(zygote)
        zygote = None
    if zygote is None:
        zygote = _kept.zygote = Zygote(imports)
    return zygote


def _roots(imports: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in imports}


def release_zygote(zygote: Zygote) -> None:
    """One template less; a zygote that was replaced ends with its last."""
    with _kept.lock:
        zygote.users -= 1
        if zygote is not _kept.zygote and zygote.users <= 0:
            zygote.stop(wait=False)


def _retire(zygote: Zygote) -> None:
    _kept.zygote = None
    _kept.retired.append(zygote)
    if zygote.users <= 0 or not zygote.alive():
        zygote.stop(wait=False)


def stop_zygotes() -> None:
    """Ends them, and so all workers that are left, and waits, briefly, until they have ended."""
    with _kept.lock:
        zygotes = _kept.retired + ([_kept.zygote] if _kept.zygote is not None else [])
        _kept.zygote, _kept.retired = None, []
    for zygote in zygotes:
        zygote.stop(wait=True)


def refuse_from_now_on() -> None:
    """The interpreter has begun to shut down."""
    _kept.over = True


def _at_exit() -> None:
    refuse_from_now_on()
    stop_zygotes()


def _in_forked_child() -> None:
    """Closes what belongs to the process that was forked, at once; begins anew."""
    global _kept
    old, _kept = _kept, Kept()
    for zygote in [*old.retired, *([old.zygote] if old.zygote is not None else [])]:
        zygote.forget()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
