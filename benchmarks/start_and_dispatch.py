"""Start, dispatch and death of worker processes, below the scheduler: the engine's own interface.

    python benchmarks/start_and_dispatch.py [--rounds N] [--json FILE]

Every number is a median over rounds, in milliseconds for start and death and in microseconds for one dispatch. Each
round runs in fresh processes; beside the engine stand an empty interpreter (start) and a bare ping-pong of pickles
over a socketpair with as many messages in flight (dispatch).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import machine
import work_plain

CHUNKS = 10_000
IN_FLIGHT = (1, 2, 4, 8)
WORKERS = 2
RESULTS = Path(__file__).parent / "results" / "start_and_dispatch.json"
Numbers = dict[str, float]


# -- what is measured, each in a fresh process ----------------------------------------------------------------


def start_plain() -> Numbers:
    """Two workers for a function of plain Python, then two for another function."""
    return {
        "2 workers, cold (ms)": _start(work_plain.square),
        "2 workers for a second function (ms)": _start(work_plain.process_id),
    }


def start_numpy() -> Numbers:
    """The same where the function needs NumPy, which the caller has imported."""
    import work_arrays

    return {
        "2 workers with NumPy, cold (ms)": _start(work_arrays.total),
        "2 workers with NumPy for a second function (ms)": _start(work_arrays.sorted_median),
    }


def dispatch_engine() -> Numbers:
    """Single-item chunks through the engine alone, with so many in flight."""
    from allcores.core.events import ItemsDone

    engine = _engine(work_plain.square)
    _answered(engine)
    numbers = {}
    for in_flight in (IN_FLIGHT[0], *IN_FLIGHT):  # the first one warms up
        sent = received = 0
        waiting = [index % WORKERS for index in range(in_flight)]
        began = time.perf_counter()
        while received < CHUNKS:
            for worker in waiting:
                if sent < CHUNKS:
                    engine.send(worker, engine.pack(sent, [sent]), sent, sent, sent + 1)
                    sent += 1
            waiting.clear()
            for event in engine.wait(None):
                assert isinstance(event, ItemsDone)
                for outcome in event.outcomes:
                    engine.unpack(outcome)
                received += event.last
                waiting.append(event.worker)
        numbers[f"engine, {in_flight} in flight (µs)"] = _each(began)
    engine.close(reuse=False)
    return numbers


def dispatch_bare() -> Numbers:
    """Pickles to and fro, and nothing else: what no library can beat in Python."""
    channels = [_echo() for _ in range(WORKERS)]
    poll = select.epoll() if hasattr(select, "epoll") else select.poll()
    by_descriptor = {channel.fileno(): channel for channel in channels}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    numbers = {}
    for in_flight in (IN_FLIGHT[0], *IN_FLIGHT):
        began = time.perf_counter()
        for index in range(in_flight):
            channels[index % WORKERS].send(pickle.dumps(index, 5))
        sent, received = in_flight, 0
        while received < CHUNKS:
            for descriptor, _ in poll.poll():
                channel = by_descriptor[descriptor]
                pickle.loads(channel.recv(4096))
                received += 1
                if sent < CHUNKS:
                    channel.send(pickle.dumps(sent, 5))
                    sent += 1
        numbers[f"bare ping-pong, {in_flight} in flight (µs)"] = _each(began)
    return numbers


def dispatch_ours() -> Numbers:
    """The same through the front door, with chunks of one item."""
    import allcores as ac

    return _maps(
        "allcores.map, chunksize=1 (µs)",
        lambda f, xs: ac.map(f, xs, engine="processes", n_jobs=WORKERS, chunksize=1),
    )


def dispatch_pool() -> Numbers:
    """Pool."""
    import multiprocessing

    with multiprocessing.Pool(WORKERS) as pool:
        return _maps("Pool.map, chunksize=1 (µs)", lambda f, xs: pool.map(f, xs, chunksize=1))


def dispatch_executor() -> Numbers:
    """The standard library's executor."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as pool:
        return _maps("ProcessPoolExecutor.map, chunksize=1 (µs)", lambda f, xs: list(pool.map(f, xs)))


def dispatch_loky() -> Numbers:
    """The executor of loky."""
    from joblib.externals.loky import get_reusable_executor

    pool = get_reusable_executor(max_workers=WORKERS)
    return _maps("loky's executor, chunksize=1 (µs)", lambda f, xs: list(pool.map(f, xs)))


def dispatch_joblib() -> Numbers:
    """What joblib does with batches of one."""
    from joblib import Parallel, delayed

    with Parallel(n_jobs=WORKERS, batch_size=1) as parallel:
        return _maps("joblib, batches of one (µs)", lambda f, xs: parallel(delayed(f)(x) for x in xs))


def blocked() -> Numbers:
    """What share of the time workers have nothing to do, while a consumer of 1 ms a result has unsent items.

    Items wait 2.5 ms instead of computing: consumer and workers are three, and cores may be two.
    """
    import allcores as ac

    iterations = round(machine.iterations_per_ms())
    shares = []
    for _ in range(2):
        spans: dict[int, list[tuple[float, float]]] = {}
        for pid, began, ended in ac.par(range(1000), engine="processes", n_jobs=WORKERS).map(work_plain.nap):
            spans.setdefault(pid, []).append((began, ended))
            work_plain.spin(iterations)
        unsent_until = sorted(span for each in spans.values() for span in each)[900][0]
        between = [
            (before[1], after[0])
            for each in spans.values()
            for before, after in itertools.pairwise(each)
            if after[0] <= unsent_until
        ]
        working = sum(unsent_until - each[0][0] for each in spans.values())
        shares.append(sum(after - before for before, after in between) / working)
    return {"workers blocked beside a consumer (%)": 100 * shares[-1]}


