"""The demo's findings as text: one table, and under it why each row ran as it did."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from allcores.cli.screen import seconds, size, table
from allcores.runtime.machine import MachineFacts

HEADER = ("job", "serial", "cold", "warm", "gain cold", "warm", "possible", "engine", "same answer")

LEGEND = """\
serial: the plain loop. cold: the first call with allcores in a fresh process, everything that it starts included; warm:
the next call. A cold call is compared with the loop's own first run in a fresh process. Medians; serial and parallel
rounds take turns. possible: this machine's capacity, measured with the same loop in static processes at once, as far
as whole items can fill it; for items that wait, 64 at once.
BLAS computes with one thread in all of them; where the loop is faster with all threads, that is the serial time."""


def opening(facts: MachineFacts) -> str:
    """What the demo is about to run on."""
    cores = "1 core" if facts.cores == 1 else f"{facts.cores} cores"
    return (
        f"allcores demo: {cores}, {size(facts.available_bytes)} of memory free, start by {facts.start_method}"
    )


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The table, the reasons, and whatever went wrong."""
    rows: list[dict[str, Any]] = report["rows"]
    measured = [row for row in rows if "engine" in row]
    yield ""
    if report["quick"]:
        yield "Quick: the inputs are smaller than the names say, and too small for most of the gains."
        yield ""
    if measured:
        yield from table(HEADER, [_cells(row) for row in measured])
        yield ""
        yield LEGEND
        yield ""
    for row in measured:
        yield from _why(row)
    for row in rows:
        yield from _trouble(row)
    yield f"\nmeasured in {seconds(report['seconds'])}"


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["title"],
        seconds(row["serial_seconds"]),
        seconds(row["cold_seconds"]),
        seconds(row["warm_seconds"]),
        f"{row['cold_gain']:.2f} ×",
        f"{row['warm_gain']:.2f} ×",
        f"{row['best_gain']:.2f} ×",
        row["engine"] if row["engine"] == "inline" else f"{row['engine']} ({row['n_jobs']})",
        "yes" if row["same_answer"] else "NO",
    ]


def _why(row: dict[str, Any]) -> Iterator[str]:
    reasons = "; ".join(row["reasons"]) or "no reason given"
    yield from textwrap.wrap(f"{row['name']}: {reasons}", width=110, subsequent_indent="    ")


def _trouble(row: dict[str, Any]) -> Iterator[str]:
    if "skipped" in row:
        yield f"{row['name']}: skipped, {row['skipped']}"
        return
    if "error" in row:
        yield f"{row['name']}: FAILED, {row['error']}"
        return
    if not row["same_answer"]:
        yield f"{row['name']}: the answer DIFFERS from the loop's: please report this"
    for name in row["slower"]:
        yield f"{row['name']}: slower than the loop when {name}"
    if not row["as_expected"]:
        yield f"{row['name']}: was expected to stay inline"
    complaints = [line for sample in row["samples"] for line in sample["stderr"].splitlines()]
    if complaints:
        yield f"{row['name']}: {len(complaints)} lines on standard error, the last one: {complaints[-1]}"
