"""Rounds of a thousand items while random workers are killed every few milliseconds.

    python benchmarks/kill_rounds.py              200 rounds with on_error="return" and 200 with retries=3
    python benchmarks/kill_rounds.py --rounds 20 --n-jobs 4 --start portable

Workers write down when each item begins and ends (a record appended to one file, in one go), the killer whom it
killed. From that it is counted:

- wrong: a value that is not the function's; must be 0
- innocent: a lost item that was not the one its worker ran when it was killed; must be 0
- unseen: a lost item whose worker was killed in the microseconds between taking it up and writing that down; each
  needs a worker of its own that was killed between two records
- again: finished items that ran once more elsewhere, and the seconds' worth of them for one kill. Before a worker
  starts an item at most 2 ms of finished work is unsent, so apart from the item that was being reported it is
  at most that much
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import struct
import sys
import tempfile
import threading
import time
from typing import NamedTuple

RECORD = "=qqqq"  # item, pid, BEGUN or ENDED, monotonic nanoseconds
BEGUN, ENDED = 0, 1
ITEMS = 1000
RECORDS_A_KILL = (
    20  # written since the last kill: on a busy machine no item is killed more often than elsewhere
)
UNSENT_SECONDS = 0.002
_ledgers: dict[str, int] = {}


def recorded(path: str, item: int) -> int:
    """Works for up to 0.4 ms, and writes down when."""
    ledger = _ledgers.get(path)
    if ledger is None:
        ledger = _ledgers[path] = os.open(path, os.O_WRONLY | os.O_APPEND)
    pid = os.getpid()
    os.write(ledger, struct.pack(RECORD, item, pid, BEGUN, time.monotonic_ns()))
    until = time.perf_counter() + (item % 5) * 1e-4
    while time.perf_counter() < until:
        pass
    os.write(ledger, struct.pack(RECORD, item, pid, ENDED, time.monotonic_ns()))
    return 7 * item + 1


class Killer(threading.Thread):
    """Kills a random worker of this process every few milliseconds, until told to stop."""

    def __init__(self, start: str, seed: int, path: str) -> None:
        super().__init__(daemon=True)
        self._path = path
        self.killed: set[int] = set()
        self.over = threading.Event()
        self._start = start
        self._random = random.Random(seed)

    def run(self) -> None:
        """Strikes."""
        slower = 6 if self._start == "portable" else 1  # fresh interpreters take longer to begin
        seen = 0
        while not self.over.wait(slower * self._random.uniform(0.002, 0.012)):
            workers = self._workers()
            size = os.path.getsize(self._path)
            if workers and size - seen >= RECORDS_A_KILL * struct.calcsize(RECORD):
                seen = size
                pid = self._random.choice(workers)
                try:
                    os.kill(pid, signal.SIGKILL)
                    self.killed.add(pid)
                except ProcessLookupError:
                    pass

    def _workers(self) -> list[int]:
        found = _children(os.getpid())
        if self._start == "portable":  # a fresh interpreter is let live until it has begun an item
            with open(self._path, "rb") as file:
                begun = {pid for _, pid, _, _ in struct.iter_unpack(RECORD, file.read())}
            return [pid for pid in found if pid in begun]
        for _ in ("zygote", "template"):
            found = [each for pid in found for each in _children(pid)]
        return found


def _children(pid: int) -> list[int]:
    """The processes that any thread of this one has started."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass  # it has just ended
    return found


class Run(NamedTuple):
    """One attempt at an item, as its worker wrote it down."""

    item: int
    pid: int
    begun: int
    ended: int | None

    @property
    def seconds(self) -> float:
        return 0.0 if self.ended is None else (self.ended - self.begun) / 1e9


class Round(NamedTuple):
    """What a round came to."""

    kills: int
    lost: int
    wrong: int
    innocent: int
    unseen: int
    again: int
    again_seconds: float  # the most for one kill, the item that was being reported left out
    seconds: float


