"""The tournament of one cell: paired rounds in which everybody runs in turn, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import judge
from cells import Cell
from contestants import LOOP, OURS, contestant_named

MOST_SECONDS = 25.0
MOST_LOOPS = 10  # times the loop
GRACE_SECONDS = 2.0  # below this nobody is stopped, only put out afterwards
PREPARE_SECONDS = 60.0
WARM, COLD = "warm", "cold"


class Out(Exception):
    """A contestant leaves the cell, with the reason."""


class Measured(NamedTuple):
    """One call."""

    seconds: float
    digest: str


class Station:
    """A process that runs one contestant on one cell, in a session of its own so that all of it can be ended."""

    def __init__(self, cell: str, contestant: str, iterations_per_ms: float) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the station
        self._stuck = False
        self._process = subprocess.Popen(
            [sys.executable, "station.py", cell, contestant, repr(iterations_per_ms)],
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        try:
            self._read(PREPARE_SECONDS)
        except Out:
            self.close()
            raise

    def run(self, limit_seconds: float) -> Measured:
        """One call of the job."""
        seconds, digest = self._ask("run", limit_seconds).split()
        return Measured(float(seconds), digest)

    def engine(self) -> str:
        """The engine that allcores chooses."""
        return self._ask("plan", MOST_SECONDS)

    def close(self) -> None:
        """Ends the process and whatever it started."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if self._stuck else GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()
        self._sweep()

    def _sweep(self) -> None:
        """What joblib leaves behind when its resource tracker is killed with it."""
        memory = Path("/dev/shm")
        for left in memory.glob(f"joblib_memmapping_folder_{self._process.pid}_*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in memory.glob(f"sem.loky-{self._process.pid}-*"):
            left.unlink(missing_ok=True)

    def _ask(self, question: str, limit_seconds: float) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self._read(limit_seconds)

    def _read(self, limit_seconds: float) -> str:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], limit_seconds)[0]:
            self._stuck = True
            raise Out(f"over {limit_seconds:.1f} s")
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines()
            raise Out("failed: " + (said[-1] if said else "it ended without a word"))
        return line.strip()


class Measurer:
    """Runs calls in fresh stations (cold), or in stations that have run the job before (warm)."""

    def __init__(self, cell: Cell, phase: str, iterations_per_ms: float) -> None:
        self._cell = cell
        self._phase = phase
        self._iterations_per_ms = iterations_per_ms
        self._stations: dict[str, Station] = {}

    def run(self, name: str, limit_seconds: float) -> Measured:
        """One call; raises ``Out`` where there is none to be had in time."""
        if self._phase == COLD:
            station = Station(self._cell.name, name, self._iterations_per_ms)
            try:
                return station.run(limit_seconds)
            finally:
                station.close()
        if name not in self._stations:
            self._stations[name] = Station(self._cell.name, name, self._iterations_per_ms)
            self._stations[name].run(limit_seconds)
        return self._stations[name].run(limit_seconds)

    def engine(self) -> str | None:
        """What allcores chose."""
        return self._stations[OURS.name].engine() if OURS.name in self._stations else None

    def drop(self, name: str) -> None:
        """This one is not needed any more."""
        if name in self._stations:
            self._stations.pop(name).close()

    def close(self) -> None:
        """Nobody is."""
        for name in list(self._stations):
            self.drop(name)


class Rounds(NamedTuple):
    """How many rounds are run, and after how many only the best go on."""

    total: int
    trial: int


def play(
    cell: Cell, phase: str, rounds: Rounds, rivals: list[str], iterations_per_ms: float, import_seconds: float
) -> dict[str, Any]:
    """Runs all rounds of a cell; returns everything that was measured and the verdicts."""
    game = Game(cell, rounds, [LOOP.name, OURS.name, *rivals])
    with contextlib.closing(Measurer(cell, phase, iterations_per_ms)) as measurer:
        for number in range(1, rounds.total + 1):
            for name in game.order(number):
                try:
                    game.take(number, name, measurer.run(name, game.limit_seconds))
                except Out as out:
                    game.put_out(name, str(out))
            if number == rounds.trial:
                game.keep_the_best()
            for name in game.gone():
                measurer.drop(name)
        engine = measurer.engine()
    return {
        "cell": cell.name,
        "title": cell.title,
        "phase": phase,
        "engine": engine,
        "seconds": game.seconds,
        "medians": {name: median(by_round.values()) for name, by_round in game.seconds.items() if by_round},
        "out": game.out,
        "verdicts": [
            verdict._asdict() | {"subtracted_seconds": subtracted}
            for verdict, subtracted in game.verdicts(phase, import_seconds)
        ],
    }


