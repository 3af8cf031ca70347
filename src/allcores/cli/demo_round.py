"""One round of a row, in a fresh interpreter: ``python -m allcores.cli.demo_round HOME ROW PART [--quick]``.

``HOME`` is a folder with a copy of ``demo_rows.py``, which is imported from there. The parts:

- ``round``: the row with allcores for the first time in this process (cold), as a loop, and with allcores again
  (warm); the answers are compared.
- ``first``: the loop for the first time in this process, with all that it imports and touches (a cold loop).
- ``plan``: a round, and after it the row with allcores once more, and which plan was carried out: who listens changes
  the time.
- ``serial``: the loop alone.
- ``static``: the loop once more, item by item, begun at a sign on standard input: as many of these processes as
  there are cores, at once, show what this machine can do at best.

What was found is printed as one line of JSON.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from allcores.processes import presence

if TYPE_CHECKING:
    from allcores.cli.demo_rows import Case

# A clock reading for each item would itself be felt below this cost.
MOST_TIMED_ITEMS = 10_000


def main(home: str, name: str, part: str, *flags: str) -> None:
    """Prepares the row, runs the part and prints its findings."""
    sys.path.insert(0, home)
    rows = importlib.import_module("demo_rows").ROWS
    row = next(row for row in rows if row.name == name)
    with row.prepare("--quick" in flags) as case:
        print(json.dumps(PARTS[part](case)), flush=True)


def compare(case: Case) -> dict[str, Any]:
    """Cold, serial, warm, and whether the answers are the same."""
    cold_seconds, cold = timed(case.parallel)
    while (
        presence.is_starting()
    ):  # what a call begins for the next one would slow the loop, and flatter the comparison
        time.sleep(0.01)
    serial_seconds, serial = timed(case.serial)
    cold_is_same = same(cold, serial)
    del cold
    warm_seconds, warm = timed(case.parallel)
    return {
        "items": len(case.items),
        "cold_seconds": cold_seconds,
        "serial_seconds": serial_seconds,
        "warm_seconds": warm_seconds,
        "same_answer": cold_is_same and same(warm, serial),
    }


def compare_and_tell(case: Case) -> dict[str, Any]:
    """A round, and the plan of one more call."""
    return {**compare(case), "plan": plan(case)}


def plan(case: Case) -> dict[str, Any]:
    """The plan that a call carries out, as the logger of allcores tells it; if it moves nothing, what explain says."""
    import logging

    import allcores as ac

    told: list[Any] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.extend(each for each in record.args or () if isinstance(each, ac.Plan))

    logger = logging.getLogger("allcores")
    logger.addHandler(Listener())
    logger.setLevel(logging.DEBUG)
    case.parallel()
    if told:
        return {"engine": told[-1].engine, "n_jobs": told[-1].n_jobs, "reasons": told[-1].reasons}
    return {"engine": "inline", "n_jobs": 1, "reasons": ac.explain(case.function, case.arguments()).reasons}


def first(case: Case) -> dict[str, Any]:
    """The loop for the first time in this process: what a cold call is compared with."""
    return {"first_serial_seconds": timed(case.serial)[0]}


def serial(case: Case) -> dict[str, Any]:
    """The loop alone, once everything that it needs has been loaded."""
    case.serial()
    return {"serial_seconds": timed(case.serial)[0]}


def static(case: Case) -> dict[str, Any]:
    """The loop beside others, and how long each item takes."""
    print("ready", flush=True)
    sys.stdin.readline()
    arguments = case.arguments()
    if len(arguments) > MOST_TIMED_ITEMS:
        return {"static_seconds": timed(case.serial)[0], "item_seconds": None}
    item_seconds = [timed_item(case.function, argument) for argument in arguments]
    return {"static_seconds": sum(item_seconds), "item_seconds": item_seconds}


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time and answer; garbage of what ran before is not on the bill."""
    gc.collect()
    began = time.perf_counter()
    answer = run()
    return time.perf_counter() - began, answer


def timed_item(function: Callable[[Any], Any], item: Any) -> float:
    """Wall time of one item."""
    began = time.perf_counter()
    function(item)
    return time.perf_counter() - began


def same(answer: Any, expected: Any) -> bool:
    """Equal, and of equal type: to the last bit, since every answer is made of numbers and text."""
    return type(answer) is type(expected) and bool(answer == expected)


PARTS: dict[str, Callable[[Case], dict[str, Any]]] = {
    "round": compare,
    "first": first,
    "plan": compare_and_tell,
    "serial": serial,
    "static": static,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