def read_ledger(path: str) -> list[Run]:
    """Every attempt, in the order in which they began."""
    with open(path, "rb") as file:
        data = file.read()
    runs: list[Run] = []
    open_runs: dict[int, int] = {}  # pid: position of what it runs
    for item, pid, kind, when in struct.iter_unpack(RECORD, data):
        if kind == BEGUN:
            open_runs[pid] = len(runs)
            runs.append(Run(item, pid, when, None))
        else:
            position = open_runs.pop(pid)
            runs[position] = runs[position]._replace(ended=when)
    return runs


def play(seed: int, n_jobs: int, start: str, directory: str, retries: int | None) -> Round:
    """One round: with ``retries`` None failures are wanted in the list, else a whole list."""
    import functools

    import allcores as ac

    path = os.path.join(directory, f"{seed}-{retries}")
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    function = functools.partial(recorded, path)
    options = {"on_error": "return"} if retries is None else {"retries": retries}
    killer = Killer(start, seed, path)
    began = time.perf_counter()
    killer.start()
    try:
        results = ac.map(function, range(ITEMS), engine="processes", n_jobs=n_jobs, writes="allow", **options)
    finally:
        killer.over.set()
        killer.join()
    seconds = time.perf_counter() - began
    runs = read_ledger(path)
    os.unlink(path)
    return judged(results, runs, killer.killed, seconds)


def judged(results: list, runs: list[Run], killed: set[int], seconds: float) -> Round:
    """Counts what must not be."""
    import allcores as ac

    last_of: dict[int, Run] = {}  # what each worker began last
    runs_of: dict[int, list[Run]] = {}  # by item
    for run in runs:
        last_of[run.pid] = run
        runs_of.setdefault(run.item, []).append(run)
    between = sum(pid not in last_of or last_of[pid].ended is not None for pid in killed)
    lost = wrong = unseen = 0
    for item, result in enumerate(results):
        if type(result) is not ac.Failure:
            wrong += result != 7 * item + 1
            continue
        lost += 1
        if type(result.error) is not ac.WorkerLost or (result.index, result.error.index) != (item, item):
            wrong += 1
        attempts = runs_of.get(item, [])
        unseen += not any(run.pid in killed and last_of[run.pid] is run for run in attempts)
    wrong += len(results) != ITEMS
    innocent = max(0, unseen - between)
    again: dict[int, list[Run]] = {}  # by the worker that was killed
    for attempts in runs_of.values():
        for run in attempts[:-1]:
            if run.ended is not None:
                again.setdefault(run.pid, []).append(run)
    worst = max(
        (sum(run.seconds for run in each if last_of[run.pid] is not run) for each in again.values()),
        default=0.0,
    )
    return Round(len(killed), lost, wrong, innocent, unseen, sum(map(len, again.values())), worst, seconds)


def main() -> int:
    """Plays all rounds; the exit status says whether anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--n-jobs", type=int, default=3)
    parser.add_argument("--start", choices=["forks", "portable"], default="forks")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.start == "portable":
        os.environ["ALLCORES_START"] = "portable"
    bad = False
    with tempfile.TemporaryDirectory() as directory:
        for title, retries in (('on_error="return"', None), ("retries=3", 3)):
            rounds = []
            for number in range(chosen.rounds):
                rounds.append(play(chosen.seed + number, chosen.n_jobs, chosen.start, directory, retries))
                if sys.stderr.isatty():
                    print(
                        f"\r{title}: round {number + 1} of {chosen.rounds}",
                        end="",
                        file=sys.stderr,
                        flush=True,
                    )
            if sys.stderr.isatty():
                print("\r\033[K", end="", file=sys.stderr)
            total = [sum(column) for column in zip(*rounds, strict=True)]
            worst = max(each.again_seconds for each in rounds)
            print(
                f"{title}: {len(rounds)} rounds of {ITEMS} items in {total[-1]:.1f} s, {total[0]} workers killed, "
                f"{total[1]} items lost, {total[2]} wrong, {total[3]} innocent, "
                f"{total[4]} unseen, {total[5]} finished items run again "
                f"(at most {1e3 * worst:.2f} ms of them for one kill)",
                flush=True,
            )
            bad = (
                bad
                or bool(total[2] or total[3])
                or worst > UNSENT_SECONDS
                or (retries is not None and total[1] > 0)
            )
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
