"""Draws what the simulations at scale gave: ``python tools/draw_scale.py``, after ``benchmarks/scale.py --json``.

Writes docs/scale.svg (curves over the number of workers) and puts a table of the same figures between the marks in
docs/scale.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
PANEL_WIDTH, GAP, TOP, HEIGHT, LEFT = 200, 44, 54, 190, 44
LOWEST, HIGHEST = 0.95, 1.10  # of the ratios
MOST_WORKERS, MOST_MICROSECONDS = 10_000, 40
COLOURS = ("#2f7d5b", "#b03a2e", "#3b6ea5", "#c98a1b", "#7d5ba6")


def main() -> None:
    """From the data to the picture and the table."""
    data = json.loads((ROOT / "benchmarks" / "results" / "scale.json").read_text(encoding="utf-8"))
    (ROOT / "docs" / "scale.svg").write_text("\n".join(svg(data)) + "\n", encoding="utf-8")
    page = ROOT / "docs" / "scale.md"
    block = "\n".join(markdown(data))
    marked = re.compile(r"(<!-- scale:start[^>]*-->\n).*?(<!-- scale:end -->)", re.DOTALL)
    text = marked.sub(lambda found: f"{found[1]}{block}\n{found[2]}", page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


def svg(data: dict[str, Any]) -> Iterator[str]:
    """Three panels of ratios, the worst seed of each, and one of the time of an event."""
    width, height = LEFT + 4 * PANEL_WIDTH + 3 * GAP + 20, TOP + HEIGHT + 74
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
    )
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    shapes = list(dict.fromkeys(case["shape"] for case in data["cases"]))
    for number, shape in enumerate(shapes):
        x, y = LEFT + 130 * number, TOP + HEIGHT + 58
        yield f'<rect x="{x}" y="{y - 9}" width="16" height="4" fill="{COLOURS[number]}"/>'
        yield f'<text x="{x + 22}" y="{y}" fill="#333333">{shape}</text>'
    panels = (
        ("items of 1 ms, median", "ratios", lambda case: case["mean_seconds"] < 0.01),
        ("items of 0.1 and 1 s, worst", "ratios", lambda case: case["mean_seconds"] > 0.01),
        ("told costs, worst", "ratios_told", lambda case: True),
    )
    for number, (title, name, belongs) in enumerate(panels):
        yield from _ratios(data, shapes, number, title, name, belongs)
    yield from _events(data, 3)
    yield "</svg>"


def _ratios(
    data: dict[str, Any],
    shapes: list[str],
    number: int,
    title: str,
    name: str,
    belongs: Callable[[dict[str, Any]], bool],
) -> Iterator[str]:
    left = LEFT + number * (PANEL_WIDTH + GAP)
    yield from _frame(left, title, [(ratio, f"{ratio:.2f}") for ratio in (0.95, 1.0, 1.05, 1.1)], _ratio_y)
    bar = _ratio_y(data["bar"])
    yield f'<path d="M{left} {bar:.1f} h{PANEL_WIDTH}" stroke="#b03a2e" stroke-dasharray="4 3"/>'
    middle = median if "median" in title else max
    for shape, colour in zip(shapes, COLOURS, strict=False):
        points: dict[int, float] = {}
        for case in data["cases"]:
            if case["shape"] == shape and belongs(case):
                workers = case["workers"]
                points[workers] = max(points.get(workers, 0.0), middle(case[name]))
        yield _curve([(_workers_x(left, n), _ratio_y(ratio)) for n, ratio in sorted(points.items())], colour)


def _events(data: dict[str, Any], number: int) -> Iterator[str]:
    left = LEFT + number * (PANEL_WIDTH + GAP)
    ticks = [(float(n), str(n)) for n in (0, 10, 20, 30, 40)]
    yield from _frame(left, "µs an event", ticks, _event_y)
    points = [
        (_workers_x(left, timed["workers"]), _event_y(1e6 * timed["event_seconds"]))
        for timed in data["timed"]
    ]
    yield _curve(points, "#333333")


def _frame(
    left: int, title: str, ticks: list[tuple[float, str]], height_of: Callable[[float], float]
) -> Iterator[str]:
    yield f'<text x="{left}" y="{TOP - 18}" fill="#333333" font-weight="bold">{title}</text>'
    for value, words in ticks:
        y = height_of(value)
        yield f'<path d="M{left} {y:.1f} h{PANEL_WIDTH}" stroke="#d8dee6"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#333333">{words}</text>'
    for workers in (2, 16, 256, 10_000):
        x = _workers_x(left, workers)
        yield f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle" fill="#333333">{workers:,}</text>'
    yield f'<text x="{left}" y="{TOP + HEIGHT + 34}" fill="#777777">workers</text>'


def _curve(points: list[tuple[float, float]], colour: str) -> str:
    path = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _workers_x(left: int, workers: int) -> float:
    return left + PANEL_WIDTH * math.log(workers / 2) / math.log(MOST_WORKERS / 2)


def _ratio_y(ratio: float) -> float:
    return TOP + HEIGHT * (HIGHEST - min(ratio, HIGHEST)) / (HIGHEST - LOWEST)


def _event_y(microseconds: float) -> float:
    return TOP + HEIGHT * (1 - microseconds / MOST_MICROSECONDS)


def markdown(data: dict[str, Any]) -> Iterator[str]:
    """Median and worst of the seeds."""
    machine = data["machine"]
    yield "| workers | items | an item | shape | makespan / greedy | with dispatch | told costs / best | over 1.05 |"
    yield "| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |"
    for case in data["cases"]:
        over = sum(ratio > data["bar"] for ratio in case["ratios"])
        yield (
            f"| {case['workers']:,} | {case['items']:,} | {1000 * case['mean_seconds']:g} ms | {case['shape']} | "
            f"{_both(case['ratios'])} | {_both(case['ratios_beyond_dispatch'])} | {_both(case['ratios_told'])} | "
            f"{over} of {len(case['ratios'])} |"
        )
    yield ""
    times = ", ".join(f"{each['workers']:,}: {1e6 * each['event_seconds']:.1f} µs" for each in data["timed"])
    on = f"Python {machine['python']}, {machine['processor']}"
    yield f"An event in the scheduler, by the number of workers: {times} ({on})."


def _both(ratios: list[float]) -> str:
    if not ratios:
        return "–"
    return f"{median(ratios):.3f}" + (f", {max(ratios):.3f}" if len(ratios) > 1 else "")


if __name__ == "__main__":
    main()
