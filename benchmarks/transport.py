"""How fast do arrays, tables, bytes and lists travel to a worker and back, warm?

    python benchmarks/transport.py                                               every payload, both ways
    python benchmarks/transport.py --payloads array,frame --rounds 5 --json
    python benchmarks/transport.py --movers Pool,"joblib loky" --calls alone     beside the copy and allcores

The receiver touches every page of what it got, and nothing else is computed. Each contestant has two workers in a
process of its own; in each round everybody moves eight payloads, in turn, in an order left to chance. *alone*: one in a
call, with nothing to overlap. *together*: all eight in one call. *copy* is what the machine can do: the same number
of bytes copied from warm memory into warm memory, once. Results of all contestants are compared.

The bars: an array travels at 0.3 × the copy's rate, and at 8 × that of Pool and of joblib; everything else travels
faster than with any rival. A row fails when the 90 % bootstrap bound of its paired ratio misses the bar.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import judge
import machine
from report import table
from session import Session, Silent
from transport_station import COPY, MOVERS, OURS, TRANSFERS

RESULTS = Path(__file__).parent / "results" / "transport.json"
ROUNDS, QUICK_ROUNDS = 15, 5
MOST_SECONDS = 120.0
ALONE, TOGETHER, BOTH = "alone", "together", "both"
TITLES = {
    "array": "array of 16 MB",
    "bytes": "bytes, 16 MB",
    "arrays": "10,000 arrays of 1 KB",
    "frame": "DataFrame of numbers",
    "names": "DataFrame with strings",
    "arrow": "Arrow table",
}
COPY_BAR, ARRAY_BAR, BAR = 0.3, 8.0, 1.0  # our rate over the other's
NEEDS = {"arrow": "pyarrow", "frame": "pandas", "names": "pandas"}
MODULES = {"joblib loky": "joblib", "mpire": "mpire", "dask": "distributed", "ray": "ray"}


class Row(NamedTuple):
    """One payload, one way."""

    kind: str
    direction: str
    together: int

    def title(self) -> str:
        """What the table calls it."""
        return f"{TITLES[self.kind]} {self.direction}, {ALONE if self.together == 1 else TOGETHER}"


def main() -> None:
    """Measures every row, and prints the tables."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    machine.compile_sources()
    description = machine.describe()
    print(machine.in_one_line(description), flush=True)
    results = []
    for row in _rows(options):
        print(f"{row.title()} ...", file=sys.stderr, end="", flush=True)
        results.append(play(row, [COPY.name, OURS.name, *options.movers], options.rounds))
        rates = results[-1]["mb_per_second"].items()
        print("".join(f"  {name} {rate:,.0f}" for name, rate in rates), file=sys.stderr, flush=True)
    print("\nMB/s, medians. [upper]: the 90 % bootstrap bound of the ratio, which must reach the bar.\n")
    print(verdict_table(results))
    print("\nEverybody.\n")
    print(mover_table(results))
    for result in results:
        for name, reason in result["out"].items():
            print(f"out: {name}, {result['title']}: {reason}")
    if options.json:
        data = {"machine": description, "rounds": options.rounds, "rows": results}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(data, indent=1) + "\n")


def play(row: Row, names: list[str], rounds: int) -> dict[str, Any]:
    """All rounds of a row: seconds of everybody, and the verdicts."""
    draw = random.Random(row.title())
    seconds: dict[str, list[float]] = {}
    checksums: dict[str, int] = {}
    out: dict[str, str] = {}
    size_bytes = 0
    with contextlib.ExitStack() as stack:
        sessions = {}
        for name in names:
            try:
                arguments = [name, row.kind, row.direction, str(row.together)]
                sessions[name], said = _opened(stack, arguments)
                size_bytes = int(said.split()[1])
                seconds[name] = []
            except Silent as silent:
                out[name] = str(silent)
        for _ in range(rounds):
            for name in draw.sample(sorted(sessions), len(sessions)):
                try:
                    took, checksum = sessions[name].ask("go").split()
                except Silent as silent:
                    out[name] = str(silent)
                    del sessions[name], seconds[name]
                    continue
                seconds[name].append(float(took))
                checksums[name] = int(checksum)
    for name, checksum in checksums.items():
        if name not in (COPY.name, OURS.name) and checksum != checksums[OURS.name]:
            out[name] = "its results differ"
            seconds.pop(name, None)
    moved_mb = TRANSFERS * size_bytes / 1e6
    return {
        **row._asdict(),
        "title": row.title(),
        "size_bytes": size_bytes,
        "seconds": seconds,
        "mb_per_second": {name: moved_mb / median(each) for name, each in seconds.items()},
        "out": out,
        "verdicts": verdicts(row, seconds),
    }


