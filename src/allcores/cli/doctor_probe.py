"""What the parts of allcores cost here, measured in a fresh interpreter: ``python -m allcores.cli.doctor_probe``.

Only the public API is used, so the figures are those that a user gets. They are printed as one line of JSON.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

MEBIBYTE = 1 << 20
PAYLOAD_BYTES = 16 * MEBIBYTE
PAYLOADS = 6
ROUND_TRIPS = 2_000


def main() -> None:
    """Measures and prints."""
    print(json.dumps({**costs(), "blas": blas_libraries()}), flush=True)


def costs() -> dict[str, float]:
    """Start, dispatch and transport, in that order: the first one must find everything cold."""
    import allcores as ac

    cores = ac.cpu_count()

    def processes(function: Callable[[Any], Any], items: list[Any], n_jobs: int) -> float:
        began = time.perf_counter()
        ac.map(function, items, engine="processes", n_jobs=n_jobs, chunksize=1)
        return time.perf_counter() - began

    start_seconds = processes(itself, list(range(cores)), cores)
    next_function_seconds = processes(negative, list(range(cores)), cores)
    processes(itself, [0], 1)
    dispatch_seconds = processes(itself, list(range(ROUND_TRIPS)), 1) / ROUND_TRIPS
    payloads = [os.urandom(PAYLOAD_BYTES) for _ in range(PAYLOADS)]
    processes(len, payloads[:1], 1)
    in_seconds = processes(len, payloads, 1) / PAYLOADS
    processes(bytes, [PAYLOAD_BYTES], 1)
    out_seconds = processes(bytes, [PAYLOAD_BYTES] * PAYLOADS, 1) / PAYLOADS
    return {
        "start_seconds": start_seconds,
        "next_function_seconds": next_function_seconds,
        "dispatch_seconds": dispatch_seconds,
        "in_bytes_per_second": PAYLOAD_BYTES / in_seconds,
        "out_bytes_per_second": PAYLOAD_BYTES / out_seconds,
    }


def blas_libraries() -> list[dict[str, Any]]:
    """Libraries with threads of their own that NumPy and SciPy bring along; none where they are not installed."""
    from importlib.util import find_spec

    from threadpoolctl import threadpool_info

    for package in ("numpy", "scipy.linalg"):
        if find_spec(package.partition(".")[0]) is not None:
            __import__(package)
    wanted = ("internal_api", "version", "num_threads", "architecture", "threading_layer")
    return [{name: found.get(name) for name in wanted} for found in threadpool_info()]


def itself(item: Any) -> Any:
    """As little as a task can do."""
    return item


def negative(item: int) -> int:
    """As little, under another name."""
    return -item


if __name__ == "__main__":
    main()
