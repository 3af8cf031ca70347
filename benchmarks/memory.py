"""How much memory do workers take that share data with the caller, and does anything grow in the long run?

    python benchmarks/memory.py
    python benchmarks/memory.py --holders "allcores;Pool, inherited" --flows none --json
    python benchmarks/memory.py --holders none --flows "first;same_function"

*Held*: 200 MB of arrays, or of strings in a dict, are captured by a function that four warm workers run. Each reads
all of it, says so, and waits at a gate; then everything that the family of processes holds is counted (``family.py``)
and compared with what it held right before the call, the caller's own data included. *Peak*: the most that was
seen while the data travelled. *Flows*, for allcores alone: the same count after few items or calls and after many.

The bars: arrays take at most 1.3 × their size; strings less than with any rival; what flows leaves nothing behind.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import machine
import work_memory
from family import Holding, holding
from flow_station import FLOWS
from memory_station import HOLDERS, OURS
from report import table
from session import Session, Silent

RESULTS = Path(__file__).parent / "results" / "memory.json"
KINDS = {"arrays": "200 MB of arrays", "strings": "200 MB of strings in a dict"}
ARRAYS_BAR = 1.3  # times their size
FLAT_MB, FLAT_DESCRIPTORS = 5.0, 0
MOST_SECONDS = 300.0
LOOK_EVERY_SECONDS = 0.05


def main() -> None:
    """Measures, and prints what failed first."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    machine.compile_sources()
    description = machine.describe()
    print(machine.in_one_line(description), flush=True)
    held = []
    for kind in KINDS:
        for name in options.holders:
            print(f"{KINDS[kind]}, {name} ...", file=sys.stderr, flush=True)
            held.append(hold(name, kind))
    flows = []
    for name in options.flows:
        print(f"{FLOWS[name]} ...", file=sys.stderr, flush=True)
        flows.append(flow(name))
    verdicts = sorted([*holding_verdicts(held), *map(flow_verdict, flows)], key=lambda each: each["passed"])
    print("\n" + verdict_table(verdicts))
    print(
        "\nMB more than before the call. held: while four workers hold the data; peak: the most that was seen.\n"
    )
    print(holder_table(held))
    print("\nMB and descriptors of the whole family, after so many items or calls.\n")
    print(flow_table(flows))
    if options.json:
        data = {"machine": description, "held": held, "flows": flows, "verdicts": verdicts}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(data, indent=1) + "\n")


def hold(name: str, kind: str) -> dict[str, Any]:
    """What one contestant's family holds before a call, and while all workers have read the data."""
    found: dict[str, Any] = {"holder": name, "kind": kind}
    with tempfile.TemporaryDirectory() as directory:
        os.mkfifo(Path(directory, "gate"))
        try:
            session = Session("memory_station.py", [name, kind, directory], MOST_SECONDS)
        except Silent as silent:
            return {**found, "out": str(silent)}
        with contextlib.closing(session):
            before = holding(session.pid)
            session.tell("hold")
            seen = list(_until_all_hold(session, directory))
            holders = work_memory.signed(directory, "holding")
            now = holding(session.pid)
            session.is_not_waited_for()
    if holders < work_memory.WORKERS:
        return {**found, "out": f"only {holders} workers hold the data"}
    peak = max(each.total_bytes for each in [*seen, now])
    return {
        **found,
        "before": before._asdict(),
        "held": now._asdict(),
        "held_mb": (now.total_bytes - before.total_bytes) / 1e6,
        "peak_mb": (peak - before.total_bytes) / 1e6,
        "total_mb": now.total_bytes / 1e6,
    }


def _until_all_hold(session: Session, directory: str) -> Iterator[Holding]:
    """Looks again and again. A session that says something now has failed."""
    give_up = time.monotonic() + MOST_SECONDS
    while work_memory.signed(directory, "holding") < work_memory.WORKERS and time.monotonic() < give_up:
        yield holding(session.pid)
        if session.has_answered(LOOK_EVERY_SECONDS):
            return