class Game:
    """Who still runs, and what was measured."""

    def __init__(self, cell: Cell, rounds: Rounds, names: list[str]) -> None:
        self._cell = cell
        self._rounds = rounds
        self._running = names
        self._digest: str | None = None
        self._draw = random.Random(cell.name)
        self.seconds: dict[str, dict[int, float]] = {name: {} for name in names}
        self.out: dict[str, str] = {}
        self.limit_seconds = MOST_SECONDS

    def order(self, number: int) -> Iterator[str]:
        """The loop opens the first round, since the others are measured by it; then chance decides."""
        names = list(self._running)
        self._draw.shuffle(names)
        if number == 1:
            names.sort(key=lambda name: name != LOOP.name)
        return iter(names)

    def take(self, number: int, name: str, measured: Measured) -> None:
        """Notes a call and checks its results."""
        if name == LOOP.name and self._digest is None:
            self._digest = measured.digest
            self.limit_seconds = min(MOST_SECONDS, max(GRACE_SECONDS, MOST_LOOPS * measured.seconds))
        self.seconds[name][number] = measured.seconds
        if measured.digest != self._digest:
            self.put_out(name, "its results differ from the loop's")
        elif (
            name not in (LOOP.name, OURS.name) and measured.seconds > MOST_LOOPS * self.seconds[LOOP.name][1]
        ):
            self.put_out(name, f"over {MOST_LOOPS} × the loop")

    def put_out(self, name: str, reason: str) -> None:
        """This one runs no more."""
        if name == LOOP.name:
            raise RuntimeError(f"the loop of cell {self._cell.name!r} cannot be measured: {reason}")
        self.out[name] = reason
        self._running.remove(name)

    def gone(self) -> list[str]:
        """Those who run no more."""
        return [name for name in self.seconds if name not in self._running]

    def keep_the_best(self) -> None:
        """The two best go on, and of those set up by hand the two that beat them."""
        so_far = {
            name: median(self.seconds[name].values())
            for name in sorted(self._running, key=lambda name: median(self.seconds[name].values()))
            if name != OURS.name
        }
        plain = [name for name in so_far if not contestant_named(name).tuned][:2]
        tuned = [name for name in so_far if contestant_named(name).tuned and so_far[name] < so_far[plain[0]]][
            :2
        ]
        self._running = [name for name in self._running if name in (OURS.name, *plain, *tuned)]

    def verdicts(self, phase: str, import_seconds: float) -> Iterator[tuple[judge.Verdict, float]]:
        """Against the best as it comes, and the best set up by hand, chosen on the odd rounds; seconds subtracted."""
        if OURS.name in self.out:
            return
        odd = range(1, self._rounds.total + 1, 2)
        even = range(2, self._rounds.total + 1, 2)
        for tuned in (False, True):
            league = {
                name: by_round
                for name, by_round in self.seconds.items()
                if name != OURS.name and name not in self.out and contestant_named(name).tuned is tuned
            }
            best = judge.choose_best(league, odd)
            if best is None:
                continue
            inherited = import_seconds if phase == COLD and contestant_named(best).forks else 0.0
            played = [number for number in even if number in league[best]]  # it may not have gone on
            if not played:
                continue
            ours = [max(1e-6, self.seconds[OURS.name][number] - inherited) for number in played]
            theirs = [league[best][number] for number in played]
            yield judge.judge(best, ours, theirs, self._bar(tuned)), inherited

    def _bar(self, tuned: bool) -> float:
        if not tuned:
            return judge.DEFAULT_BAR
        return judge.TUNED_WAITS_BAR if self._cell.waits else judge.TUNED_BAR
