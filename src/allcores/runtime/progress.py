"""A bar that shows how many items of a job are settled; ``tqdm`` is imported when a call asks for one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Progress:
    """The bar of one job, in a terminal or a notebook.

    Args:
        label: what stands before the bar; True for nothing, and None or False for no bar at all.
    """

    __slots__ = ("_bar", "_label", "_shown")

    def __init__(self, label: bool | str | None) -> None:
        self._label = label
        self._bar: Any = None
        self._shown = 0

    def begin(self, total: int | None) -> None:
        """Draws the bar for the first time; ``total``: number of items, where it is known."""
        if not self._label:
            return
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise ImportError(
                "progress needs tqdm, which is not installed; run `pip install tqdm`, or leave progress out"
            ) from error
        self._bar = tqdm(total=total, desc=self._label if isinstance(self._label, str) else None, unit="item")

    def show(self, settled: int) -> None:
        """So many items are settled."""
        if self._bar is not None and settled > self._shown:
            self._bar.update(settled - self._shown)
            self._shown = settled

    def close(self, settled: int) -> None:
        """Draws the bar for the last time."""
        if self._bar is not None:
            try:
                self.show(settled)
            finally:
                self._bar.close()
