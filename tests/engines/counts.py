"""Counters around the real functions: what is pickled, written, read and waited for, in the caller and in a worker.

A log is a list of pairs: the name of what was called, and what it moved. Workers import this module too, so it
imports next to nothing.
"""

import os
import sys

from allcores.processes.windows import Windows

ASK = "what was counted?"  # an item


def size_of_result(result, *arguments):
    return result if isinstance(result, int) else len(result)


def logged(log, name, function, moved=size_of_result):
    """The function; each call of it is noted in the log, with None if it raises."""

    def call(*arguments, **options):
        log.append((name, None))
        place = len(log) - 1
        result = function(*arguments, **options)
        log[place] = (name, moved(result, *arguments))
        return result

    return call


WINDOWS = {"write": "pwrite", "read_into": "preadv", "bytes_at": "preadv"}


def moved_by(log, name):
    """What each call of this name has moved."""
    return [moved for each, moved in log if each == name]


# -- in the caller --------------------------------------------------------------------------------------------


class Watched:
    """Something of which some methods are logged."""

    def __init__(self, thing, log, **moved):
        self._thing, self._log, self._moved = thing, log, moved

    def __getattr__(self, name):
        found = getattr(self._thing, name)
        return logged(self._log, name, found, self._moved[name]) if name in self._moved else found


def count_pickles(monkeypatch, log):
    """Logs whatever is pickled by any module of ours, as "dumps"."""
    for name, module in list(sys.modules.items()):
        if name.startswith("allcores") and hasattr(module, "dumps"):
            monkeypatch.setattr(module, "dumps", logged(log, "dumps", module.dumps))
    for kind in _kinds_of_pickler():
        dump = logged(log, "dumps", kind.dump, lambda result, pickler, *_: 0)
        monkeypatch.setattr(kind, "dump", lambda self, value, dump=dump: dump(self, value), raising=False)


def _kinds_of_pickler():
    from allcores.tasks.pickling import Pickler

    return [each for each in Pickler.__subclasses__() if each.__module__.startswith("allcores")]


def count_memory(monkeypatch, log):
    """Logs what is written to and read from files, by its size, as "pwrite" and "preadv", through windows too."""
    for name in ("pwrite", "preadv"):
        monkeypatch.setattr(os, name, logged(log, name, getattr(os, name)))
    for method, name in WINDOWS.items():
        monkeypatch.setattr(Windows, method, through_window(log, name, getattr(Windows, method)))


def through_window(log, name, method):
    """The method, which logs what it has moved like the system's call of this name would."""

    def move(windows, *place):
        moved = method(windows, *place)
        if moved:
            log.append((name, len(moved if type(moved) is bytes else place[0])))
        return moved

    return move


def count_channels(crew, log):
    """Logs "send" with the bytes and "recv_into" with their number, of all workers; and "select" with its timeout
    and the number of those that it woke the caller for.
    """
    for seat in crew._seats.values():
        seat.channel._socket = Watched(
            seat.channel._socket,
            log,
            send=lambda count, data, *_: bytes(data[:count]),
            recv_into=size_of_result,
        )
    crew._selector = Watched(
        crew._selector, log, select=lambda ready, timeout=None, *_: (timeout, len(ready))
    )


# -- in a worker ----------------------------------------------------------------------------------------------


class Counted:
    """A function that counts in its worker, from its first item on; ``ASK`` is answered with the log so far."""

    def __init__(self, function):
        self.function = function
        self.log = None

    def __call__(self, item):
        if self.log is None:
            self.log = []
            count_in_worker(self.log)
        if type(item) is str and item == ASK:
            told = list(self.log)
            self.log.clear()
            return told
        return self.function(item)


def count_in_worker(log):
    """Logs "send", "filled" (by a read), "dumps", "loads", "pwrite", "preadv", "lseek" and "thread_time"."""
    from allcores.processes import child, mail, stopwatch, wire
    from allcores.tasks import pickling

    for name in {"pwrite", "preadv", "lseek"} & set(vars(os)):
        setattr(os, name, logged(log, name, getattr(os, name)))
    for method, name in WINDOWS.items():
        setattr(Windows, method, through_window(log, name, getattr(Windows, method)))
    stopwatch.thread_time = logged(log, "thread_time", stopwatch.thread_time, lambda *_: 0)
    pickling.dumps = logged(log, "dumps", pickling.dumps)
    pickling.loads = logged(log, "loads", pickling.loads, lambda result, data, *_: len(data))
    mail.loads = logged(log, "loads", mail.loads, lambda result, data, *_: len(data))
    child.send = logged(log, "send", child.send, lambda result, sock, data, *_: len(data))
    wire.Decoder.filled = _counted_filled(log, wire.Decoder.filled)


def _counted_filled(log, filled):
    counted = logged(log, "filled", filled, lambda result, decoder, count: count)
    return lambda self, count: counted(self, count)


def between_answers(log):
    """The part of a worker's log from the first read behind one ``ASK`` to before the one that brought the next."""
    reads = [place for place, (name, _) in enumerate(log) if name == "filled"]
    return log[reads[0] : reads[-1]]
