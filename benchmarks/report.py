"""The tables of regret.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import judge
from contestants import CONTESTANTS, LOOP, OURS

NOTHING_LEFT = 0.001  # of our time, once the imports are subtracted that a rival inherits: that is no ratio


def verdict_table(results: Sequence[dict[str, Any]]) -> str:
    """Every cell against its best rivals, failing ones first, the worst of them on top."""
    rows = []
    for result in results:
        if not result["verdicts"]:
            reason = result["out"].get(OURS.name, "not measured")
            rows.append(
                (float("inf"), True, [result["title"], result["phase"], *["–"] * 6, f"FAILED: {reason}"])
            )
        for verdict in result["verdicts"]:
            rows.append((verdict["lower"] / verdict["bar"], not verdict["passed"], _row(result, verdict)))
    rows.sort(key=lambda row: (not row[1], -row[0]))
    head = [
        "cell",
        "phase",
        "engine",
        "loop",
        "best rival",
        "rival",
        "allcores",
        "ratio [lower] bar",
        "verdict",
    ]
    return table(head, [row for _, _, row in rows])


def _row(result: dict[str, Any], verdict: dict[str, Any]) -> list[str]:
    return [
        result["title"],
        result["phase"],
        result["engine"] or "",
        in_seconds(result["medians"][LOOP.name]),
        verdict["rival"],
        in_seconds(verdict["rival_seconds"]),
        in_seconds(verdict["ours_seconds"]) + ("*" if verdict["subtracted_seconds"] else ""),
        f"{verdict['ratio']:.2f} [{verdict['lower']:.2f}] {verdict['bar']:.2f}",
        "ok" if verdict["passed"] else "FAILED",
    ]


def contestant_table(results: Sequence[dict[str, Any]]) -> str:
    """Every contestant's median on every cell; a dash where it was out."""
    ran = {name for result in results for name in result["seconds"]}
    names = [contestant.name for contestant in CONTESTANTS if contestant.name in ran]
    rows = []
    for result in results:
        medians = [
            in_seconds(result["medians"][name]) + ("!" if name in result["out"] else "")
            if name in result["medians"]
            else "–"
            for name in names
        ]
        rows.append([result["title"], result["phase"], *medians])
    return table(["cell", "phase", *names], rows)


def summary(results: Sequence[dict[str, Any]]) -> str:
    """How many cells fail, and the geometric mean of the ratios to the best rival as it comes."""
    verdicts = [verdict for result in results for verdict in result["verdicts"]]
    failed = sum(not verdict["passed"] for verdict in verdicts)
    failed += sum(not result["verdicts"] for result in results)
    plain = [
        verdict["ratio"]
        for verdict in verdicts
        if verdict["bar"] == judge.DEFAULT_BAR and verdict["ratio"] > NOTHING_LEFT
    ]
    mean = (
        f"; geometric mean against the best at its defaults {judge.geometric_mean(plain):.2f}"
        if plain
        else ""
    )
    return f"{failed} of {len(verdicts)} comparisons fail{mean}"


def in_seconds(seconds: float) -> str:
    """
    >>> in_seconds(0.01234), in_seconds(2.5)
    ('0.0123', '2.50')
    """
    return f"{seconds:.2f}" if seconds >= 1 else f"{seconds:.3f}" if seconds >= 0.1 else f"{seconds:.4f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as they need to be."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
