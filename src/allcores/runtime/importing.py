"""Whether a thread is importing a module inside an item: what that takes says nothing about the other items.

An import computes, or waits for a disk; either would be mistaken for what the function does.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import types

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
IMPORTS = "<frozen importlib"
MOST_FRAMES = 200


class Imports:
    """Notices what the items of one thread import.

    Args:
        thread: the thread's identifier.
    """

    def __init__(self, thread: int) -> None:
        self._thread = thread
        self.begin()

    def begin(self) -> None:
        """Items begin to run: what was imported before is not theirs."""
        self._modules = len(sys.modules)

    def seen(self) -> bool:
        """Whether they have imported something since this was asked last, or are about to."""
        before, self._modules = self._modules, len(sys.modules)
        return self._modules != before or is_importing(self._thread)


def is_importing(thread: int) -> bool:
    """Whether the item that this thread runs is importing a module at this moment."""
    return leads_to_an_import(sys._current_frames().get(thread))


def leads_to_an_import(frame: types.FrameType | None) -> bool:
    """Whether there is an import between this frame and the code of ours that called the item.

    An import further out is no matter: the call itself may stand at the top of a module.
    """
    for _ in range(MOST_FRAMES):
        if frame is None or frame.f_code.co_filename.startswith(_HERE):
            return False
        if frame.f_code.co_filename.startswith(IMPORTS):
            return True
        frame = frame.f_back
    return False
