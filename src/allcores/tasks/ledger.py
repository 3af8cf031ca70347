"""What became of the items of a run: a list of outputs that grows while they run, and the outcomes it turns into."""

from __future__ import annotations

import contextlib

from allcores.core.events import ERROR, VALUES, Outcome
from allcores.tasks.tracebacks import leave_out_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.core.combine import Collector

NOTE = "allcores: item "
SPREAD = "; where items are tuples of arguments write starmap instead of map"
GIVEN = {  # to functions that take it, where the call has an option for it
    "'rng'": "; rng is given where the call has a seed: seed=1, for example",
    "'state'": "; state is given where the call has a setup: setup=load_model, for example",
}


class Ledger:
    """What became of the items of a run, as they run; it stands at item ``index``.

    Attributes:
        outcomes: of items before ``start``.
        outputs: of those from ``start`` on.
    """

    __slots__ = ("outcomes", "outputs", "start")
    results: Any = ()  # where outputs went that are in no outcome

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, first: int) -> None:
        """A run begins, with this item."""
        self.start = first
        self.outputs: list[Any] = []
        self.outcomes: list[Outcome] = []

    @property
    def index(self) -> int:
        """The item that runs."""
        return self.start + len(self.outputs)

    def forget(self, index: int) -> None:
        """An item is tried again."""

    def piece_ended(self) -> None:
        """Some more items have run."""

    def settle(self) -> None:
        """Turns outputs into an outcome."""
        self._settle(self.start, self.outputs)

    def _settle(self, first: int, outputs: list[Any]) -> None:
        stop = self.index
        if first < stop:
            self.outcomes.append(Outcome(first, stop, VALUES, outputs))
        self.start, self.outputs = stop, []

    def failed(self, error: BaseException, retryable: bool) -> None:
        """The item that ran has raised this."""
        index = self.index
        note_item(error, index)
        self.settle()
        self.outcomes.append(Outcome(index, index + 1, ERROR, error, 0, retryable))
        self.start = index + 1


class Kept(Ledger):
    """Outputs go straight to the list of all results, up to an error; their outcome is empty.

    To move them there later would touch each of them once more, which for cheap items is felt.
    """

    __slots__ = ("_first", "results")

    def __init__(self, results: list[Any]) -> None:
        self.results = results
        super().__init__()

    def begin(self, first: int) -> None:
        """Results hold an output for each item before this one, or for some of them; theirs come next."""
        super().begin(first)
        self._first = first
        self.outputs, self.start = self.results, first - len(self.results)

    def settle(self) -> None:
        """Turns outputs into an outcome, or leaves them where they are."""
        if self.outputs is self.results:
            self._settle(self._first, [])
        else:
            super().settle()


class Folded(Ledger):
    """Outputs are folded as they come, while the processor's caches hold them, up to an error; no outcome has them."""

    __slots__ = ("_collector", "_first", "_folds")

    def __init__(self, collector: Collector) -> None:
        super().__init__()
        self._collector = collector

    def begin(self, first: int) -> None:
        """The collector was fed all items before this one."""
        super().begin(first)
        self._first = first
        self._folds = True

    def piece_ended(self) -> None:
        """Folds what has come. Raises StepFailed."""
        if self._folds:
            self._collector.items(self.start, self.outputs)
            self.start = self.index
            self.outputs.clear()

    def settle(self) -> None:
        """Folds what has come, or turns it into an outcome. Raises StepFailed."""
        if self._folds:
            self.piece_ended()
            self._folds = False
            self._settle(self._first, [])
        else:
            super().settle()


def note_item(error: BaseException, index: int) -> None:
    """Says in a note which item an exception belongs to, unless its class lets nobody add anything."""
    leave_out_ours(error)
    with contextlib.suppress(Exception):
        notes = getattr(error, "__notes__", [])
        notes[:] = [
            note for note in notes if not str(note).startswith(NOTE)
        ]  # the same object may be raised again
        error.add_note(note_of(error, index))


def note_of(error: BaseException, index: int) -> str:
    """What is added to an exception: the item, and what the call lacked if the function misses an argument."""
    told = str(error) if type(error) is TypeError else ""
    hint = GIVEN.get(told.rpartition(" ")[2], SPREAD) if "() missing" in told and "positional" in told else ""
    return f"{NOTE}{index}{hint}"
