"""``allcores doctor``: what allcores sees here, what its parts cost here, and what to look at."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import allcores
from allcores.cli.doctor_advice import VARIABLES, advice, emulation
from allcores.cli.screen import seconds, size
from allcores.runtime import machine

PROBE_SECONDS = 60.0


def run(json_path: str | None) -> int:
    """Looks, measures and prints; returns 1 if no worker could be started or used."""
    report = look()
    if json_path != "-":
        print("\n".join(lines(report)))
    if json_path is not None:
        text = json.dumps(report, indent=2)
        if json_path == "-":
            print(text)
        else:
            with open(json_path, "w", encoding="utf-8") as file:
                file.write(text)
    return 1 if report["costs_error"] else 0


def look() -> dict[str, Any]:
    """Everything that can be seen and measured, and the advice that follows from it."""
    report: dict[str, Any] = {
        "allcores": allcores.__version__,
        "python": _python(),
        "machine": machine.facts()._asdict(),
        "limits": _limits(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        **_costs(),
    }
    return {**report, "advice": advice(report)}


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The report for a person."""
    for title, pairs in (
        ("machine", _machine_lines(report)),
        ("python", _python_lines(report["python"])),
        ("numeric libraries", _blas_lines(report["blas"])),
        ("what it costs here", _cost_lines(report)),
    ):
        yield title
        for name, value in pairs:
            yield f"  {name:<22}{value}"
    yield "worth knowing" if report["advice"] else "nothing to complain of"
    for sentence in report["advice"]:
        yield from textwrap.wrap(sentence, width=100, initial_indent="  - ", subsequent_indent="    ")


def _machine_lines(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    seen, limits = report["machine"], report["limits"]
    quota, limit = seen["quota_cores"], seen["memory_limit_bytes"]
    yield "cores to use", str(seen["cores"])
    yield "visible, by affinity", f"{seen['visible_cores']}, {seen['affinity_cores']}"
    yield "quota (cgroup)", "none" if quota is None else f"{quota:g} cores"
    yield "memory, free", f"{size(seen['memory_bytes'])}, {size(seen['available_bytes'])}"
    yield "memory limit (cgroup)", "none" if limit is None else size(limit)
    yield "open files", "unlimited" if limits.get("open_files") is None else str(limits["open_files"])
    yield "platform", f"{seen['platform']}, {report['python']['architecture']}"


def _python_lines(python: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "version", f"{python['version']} ({python['implementation']})"
    yield "GIL", "on" if python["gil_enabled"] else "off: threads compute side by side"
    yield "workers start by", python["start_method"]


def _blas_lines(libraries: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    if not libraries:
        yield "none", "NumPy is not installed, or brings none"
    for library in libraries:
        details = [
            str(library[name]) for name in ("version", "architecture", "threading_layer") if library[name]
        ]
        threads = library["num_threads"]
        yield library["internal_api"], f"{threads} thread{'s' if threads != 1 else ''} ({', '.join(details)})"


def _cost_lines(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    costs = report["costs"]
    if costs is None:
        yield "FAILED", report["costs_error"]
        return
    yield "first call", f"{seconds(costs['start_seconds'])} until all workers have answered"
    yield "next function", seconds(costs["next_function_seconds"])
    yield "one chunk", f"{seconds(costs['dispatch_seconds'])} to dispatch and return"
    yield "16 MiB to a worker", f"{size(costs['in_bytes_per_second'])}/s"
    yield "16 MiB back", f"{size(costs['out_bytes_per_second'])}/s"


def _python() -> dict[str, Any]:
    architecture = platform.machine()
    return {
        "version": platform.python_version(),
        "version_info": list(sys.version_info[:3]),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "architecture": architecture,
        "debug_build": hasattr(sys, "gettotalrefcount"),
        "gil_enabled": machine.gil_enabled(),
        "start_method": machine.start_method(),
        "emulation": emulation(
            architecture, machine.read_text("/proc/cpuinfo") or "", machine.read_text("/proc/version") or ""
        ),
    }


def _limits() -> dict[str, int | None]:
    """Limits of this process; None is unlimited."""
    try:
        import resource
    except ImportError:
        return {}
    wanted = {"open_files": resource.RLIMIT_NOFILE, "address_space_bytes": resource.RLIMIT_AS}
    soft = {name: resource.getrlimit(limit)[0] for name, limit in wanted.items()}
    return {name: None if value == resource.RLIM_INFINITY else value for name, value in soft.items()}


def _costs() -> dict[str, Any]:
    """Measurements from a fresh interpreter, or why there are none."""
    command = [sys.executable, "-m", "allcores.cli.doctor_probe"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return {"costs": None, "costs_error": f"no answer after {PROBE_SECONDS:.0f} s", "blas": []}
    except subprocess.CalledProcessError as error:
        return {"costs": None, "costs_error": error.stderr.strip(), "blas": []}
    costs = json.loads(done.stdout.splitlines()[-1])
    return {"blas": costs.pop("blas"), "costs": costs, "costs_error": None}
