"""Futures: calls of different functions, taken as they end; one that kills its worker costs only itself."""

import os
from concurrent.futures import as_completed

import allcores as ac

with ac.Executor(max_workers=2) as executor:
    names = {
        executor.submit(sum, range(1_000_000)): "a sum",
        executor.submit(lambda: sorted("executor")): "a lambda",
        executor.submit(os.kill, 0, "no number"): "an error",
        executor.submit(lambda: os._exit(1)): "a worker that dies",
    }
    ends = {names[future]: type(future.exception()).__name__ for future in as_completed(names)}
for name in names.values():
    print(f"{name}: {ends[name]}")

# prints:
# a sum: NoneType
# a lambda: NoneType
# an error: TypeError
# a worker that dies: WorkerLost