def _opened(stack: contextlib.ExitStack, arguments: list[str]) -> tuple[Session, str]:
    session = Session("transport_station.py", arguments, MOST_SECONDS)
    stack.callback(session.close)
    return session, session.greeting


def verdicts(row: Row, seconds: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Our rate over everybody's for whom there is a bar."""
    found = []
    for name, theirs in seconds.items():
        bar = bar_against(name, row.kind)
        if bar is None or OURS.name not in seconds:
            continue
        ratios = [own / other for own, other in zip(seconds[OURS.name], theirs, strict=True)]
        upper = 1 / judge.lower_bound(ratios)
        ratio = 1 / median(ratios)
        found.append({"rival": name, "ratio": ratio, "upper": upper, "bar": bar, "passed": upper >= bar})
    return found


def bar_against(name: str, kind: str) -> float | None:
    """How many times the other's rate ours has to be.

    >>> bar_against("Pool", "array"), bar_against("Pool", "frame"), bar_against("copy", "frame")
    (8.0, 1.0, None)
    """
    if name == OURS.name:
        return None
    if name == COPY.name:
        return COPY_BAR if kind == "array" else None
    return ARRAY_BAR if kind == "array" and name in ("Pool", "joblib loky") else BAR


def verdict_table(results: list[dict[str, Any]]) -> str:
    """Every bar, failing ones first; where all rivals have the same bar, the best of them."""
    rows = []
    for result in results:
        rates = result["mb_per_second"]
        if OURS.name not in rates:
            rows.append((False, 0.0, [result["title"], "–", "–", "–", "–", "FAILED: not measured"]))
        hardest: dict[tuple[float, bool], dict[str, Any]] = {}
        for each in result["verdicts"]:
            key = (each["bar"], each["rival"] == COPY.name)
            if key not in hardest or each["ratio"] < hardest[key]["ratio"]:
                hardest[key] = each
        for each in hardest.values():
            rate = f"{each['rival']} {rates[each['rival']]:,.0f}"
            ratio, verdict = (
                f"{each['ratio']:.2f} [{each['upper']:.2f}]",
                "ok" if each["passed"] else "FAILED",
            )
            line = [result["title"], f"{rates[OURS.name]:,.0f}", rate, ratio, f"{each['bar']:g}", verdict]
            rows.append((each["passed"], each["upper"] / each["bar"], line))
    rows.sort(key=lambda row: row[:2])
    return table(
        ["payload", "allcores", "against", "ratio [upper]", "bar", "verdict"], [row[2] for row in rows]
    )


def mover_table(results: list[dict[str, Any]]) -> str:
    """Everybody's rate."""
    names = [mover.name for mover in MOVERS if any(mover.name in each["mb_per_second"] for each in results)]
    lines = []
    for result in results:
        rates = result["mb_per_second"]
        lines.append([result["title"], *(f"{rates[name]:,.0f}" if name in rates else "–" for name in names)])
    return table(["payload", *names], lines)


def _rows(options: argparse.Namespace) -> list[Row]:
    return [
        Row(kind, direction, together)
        for kind in options.payloads
        if _is_there(NEEDS.get(kind, "numpy"))
        for together in (1, TRANSFERS)
        if options.calls in (BOTH, ALONE if together == 1 else TOGETHER)
        for direction in ("in", "out")
    ]


def _is_there(module: str) -> bool:
    return find_spec(module) is not None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    everybody = [
        mover.name for mover in MOVERS[2:] if mover.name not in MODULES or _is_there(MODULES[mover.name])
    ]
    split = {"type": lambda text: text.split(",")}
    parser.add_argument("--payloads", **split, default=list(TITLES), help="with commas: " + ", ".join(TITLES))
    parser.add_argument("--movers", **split, default=everybody, help="with commas: " + ", ".join(everybody))
    parser.add_argument("--calls", choices=(ALONE, TOGETHER, BOTH), default=BOTH)
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="few rounds: a first impression")
    parser.add_argument("--json", type=Path, nargs="?", const=RESULTS, help="write the data there")
    options = parser.parse_args()
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    return options


if __name__ == "__main__":
    main()
