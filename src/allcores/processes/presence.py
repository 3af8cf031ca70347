"""What can be said of worker processes without importing what runs them: most calls never need any."""

from __future__ import annotations

import sys


def obstacle() -> str | None:
    """Why there can be no worker processes here, or None."""
    if at_the_end():
        return "the interpreter is shutting down"
    if not sys.executable:
        return "sys.executable is not set, so no other interpreter can be started"
    if _is_child("IS_LOADING"):
        return (
            "a worker process is importing the module at this moment; "
            "calls at the top level of a module belong under `if __name__ == '__main__':`"
        )
    return None


def at_the_end() -> bool:
    """Whether the interpreter is shutting down: then nothing can be started, nor imported."""
    return sys.is_finalizing() or _says("start", "is_over")


def vanish_at_the_end() -> None:
    """A daemon thread whose workers end because the program does has nobody left to tell."""
    import threading

    if at_the_end() and threading.current_thread() is not threading.main_thread():
        threading.Event().wait()


def inside_worker() -> bool:
    """Whether this process is one of our workers."""
    return _is_child("IS_CHILD")


def is_warm() -> bool:
    """Whether the next function's workers will be there soon."""
    return _says("pool", "has_idle_crews") or _says("start", "is_warm")


def is_starting() -> bool:
    """Whether workers that no call waits for start in the background."""
    return _says("start", "is_starting")


def is_loaded() -> bool:
    """Whether what starts workers has been imported."""
    return "allcores.processes.pool" in sys.modules


def _says(module: str, question: str) -> bool:
    asked = sys.modules.get("allcores.processes." + module)
    ask = getattr(asked, question, None)  # missing while another thread is importing the module
    return ask is not None and bool(ask())


def _is_child(flag: str) -> bool:
    module = sys.modules.get("allcores.processes.child")
    return module is not None and bool(getattr(module, flag))
