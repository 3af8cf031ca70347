"""The input of a job: numbered items, pulled in order, once.

Lists, tuples, ranges and arrays can be pulled by any thread; anything else is the user's own iterator, which
only the calling thread may advance.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


UNCHANGING = (int, float, complex, str, bytes, tuple, frozenset, type(None))
WALKED_BEFORE, LONGEST_PIECE = 8, 512  # a piece may be as long as this part of the walk so far; items
PIECE_SECONDS = (
    0.0005  # and as long as this, by the items before: dearer ones behind it should be for others to take
)
SLOW_PULL_SECONDS = 0.002  # a chunk is not waited for longer than this once it has an item


class Source:
    """Pulls numbered items out of the user's iterables.

    Args:
        iterables: one or more; several are walked in step, like the built-in ``map`` does, and each item is then
            a tuple.
        batch: hand out lists of so many items instead (None: the items themselves).

    Attributes:
        remembers: how many of the items that run as they are pulled can be had afterwards; None: all.
    """

    remembers: int | None = 4

    def __init__(self, iterables: tuple[Iterable[Any], ...], batch: int | None = None) -> None:
        iterators = [iterator_of(iterable) for iterable in iterables]
        self.random_access = all(is_random_access(iterable) for iterable in iterables)
        self.never_waits = False  # whether ``take`` returns nothing rather than wait for the next item
        self.length = _length(iterables, batch)
        self.pulled = 0
        self.ended = False
        self.error: BaseException | None = None  # what the user's iterator raised, which ends the input
        self._lock = threading.Lock()
        self._first_item: Any = None  # the first item, until the second one has been seen
        self.reuses: bool | None = (
            None  # one object is handed out again and again, filled anew; None: not known
        )
        self._batch = batch
        self._iterables: tuple[Any, ...] = iterables if self.random_access else ()
        self._sliced: Any = (
            iterables[0] if self.random_access and len(iterables) == 1 and batch is None else None
        )
        iterator: Iterator[Any] = iterators[0] if len(iterators) == 1 else zip(*iterators, strict=False)
        self._iterator = iterator if batch is None else _batches(iterator, batch)

    def take(self, count: int) -> tuple[int, Sequence[Any]]:
        """The index of the next item, and up to ``count`` items from there; none when the input has ended."""
        with self._lock:
            first = self.pulled
            if self.ended:
                return first, []
            items = self._known(first, count) if self.random_access else self._unknown(count)
            self.pulled += len(items)
            return first, items

    def rewind(self, pulled: int) -> None:
        """So many items were pulled, and no more, where any can be pulled again; of others nobody has pulled more."""
        if not self.random_access:
            return
        with self._lock:
            zipped = (
                zip(*self._iterables, strict=False) if len(self._iterables) > 1 else iter(*self._iterables)
            )
            iterator = zipped if self._batch is None else _batches(zipped, self._batch)
            self._iterator = islice(iterator, pulled, None)
            self.pulled, self.ended = pulled, False

    def take_if_next(self, first: int, count: int) -> Sequence[Any]:
        """Like ``take``, from index ``first`` on; none where others have taken these by now."""
        with self._lock:
            if self.ended or self.pulled != first:
                return ()
            items = self._known(first, count)
            self.pulled += len(items)
            return items

    def give_up(self) -> None:
        """Nobody wants any more items; any thread may call it."""

    def let_go(self) -> None:
        """Drops the user's iterators, as a loop does that is left: a generator that nobody else has is closed."""
        with self._lock:
            dropped, self._iterator = self._iterator, iter(())
            self._iterables, self._sliced, self.ended = (), None, True
        del dropped  # the user's code in it runs without our lock

    def peek(self) -> tuple[Any, ...]:
        """The first item in a tuple, where looking at it takes nothing away; else nothing."""
        if not self.random_access or not self.length:
            return ()
        first = tuple(each[0] for each in self._iterables)
        item = first[0] if len(first) == 1 else first
        return (item if self._batch is None else [item],)

    def costs(self, cost: Callable[..., Any]) -> list[float] | None:
        """What ``cost`` says of every item, called like the user's function; None where none may be pulled for that.

        Raises TypeError or ValueError where it gives no number that means anything.
        """
        if not self.random_access or self._batch is not None:
            return None
        return [
            _checked_cost(index, cost(*arguments))
            for index, arguments in enumerate(zip(*self._iterables, strict=False))
        ]

    def _compare(self, item: Any, number: int) -> None:
        """Whether the second item is the first one, changed: then none may wait for others."""
        if number == 1:
            self._first_item = item
        else:
            self.reuses = item is self._first_item and not issubclass(type(item), UNCHANGING)
            self._first_item = None

    def ahead(self, count: int, piece: int = 1) -> tuple[int, Sequence[Any]]:
        """Like ``take``, for the calling thread, which pulls the items as it comes to them, where that can be.

        Only the first one is pulled at once: one by one out of an iterator, as the loop does, since what is pulled may
        last only until the next one is; ``piece`` by piece where others may take what is left.
        """
        first = self.pulled
        if not self.random_access:
            return first, Steps(self, count, piece)
        return (
            self.take(count)
            if self._sliced is None
            else (first, Stretch(self, self._sliced, first, count, piece))
        )

    def walk(self, steps: Steps, count: int, piece: int) -> Iterator[Any]:
        """Up to ``count`` items, each pulled when it is asked for; counted ``piece`` by piece."""
        begun, taken = 0, steps.last.append
        try:
            while count > 0:
                begun = 0
                for begun, item in enumerate(islice(self._iterator, min(count, piece)), 1):  # noqa: B007
                    taken(item)
                    yield item
                if begun < min(count, piece):
                    self.ended = True
                    return
                count -= begun
                self._count(steps, begun)
                begun = 0
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # comes after all results before it
            self.error = error
            self.ended = True
        finally:
            self._count(steps, begun)

    def _count(self, steps: Steps, items: int) -> None:
        self.pulled += items
        steps.length += items

    def _known(self, first: int, count: int) -> Sequence[Any]:
        items: Sequence[Any]
        if self._sliced is not None:
            items = self._sliced[first : first + count]
            self.ended = first + len(items) >= len(self._sliced)
        else:
            items = list(islice(self._iterator, count))
            self.ended = len(items) < count
        return items

    def _unknown(self, count: int) -> list[Any]:
        items: list[Any] = []
        started = time.monotonic()
        try:
            for item in islice(self._iterator, count):
                items.append(item)
                if self.reuses is None:
                    self._compare(item, self.pulled + len(items))
                if time.monotonic() - started > SLOW_PULL_SECONDS:
                    return items
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # comes after all results before it
            self.error = error
        self.ended = len(items) < count
        return items


