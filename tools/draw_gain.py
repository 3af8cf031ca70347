"""Draws what the demo measured: ``python tools/draw_gain.py demo.json``, from ``allcores demo --json demo.json``.

Writes docs/gain.svg (bars: serial time, and with allcores cold and warm) and puts it, with a table of the same figures,
between the marks in README.md.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from allcores.cli.screen import seconds

ROOT = Path(__file__).parent.parent
WIDTH, LABEL_WIDTH, BAR_WIDTH, ROW_HEIGHT, TOP = 760, 300, 330, 34, 46
COLOURS = {"possible": "#d8dee6", "warm": "#2f7d5b", "cold": "#8fc3ab"}


def main(json_path: str) -> None:
    """From a report to the picture and the text around it."""
    report = json.loads(Path(json_path).read_text(encoding="utf-8"))
    rows = [row for row in report["rows"] if "engine" in row]
    (ROOT / "docs" / "gain.svg").write_text("\n".join(svg(rows)) + "\n", encoding="utf-8")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    block = "\n".join(markdown(report, rows))
    marked = re.compile(r"(<!-- gain:start[^>]*-->\n).*?(<!-- gain:end -->)", re.DOTALL)
    readme.write_text(marked.sub(lambda found: f"{found[1]}{block}\n{found[2]}", text), encoding="utf-8")


def svg(rows: list[dict[str, Any]]) -> Iterator[str]:
    """How many times as fast as the loop each row is, on a scale of what is possible for it."""
    height = TOP + ROW_HEIGHT * len(rows) + 12
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">'
    )
    yield f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    x = LABEL_WIDTH
    for name, words in (("warm", "warm"), ("cold", "cold start"), ("possible", "possible here")):
        yield f'<rect x="{x}" y="14" width="12" height="12" fill="{COLOURS[name]}"/>'
        yield f'<text x="{x + 18}" y="25" fill="#333333">{words}</text>'
        x += 120
    yield f'<rect x="{x}" y="12" width="1.5" height="16" fill="#b03a2e"/>'
    yield f'<text x="{x + 10}" y="25" fill="#333333">the loop</text>'
    for number, row in enumerate(rows):
        yield from _bars(row, TOP + ROW_HEIGHT * number)
    yield "</svg>"


def _bars(row: dict[str, Any], y: int) -> Iterator[str]:
    """Each row has a scale of its own: its full width is the best possible gain."""
    scale = BAR_WIDTH / max(row["best_gain"], row["warm_gain"], row["cold_gain"])
    yield f'<text x="{LABEL_WIDTH - 10}" y="{y + 18}" text-anchor="end" fill="#333333">{escape(row["title"])}</text>'
    for name, top, thick in (("best_gain", 4, 20), ("warm_gain", 4, 12), ("cold_gain", 16, 8)):
        colour = COLOURS["possible" if name == "best_gain" else name.removesuffix("_gain")]
        width = f"{row[name] * scale:.1f}"
        yield f'<rect x="{LABEL_WIDTH}" y="{y + top}" width="{width}" height="{thick}" fill="{colour}"/>'
    x = LABEL_WIDTH + scale  # as fast as the loop
    yield f'<rect x="{x:.1f}" y="{y + 2}" width="1.5" height="24" fill="#b03a2e"/>'
    gain = f"{row['warm_gain']:.1f} × of {row['best_gain']:.1f} ×"
    yield f'<text x="{LABEL_WIDTH + BAR_WIDTH + 10}" y="{y + 18}" fill="#333333">{gain}</text>'


def markdown(report: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[str]:
    """The picture and its figures."""
    cores = report["machine"]["cores"]
    yield f"![How many times as fast as the loop, on {cores} cores](docs/gain.svg)"
    yield ""
    yield f"On {cores} cores, Python {report['python']}, medians; *possible*: what this machine can do at best."
    yield ""
    yield "| job | items | loop | cold | warm | gain | possible | engine |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for row in rows:
        times = " | ".join(seconds(row[name]) for name in ("serial_seconds", "cold_seconds", "warm_seconds"))
        yield (
            f"| {row['title']} | {row['items']:,} | {times} | {row['warm_gain']:.2f} × | {row['best_gain']:.2f} × "
            f"| {row['engine']} |"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
