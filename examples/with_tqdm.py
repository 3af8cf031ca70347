"""tqdm: the bar of its `process_map`, around an executor of ours.

tqdm sends the lock of its bars to every worker, which a lock of `multiprocessing` allows only to its own children.
Workers that draw no bars need no common lock: this one is a new one wherever it arrives.
"""

import io
import threading

from tqdm import tqdm
from tqdm.contrib.concurrent import _executor_map

import allcores as ac


class LockOfEach:
    def __init__(self):
        self.lock = threading.RLock()
        self.acquire, self.release = self.lock.acquire, self.lock.release

    def __reduce__(self):
        return LockOfEach, ()

    def __enter__(self):
        return self.lock.__enter__()

    def __exit__(self, *exception):
        return self.lock.__exit__(*exception)


tqdm.set_lock(LockOfEach())
bar = io.StringIO()
squares = _executor_map(ac.Executor, lambda x: x * x, range(50), max_workers=2, tqdm_class=tqdm, file=bar)
print(sum(squares), "50/50" in bar.getvalue())

# prints:
# 40425 True