class Stretch(Sequence["Any"]):
    """Items of a sequence that are pulled piece by piece while somebody walks over them, until others take some.

    Pieces are short, since many objects in a new list are work for the garbage collector. The length is 0 if there is
    no item, else the number of items that are wanted, and after the walk of those that were pulled.
    """

    def __init__(self, source: Source, items: Sequence[Any], first: int, count: int, piece: int) -> None:
        self._source = source
        self._items = items
        self._size = piece
        self._first = first
        self._begun = source.take_if_next(first, 1)
        self._length = min(count, max(1, len(items) - first)) if len(self._begun) else 0

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.pieces())

    def pieces(self) -> Iterator[Sequence[Any]]:
        """The items as they are pulled: who walks over these walks over the sequence's own slices."""
        piece, done = self._begun, 0
        while len(piece):
            began = time.perf_counter()
            yield piece
            done += len(piece)
            fit = int(PIECE_SECONDS * len(piece) / max(time.perf_counter() - began, 1e-9))
            size = max(1, min(fit, max(self._size, min(done // WALKED_BEFORE, LONGEST_PIECE))))
            piece = self._source.take_if_next(self._first + done, min(size, self._length - done))
        self._length = done

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            start, stop, _ = index.indices(self._length)
            return self._items[self._first + start : self._first + stop]
        return self._items[self._first + range(self._length)[index]]


class Steps(Sequence["Any"]):
    """Items that are pulled while somebody walks over them; afterwards the last ones of them.

    Its length is 0 if there is none, else 1 before the walk and the number of items after it. Items before the last
    ones are let go, as by the loop: the next ones then take the place that they had in the caches of the processor.

    Attributes:
        wanted: how many there are to be.
    """

    def __init__(self, source: Source, count: int, piece: int = 1) -> None:
        self._source = source
        self.pull = source.take  # who runs the items may put something around it
        self.wanted = count
        self._piece = piece
        self._first, begun = self.pull(1)
        self.last = deque(begun, source.remembers)
        self.length = len(begun)

    def __iter__(self) -> Iterator[Any]:
        source = self._source
        if 0 < self.length < self.wanted and source.reuses is not None and self.pull == source.take:
            return chain(tuple(self.last), source.walk(self, self.wanted - 1, self._piece))
        return self._one_by_one()

    def _one_by_one(self) -> Iterator[Any]:
        yield from tuple(self.last)
        while 0 < self.length < self.wanted:
            more = self.pull(1)[1]
            if not len(more):
                return
            self.last.extend(more)
            self.length += 1
            yield more[0]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        gone = self.length - len(self.last)
        if isinstance(index, slice):
            return [self.last[place - gone] for place in range(*index.indices(self.length)) if place >= gone]
        place = range(self.length)[index]
        if place < gone:
            raise LookupError(f"item {self._first + place} has been let go")
        return self.last[place - gone]


def _checked_cost(index: int, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"cost must give a number for each item, not {value!r} (item {index})") from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"cost must give a finite number of at least 0, not {value!r} (item {index})")
    return number


def is_async(items: Any) -> bool:
    """Whether only ``async for`` walks over these."""
    return hasattr(type(items), "__aiter__") and not hasattr(type(items), "__iter__")


def iterator_of(iterable: Any) -> Iterator[Any]:
    """Its iterator. Raises TypeError that says what to write for what has none."""
    kind = type(iterable)
    if hasattr(kind, "__array__") and getattr(iterable, "ndim", None) == 0:
        raise TypeError(
            f"an array without dimensions is one value and not iterable: {iterable!r}; "
            "write [array] for one item, or numpy.atleast_1d(array)"
        )
    if is_async(iterable):
        raise TypeError(
            f"{kind.__name__} is an async iterable, which only a coroutine can walk; "
            "write `await allcores.amap(f, items)` or `async for value in allcores.par(items).map(f)`"
        )
    if not hasattr(kind, "__iter__") and not hasattr(kind, "__getitem__"):
        raise TypeError(
            f"items must be iterable, and {kind.__name__} is not; write [item] for one item, "
            "range(n) for numbers, or kwargs={...} for what is the same for all"
        )
    return iter(iterable)


def _batches(iterator: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(islice(iterator, size)):
        yield batch


def is_random_access(iterable: Iterable[Any]) -> bool:
    if type(iterable) in (list, tuple, range, str, bytes):
        return not (type(iterable) is range and abs(iterable.stop - iterable.start) > sys.maxsize)
    return type(iterable).__module__ == "numpy" and type(iterable).__name__ == "ndarray"


def _length(iterables: tuple[Any, ...], batch: int | None) -> int | None:
    try:
        lengths = [len(iterable) for iterable in iterables if hasattr(type(iterable), "__len__")]
    except Exception:  # range(10**30), or a class of the user's whose length is no number: loops do without
        return None
    if len(lengths) < len(iterables):
        return None
    return min(lengths) if batch is None else -(-min(lengths) // batch)