def flow(name: str) -> dict[str, Any]:
    """What allcores' family holds at every checkpoint of a flow."""
    found: dict[str, Any] = {"flow": name, "checkpoints": {}}
    try:
        with contextlib.closing(Session("flow_station.py", [name], MOST_SECONDS)) as session:
            while (said := session.answer()) != "done":
                now = holding(session.pid)
                found["checkpoints"][said] = {**now._asdict(), "total_mb": now.total_bytes / 1e6}
                session.tell("go on")
    except Silent as silent:
        found["out"] = str(silent)
    return found


def holding_verdicts(held: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Arrays against their size, strings against the best rival."""
    for kind, title in KINDS.items():
        growth = {
            each["holder"]: each["held_mb"] for each in held if each["kind"] == kind and "out" not in each
        }
        ours = growth.pop(OURS.name, None)
        if ours is None:
            continue
        bar, against = ARRAYS_BAR * work_memory.ARRAYS * work_memory.ARRAY_BYTES / 1e6, "its size × 1.3"
        if kind == "strings":
            if not growth:
                continue
            against = min(growth, key=lambda name: growth[name])
            bar = growth[against]
        yield {
            "what": title,
            "found": f"{ours:+.0f} MB",
            "bar": f"{bar:+.0f} MB, {against}",
            "passed": ours <= bar,
        }


def flow_verdict(found: dict[str, Any]) -> dict[str, Any]:
    """The last checkpoint against the first."""
    checkpoints = list(found["checkpoints"].values())
    bar = f"{FLAT_MB:+.0f} MB, {FLAT_DESCRIPTORS:+d} descriptors"
    what = FLOWS[found["flow"]]
    if "out" in found or len(checkpoints) < 2:
        return {"what": what, "found": found.get("out", "it ended early"), "bar": bar, "passed": False}
    grown_mb = checkpoints[-1]["total_mb"] - checkpoints[0]["total_mb"]
    opened = checkpoints[-1]["descriptors"] - checkpoints[0]["descriptors"]
    return {
        "what": what,
        "found": f"{grown_mb:+.1f} MB, {opened:+d} descriptors",
        "bar": bar,
        "passed": grown_mb <= FLAT_MB and opened <= FLAT_DESCRIPTORS,
    }


def verdict_table(verdicts: list[dict[str, Any]]) -> str:
    """In the order in which they come."""
    lines = [
        [each["what"], each["found"], each["bar"], "ok" if each["passed"] else "FAILED"] for each in verdicts
    ]
    return table(["what", "found", "at most", "verdict"], lines)


def holder_table(held: list[dict[str, Any]]) -> str:
    """Everybody who shared data."""
    lines = []
    for each in held:
        if "out" in each:
            lines.append([KINDS[each["kind"]], each["holder"], f"out: {each['out']}"])
            continue
        numbers = [each["held_mb"], each["peak_mb"], each["held"]["unmapped_bytes"] / 1e6, each["total_mb"]]
        lines.append([KINDS[each["kind"]], each["holder"], *(f"{number:.0f}" for number in numbers)])
    head = ["data", "holder", "held", "peak", "of it mapped by nobody", "whole family"]
    return table(head, [[*line, *[""] * (len(head) - len(line))] for line in lines])


def flow_table(flows: list[dict[str, Any]]) -> str:
    """Every checkpoint."""
    lines = [
        [
            FLOWS[each["flow"]],
            number,
            f"{now['total_mb']:.1f}",
            str(now["descriptors"]),
            str(now["processes"]),
        ]
        for each in flows
        for number, now in each["checkpoints"].items()
    ]
    return table(["flow", "after", "MB", "descriptors", "processes"], lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    holders = [holder.name for holder in HOLDERS]
    for option, names in (("--holders", holders), ("--flows", list(FLOWS))):
        parser.add_argument(
            option,
            type=lambda text: [] if text == "none" else [name.strip() for name in text.split(";")],
            default=names,
            help="with semicolons, or none: " + "; ".join(names),
        )
    parser.add_argument("--json", type=Path, nargs="?", const=RESULTS, help="write the data there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