def _maps(name: str, run: Callable[[Any, Any], Any]) -> Numbers:
    """A call that warms up, and one that counts."""
    for _ in range(2):
        began = time.perf_counter()
        run(work_plain.square, range(CHUNKS))
        each = _each(began)
    return {name: each}


def death() -> Numbers:
    """How long after its death a worker is known to be gone."""
    from allcores.core.events import ItemsDone, WorkerLost

    engine = _engine(work_plain.process_id)
    _answered(engine)
    engine.send(0, engine.pack(0, [None]), 0, 0, 1)
    (event,) = engine.wait(None)
    assert isinstance(event, ItemsDone)
    (pid,) = engine.unpack(event.outcomes[0])
    began = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    while not any(isinstance(event, WorkerLost) for event in engine.wait(None)):
        pass
    seconds = time.perf_counter() - began
    engine.close(reuse=False)
    return {"death of a worker noticed (ms)": 1000 * seconds}


def abandoned() -> None:
    """A caller with two busy workers, to be killed: says who they are, and never ends."""
    import psutil

    engine = _engine(work_plain.wait)
    _answered(engine)
    for worker in range(WORKERS):
        engine.send(worker, engine.pack(worker, [60_000]), worker, worker, worker + 1)
    print(json.dumps([child.pid for child in psutil.Process().children(recursive=True)]), flush=True)
    engine.wait(None)


def _start(function: Callable[[Any], Any]) -> float:
    began = time.perf_counter()
    engine = _engine(function)
    _answered(engine)
    seconds = time.perf_counter() - began
    engine.close(reuse=True)
    return 1000 * seconds


def _engine(function: Callable[[Any], Any]) -> Any:
    """An engine with its workers booting."""
    from allcores.engines.processes import Processes
    from allcores.tasks.task import MAP, Task

    engine = Processes(Task(((MAP, function),)))
    for worker in range(WORKERS):
        engine.boot(worker)
    return engine


def _answered(engine: Any) -> None:
    from allcores.core.events import WorkerReady

    ready = 0
    while ready < WORKERS:
        ready += sum(isinstance(event, WorkerReady) for event in engine.wait(None))


def _each(began: float) -> float:
    return 1e6 * (time.perf_counter() - began) / CHUNKS


def _echo() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        while data := theirs.recv(4096):
            theirs.send(pickle.dumps(pickle.loads(data), 5))
        os._exit(0)
    theirs.close()
    return ours


# -- who measures -----------------------------------------------------------------------------------------------

MEASURED = (
    start_plain,
    start_numpy,
    dispatch_engine,
    dispatch_bare,
    dispatch_ours,
    dispatch_pool,
    dispatch_executor,
    dispatch_loky,
    dispatch_joblib,
    blocked,
    death,
)


def interpreters() -> Numbers:
    """What starting an interpreter takes, without and with NumPy."""
    return {f"python -c '{code}' (ms)": 1000 * _interpreter(code) for code in ("pass", "import numpy")}


def _interpreter(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def in_fresh_process(function: Callable[[], Numbers]) -> Numbers:
    """Its numbers."""
    done = subprocess.run(_command(function), capture_output=True, text=True, check=True, timeout=60)
    numbers: Numbers = json.loads(done.stdout)
    return numbers


def orphans() -> Numbers:
    """How long after ``kill -9`` of the caller the last of its processes is gone."""
    caller = subprocess.Popen(_command(abandoned), stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    pids = json.loads(caller.stdout.readline())
    began = time.perf_counter()
    caller.kill()
    while any(_lives(pid) for pid in pids):
        if time.perf_counter() - began > 10:
            raise RuntimeError(f"of {pids} some live on")
        time.sleep(0.0002)
    seconds = time.perf_counter() - began
    caller.wait()
    caller.stdout.close()
    return {"orphans gone after kill -9 of the caller (ms)": 1000 * seconds}


def _lives(pid: int) -> bool:
    """Whether a process runs; one that is dead and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _command(function: Callable[[], Any]) -> list[str]:
    return [sys.executable, __file__, "--only", function.__name__]


def main() -> None:
    """Measures round by round and prints the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path, nargs="?", const=RESULTS, help="write the data there")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        numbers = globals()[options.only]()
        print(json.dumps(numbers))
        return
    machine.compile_sources()
    description = machine.describe()
    print(machine.in_one_line(description), flush=True)
    rounds: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        measured = [interpreters(), *(in_fresh_process(function) for function in MEASURED), orphans()]
        for numbers in measured:
            for name, value in numbers.items():
                rounds.setdefault(name, []).append(value)
    for name, values in rounds.items():
        print(f"{name:<50} {median(values):8.1f}   (best {min(values):.1f})")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": description, "rounds": rounds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
