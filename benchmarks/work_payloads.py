"""What transport.py moves: how it is made, and how its receiver touches every page of it, and little else."""

from __future__ import annotations

import functools
from typing import Any

PAYLOAD_BYTES = 16_000_000
PAGE_BYTES = 4096
LIST_ARRAYS, LIST_ARRAY_BYTES = 10_000, 1000
FRAME_COLUMNS = 8
NAMES = 500_000


def array(seed: int) -> Any:
    """One array of numbers."""
    import numpy as np

    return np.random.default_rng(seed).random(PAYLOAD_BYTES // 8)


def many_arrays(seed: int) -> Any:
    """A list of many small arrays."""
    import numpy as np

    draw = np.random.default_rng(seed)
    return [draw.random(LIST_ARRAY_BYTES // 8) for _ in range(LIST_ARRAYS)]


def some_bytes(seed: int) -> Any:
    """One piece of bytes."""
    return array(seed).tobytes()


def frame(seed: int) -> Any:
    """A DataFrame of floats, integers and times."""
    import numpy as np
    import pandas as pd

    rows = PAYLOAD_BYTES // 8 // FRAME_COLUMNS
    draw = np.random.default_rng(seed)
    columns: dict[str, Any] = {f"x{number}": draw.random(rows) for number in range(FRAME_COLUMNS - 2)}
    columns["id"] = draw.integers(0, 1 << 40, rows)
    columns["at"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(columns["id"] % (1 << 20), unit="s")
    return pd.DataFrame(columns)


def frame_of_names(seed: int) -> Any:
    """A DataFrame with a column of strings beside one of floats."""
    import pandas as pd

    names = [f"name {(seed + number * 7919) % 100_003}" for number in range(NAMES)]
    return pd.DataFrame({"name": names, "x": array(seed)[:NAMES]})


def arrow_table(seed: int) -> Any:
    """An Arrow table of floats, and of strings for a quarter of the bytes."""
    import pyarrow as pa

    rows = PAYLOAD_BYTES // 8 // FRAME_COLUMNS
    draw = array(seed).reshape(FRAME_COLUMNS, -1)
    columns = {f"x{number}": draw[number] for number in range(FRAME_COLUMNS - 2)}
    return pa.table({**columns, "name": [f"name {number:07d}" for number in range(rows)]})


MAKERS = {
    "array": array,
    "bytes": some_bytes,
    "arrays": many_arrays,
    "frame": frame,
    "names": frame_of_names,
    "arrow": arrow_table,
}


@functools.cache
def kept(kind: str, seed: int) -> Any:
    """A payload that lies in warm memory."""
    return MAKERS[kind](seed)


def fresh(kind: str, seed: int) -> Any:
    """The same bytes as another object, at no cost: who recognises an object that it has sent must send it again."""
    payload = kept(kind, seed)
    if kind == "array":
        return payload[:]
    if kind == "arrays":
        return list(payload)
    if kind in ("frame", "names"):
        return payload.copy(deep=False)
    return payload.slice(0) if kind == "arrow" else payload


def touch(payload: Any) -> int:
    """Reads something on every page; returns what it read, summed."""
    if isinstance(payload, bytes):
        return sum(payload[::PAGE_BYTES])
    if isinstance(payload, list):
        return sum(_touch_values(each[:1]) for each in payload[:: PAGE_BYTES // LIST_ARRAY_BYTES])
    if hasattr(payload, "itercolumns"):
        return sum(sum(memoryview(buffer).cast("B")[::PAGE_BYTES].tolist()) for buffer in _buffers(payload))
    if hasattr(payload, "columns"):
        return sum(_touch_values(payload[name].to_numpy()) for name in payload.columns)
    return _touch_values(payload)


def _buffers(table: Any) -> list[Any]:
    chunks = [chunk for column in table.itercolumns() for chunk in column.chunks]
    return [buffer for chunk in chunks for buffer in chunk.buffers() if buffer is not None]


def _touch_values(values: Any) -> int:
    some = values[:: PAGE_BYTES // values.itemsize]
    return sum(map(len, some)) if values.dtype == object else int(some.view("i8").sum())


def receive(payload: Any) -> int:
    """What a worker does with what came in."""
    return touch(payload)


def send(order: tuple[str, int]) -> Any:
    """What a worker sends out: nothing is made once it is warm."""
    return fresh(*order)
