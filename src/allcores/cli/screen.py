"""What a person sees while a command works: a moving line on a terminal that has rich, else plain lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol


class Screen(Protocol):
    """Shows steps as they begin, and what is to stay."""

    def __enter__(self) -> Screen: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def step(self, text: str) -> None:
        """Something begins."""
        ...

    def say(self, text: str) -> None:
        """A line that stays."""
        ...


class PlainScreen:
    """Every step is a line: for files, pipes and logs."""

    def __enter__(self) -> PlainScreen:
        return self

    def __exit__(self, *_: object) -> None: ...

    def step(self, text: str) -> None:
        """A line of its own, at once."""
        print(f"  {text} ...", flush=True)

    def say(self, text: str) -> None:
        """A line."""
        print(text, flush=True)


class RichScreen:
    """The present step is a line that moves."""

    def __init__(self, console: Any) -> None:
        self._console = console
        self._status = console.status("", spinner="dots")

    def __enter__(self) -> RichScreen:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def step(self, text: str) -> None:
        """Replaces the line of the step before."""
        self._status.update(text)

    def say(self, text: str) -> None:
        """A line above the moving one."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def open_screen() -> Screen:
    """The best that the standard output can show."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
        except ImportError:
            pass
        else:
            return RichScreen(Console())
    return PlainScreen()


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of a table: the first ``left`` columns begin, all others end at the same place.

    >>> table(["row", "time"], [["loop", "1.2 s"], ["tiny", "9 ms"]])
    ['row    time', '----  -----', 'loop  1.2 s', 'tiny   9 ms']
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return ["  ".join(_cells(line, widths, left)).rstrip() for line in lines]


def seconds(value: float) -> str:
    """A duration with three digits and the unit that suits it.

    >>> seconds(12.345), seconds(0.0123), seconds(0.0000456)
    ('12.3 s', '12.3 ms', '45.6 µs')
    """
    if value >= 1:
        return f"{value:.3g} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


def size(value_bytes: float) -> str:
    """An amount of memory with the unit that suits it.

    >>> size(512), size(3 * 2**20), size(24.5 * 2**30)
    ('512 B', '3.0 MiB', '24.5 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value_bytes < 1024 or unit == "GiB":
            return f"{value_bytes:.0f} B" if unit == "B" else f"{value_bytes:.1f} {unit}"
        value_bytes /= 1024
    raise AssertionError("the last unit takes every size")


def _cells(line: Sequence[str], widths: Sequence[int], left: int) -> list[str]:
    return [
        cell.ljust(width) if column < left else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
