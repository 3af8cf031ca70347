"""``allcores demo``: real jobs, as a loop and with allcores, and what is gained on this machine.

Every round of a row runs in a fresh interpreter (``demo_round``), in which the first call with allcores is cold, and
serial and parallel runs take turns, so that a machine with moods treats both alike. Medians are shown. The rows are
imported from a copy in a folder of its own, as a user's module would be: functions of an installed package are not
read before they are moved, those of a user are.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from statistics import median
from typing import Any, NamedTuple

import allcores
from allcores.cli import demo_bound, demo_report, demo_rows
from allcores.cli.demo_rows import ROWS, Row
from allcores.cli.screen import Screen, open_screen
from allcores.runtime import machine

ROUNDS = 3
# A row that took longer than this has seen enough rounds, unless their number was asked for, or its only one looks
# slower than the loop: on a machine with moods one says so too easily.
ROW_SECONDS = 5.0
CHILD_SECONDS = 120.0  # a round that takes longer is lost
MOST_COMPLAINTS = 4_000  # characters of a child's standard error that are kept
ALLOWED_SHARE, ALLOWED_SECONDS = (
    1.05,
    0.005,
)  # of the loop's time, and on top: above that a row is called slower
MOST_STATIC_PROCESSES = 16
MOST_WAITING = 64  # how many items allcores lets wait at once

# Loop and workers alike compute with one BLAS thread, so that one core is compared with n; the loop is also timed with
# all threads, and the faster loop is the one to beat.
BLAS_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Stage(NamedTuple):
    """Where and how the rows are run.

    Attributes:
        home: the folder with the copy of the rows.
        quick: on small inputs.
        rounds: how many of each row; None for a few, as long as they do not take too long.
        cores: of this machine.
        screen: where progress is shown.
    """

    home: str
    quick: bool
    rounds: int | None
    cores: int
    screen: Screen


class RoundFailed(Exception):
    """A round ended without an answer; the message says how."""


def run(quick: bool, rounds: int | None, names: Sequence[str] | None, json_path: str | None) -> int:
    """Measures the rows, shows the table and returns the exit code: 1 if any answer differs from the loop's."""
    unknown = set(names or ()) - {row.name for row in ROWS}
    if unknown:
        print(f"no such row: {', '.join(sorted(unknown))}; rows are {', '.join(row.name for row in ROWS)}")
        return 2
    rows = [row for row in ROWS if not names or row.name in names]
    facts = machine.facts()
    began = time.perf_counter()
    with open_screen() as screen, _home() as home:
        stage = Stage(home, quick, 1 if quick and rounds is None else rounds, facts.cores, screen)
        screen.say(demo_report.opening(facts))
        findings = [_measured(row, stage) for row in rows]
    report = {
        "allcores": allcores.__version__,
        "python": platform.python_version(),
        "machine": facts._asdict(),
        "quick": quick,
        "blas_threads": 1,
        "seconds": time.perf_counter() - began,
        "rows": findings,
    }
    if json_path:
        with open(json_path, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)
    print("\n".join(demo_report.lines(report)))
    return exit_code(findings)


def exit_code(findings: Sequence[dict[str, Any]]) -> int:
    """0 if every row that could run gave the answer of the loop.

    >>> exit_code([{"same_answer": True}, {"skipped": "needs sklearn"}]), exit_code([{"error": "ended"}])
    (0, 1)
    """
    return 0 if all(finding.get("same_answer", "skipped" in finding) for finding in findings) else 1


