"""What the numbers were measured on."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from work_plain import spin

LIBRARIES = (
    "allcores",
    "distributed",
    "joblib",
    "mpire",
    "numpy",
    "pandas",
    "pyarrow",
    "ray",
    "scikit-learn",
)
CALIBRATION_ITERATIONS = 20_000


def describe() -> dict[str, Any]:
    """The machine, the interpreter, the libraries and the day."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": _processor(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
        "commit": _commit(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def in_one_line(description: dict[str, Any]) -> str:
    """The same for the head of a table."""
    versions = ", ".join(f"{name} {number}" for name, number in description["versions"].items() if number)
    return (
        f"{description['date']}: {description['cores']} cores ({description['processor']}), "
        f"Python {description['python']}, {versions}, commit {description['commit']}"
    )


def iterations_per_ms() -> float:
    """How many iterations of the busy loop take a millisecond here: the median of many short tries."""
    rates = []
    for _ in range(60):
        began = time.perf_counter()
        spin(CALIBRATION_ITERATIONS)
        rates.append(CALIBRATION_ITERATIONS / (time.perf_counter() - began) / 1000)
    return median(rates)


def compile_sources() -> None:
    """An installed package is compiled, a checkout is not: without this every cold start would pay for it."""
    import compileall
    from importlib.util import find_spec

    spec = find_spec("allcores")
    assert spec is not None
    for directory in (*(spec.submodule_search_locations or ()), str(Path(__file__).parent)):
        compileall.compile_dir(directory, quiet=1)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def fresh_import_seconds(module: str, rounds: int = 5) -> float:
    """What importing a module adds to the start of an interpreter."""

    def run(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True)
        return time.perf_counter() - began

    pairs = [(run(f"import {module}"), run("pass")) for _ in range(rounds)]
    return max(0.0, median(full - bare for full, bare in pairs))
