"""How a child gets the function: the caller's world first, then the function in it."""

from __future__ import annotations

import os

import allcores.tasks.task  # noqa: F401  (every function comes inside one)
from allcores.processes import child, shelf, wire
from allcores.tasks.pickling import load_task
from allcores.tasks.world import apply, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from allcores.processes.words import Words
    from allcores.tasks.task import Task


def load(setup: wire.Bytes, words: Words) -> Task:
    """Sets up the caller's world and loads the function in it, with what is on the shelf."""
    world, function, sizes, buffers = wire.open_setup(setup)
    if buffers is None:
        buffers = shelf.take(words.handle, sizes)
    child.IS_CHILD = child.IS_LOADING = True
    applied = apply(world)
    task = load_task(function, buffers)
    settle(applied)
    child.IS_LOADING = False
    return task


def tell_failure(sock: _socket.socket, error: BaseException) -> None:
    """Says why the function cannot be loaded, and ends this process."""
    from allcores.tasks.exceptions import dump_error

    child.flush_output()
    child.send(sock, wire.frame(wire.FAILED, 0, dump_error(error)))
    os._exit(0)