@contextmanager
def _home() -> Iterator[str]:
    """A folder in which the rows are a user's module; it is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="allcores-demo-") as home:
        shutil.copy(demo_rows.__file__, home)
        yield home


def _measured(row: Row, stage: Stage) -> dict[str, Any]:
    about = {"name": row.name, "title": row.title}
    if row.needs and find_spec(row.needs) is None:
        return {**about, "skipped": f"needs {row.needs}: pip install 'allcores[demo]'"}
    try:
        return {**about, **_finding(row, stage)}
    except RoundFailed as failure:
        return {**about, "error": str(failure)}


def _finding(row: Row, stage: Stage) -> dict[str, Any]:
    screen, samples = stage.screen, _samples(row, stage)
    plan = samples[0].pop("plan")
    alone_seconds = median(sample["serial_seconds"] for sample in samples)
    serial_seconds, blas_threads = alone_seconds, "1"
    if row.needs:
        screen.step(f"{row.title}: the loop with all BLAS threads")
        threaded_seconds = _child(row, "serial", stage, blas_threads=None)["serial_seconds"]
        if threaded_seconds < serial_seconds:
            serial_seconds, blas_threads = threaded_seconds, "all"
    best = _best_possible(row, stage, alone_seconds, samples[0]["items"])
    cold_seconds = median(sample["cold_seconds"] for sample in samples)
    cold_serial_seconds = max(serial_seconds, median(sample["first_serial_seconds"] for sample in samples))
    warm_seconds = median(sample["warm_seconds"] for sample in samples)
    return {
        "items": samples[0]["items"],
        "serial_seconds": serial_seconds,
        "serial_blas_threads": blas_threads,
        "cold_serial_seconds": cold_serial_seconds,
        "cold_seconds": cold_seconds,
        "warm_seconds": warm_seconds,
        "cold_gain": cold_serial_seconds / cold_seconds,
        "warm_gain": serial_seconds / warm_seconds,
        "best_gain": best * serial_seconds / alone_seconds,
        "engine": plan["engine"],
        "n_jobs": plan["n_jobs"],
        "reasons": plan["reasons"],
        "same_answer": all(sample["same_answer"] for sample in samples),
        "slower": slower(samples, cold_serial_seconds, serial_seconds),
        "as_expected": not row.stays or plan["engine"] == "inline",
        "samples": samples,
    }


def _samples(row: Row, stage: Stage) -> list[dict[str, Any]]:
    """The rounds of a row. Items that wait have no first time worth a round: the loop is the loop."""
    samples: list[dict[str, Any]] = []
    began = time.perf_counter()
    while not enough(samples, stage.rounds, time.perf_counter() - began):
        stage.screen.step(f"{row.title}: round {len(samples) + 1} of {stage.rounds or ROUNDS}")
        first = {} if row.waits else _child(row, "first", stage)
        sample = _child(row, "round" if samples else "plan", stage)
        samples.append({"first_serial_seconds": sample["serial_seconds"], **first, **sample})
    return samples


def enough(samples: Sequence[dict[str, Any]], asked: int | None, seconds: float) -> bool:
    """Whether these rounds, which took so many seconds, are those that were asked for, or else say enough.

    >>> enough([], None, 0.0), enough([{}], 1, 0.0), enough([{}, {}, {}], None, 0.0)
    (False, True, True)
    """
    if not samples or asked or len(samples) == ROUNDS:
        return len(samples) == (asked or ROUNDS)
    cold_loop, warm_loop = (
        median(sample[name] for sample in samples) for name in ("first_serial_seconds", "serial_seconds")
    )
    looks_slower = len(samples) == 1 and slower(samples, cold_loop, warm_loop)
    return seconds > ROW_SECONDS and not looks_slower


def slower(
    samples: Sequence[dict[str, Any]], cold_loop_seconds: float, warm_loop_seconds: float
) -> list[str]:
    """Which calls, cold or warm, took longer than allowed, in the median of the rounds.

    Each is compared with the loop of its own round, since the machine's mood changes from round to round; on average
    the loop takes so many seconds.
    """
    return [
        name
        for name, loop, loop_seconds in (
            ("cold", "first_serial_seconds", cold_loop_seconds),
            ("warm", "serial_seconds", warm_loop_seconds),
        )
        if _excess_seconds(samples, name, loop, loop_seconds) > ALLOWED_SECONDS
    ]


def _excess_seconds(samples: Sequence[dict[str, Any]], name: str, loop: str, loop_seconds: float) -> float:
    allowed_share = ALLOWED_SHARE * loop_seconds / median(sample[loop] for sample in samples)
    return float(median(sample[f"{name}_seconds"] - allowed_share * sample[loop] for sample in samples))


def _best_possible(row: Row, stage: Stage, alone_seconds: float, items: int) -> float:
    """How many times as fast as the loop with one BLAS thread this machine could be at best."""
    if row.stays:
        return 1.0
    if row.waits:
        return MOST_WAITING * demo_bound.balance([1.0] * items, MOST_WAITING)
    processes = min(stage.cores, MOST_STATIC_PROCESSES)
    stage.screen.step(f"{row.title}: {processes} loops at once, to see what this machine can do")
    shares = _static(row, stage, processes)
    capacity = demo_bound.capacity(alone_seconds, [share["static_seconds"] for share in shares])
    item_seconds = shares[0]["item_seconds"] or [1.0] * items
    return capacity * stage.cores / processes * demo_bound.balance(item_seconds, stage.cores)


def _static(row: Row, stage: Stage, processes: int) -> list[dict[str, Any]]:
    """The loop in several processes, all begun at one sign."""
    with ExitStack() as stack:
        children = [
            stack.enter_context(_started(row, "static", stage, blas_threads=1)) for _ in range(processes)
        ]
        for child in children:
            assert child.stdout is not None
            if child.stdout.readline() != "ready\n":
                raise RoundFailed(f"a static process ended early:\n{child.communicate()[1]}")
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        return [_answer(child) for child in children]


def _child(row: Row, part: str, stage: Stage, blas_threads: int | None = 1) -> dict[str, Any]:
    with _started(row, part, stage, blas_threads) as child:
        return _answer(child)


@contextmanager
def _started(row: Row, part: str, stage: Stage, blas_threads: int | None) -> Iterator[subprocess.Popen[str]]:
    """A fresh interpreter that runs a part of a row; it does not outlive the block."""
    environment = {name: value for name, value in os.environ.items() if name not in BLAS_VARIABLES}
    if blas_threads is not None:
        environment.update(dict.fromkeys(BLAS_VARIABLES, str(blas_threads)))
    command = [
        sys.executable,
        "-m",
        "allcores.cli.demo_round",
        stage.home,
        row.name,
        part,
        *(["--quick"] if stage.quick else []),
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def _answer(child: subprocess.Popen[str]) -> dict[str, Any]:
    """The line of JSON that a child prints last. What it complains of is kept: nothing should be."""
    try:
        printed, complaints = child.communicate(timeout=CHILD_SECONDS)
    except subprocess.TimeoutExpired:
        raise RoundFailed(f"no answer after {CHILD_SECONDS:.0f} s") from None
    if child.returncode:
        raise RoundFailed(f"ended with status {child.returncode}:\n{complaints[-MOST_COMPLAINTS:]}")
    answer: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return {**answer, "stderr": complaints[-MOST_COMPLAINTS:]}
