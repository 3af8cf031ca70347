"""What it takes to move an item to another process, and its result back: pickled here, to see."""

from __future__ import annotations

import time

from allcores.core.plan import CHEAP_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

COPY_BYTES_A_SECOND = 0.4e9  # pickled, through a socket, and unpickled


def transport_seconds(items: Sequence[Any], outputs: Sequence[Any]) -> float | None:
    """What it takes to pickle and unpickle an item and its result; None where plain pickle does not do."""
    from _pickle import dumps, loads

    things = [*outputs, *items]
    try:
        seconds = _pickling_seconds(things, dumps, loads)
        if seconds < CHEAP_SECONDS:  # the first time of anything is slow
            seconds = min(seconds, _pickling_seconds(things, dumps, loads))
    except Exception:
        return None
    return seconds / len(outputs)


def _pickling_seconds(things: list[Any], dumps: Any, loads: Any) -> float:
    """What pickling and unpickling takes; large buffers are not copied for that, but counted."""
    buffers: list[Any] = []
    began = time.perf_counter()
    for thing in things:
        mark = len(buffers)
        loads(dumps(thing, 5, buffer_callback=buffers.append), buffers=buffers[mark:])
    copied = sum(buffer.raw().nbytes for buffer in buffers) / COPY_BYTES_A_SECOND
    return float(time.perf_counter() - began + copied)
