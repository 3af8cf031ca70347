"""The books of a thread: what it computed, what was computed for it, and what only happened beside it."""

import os
import subprocess
import sys
import threading
import time

import pytest

from allcores.runtime import processor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell of single threads")

COMPUTED_SECONDS = 0.2  # of processor time, however long that takes


# In an interpreter where no library's threads, which compute for a while after their work, stand beside it.
BESIDE = f"""
import threading, time
from allcores.runtime.processor import Books

def compute():
    while time.thread_time() < {COMPUTED_SECONDS}:
        pass
    print(time.thread_time())

books = Books()
books.begin()
thread = threading.Thread(target=compute)
thread.start()
while time.thread_time() < {COMPUTED_SECONDS}:
    pass
print(books.away().helped_seconds)
thread.join()
"""


def test_what_a_librarys_threads_compute_counts_as_help():
    numpy = pytest.importorskip("numpy")
    limits = pytest.importorskip("threadpoolctl")
    matrix = numpy.ones((700, 700))
    books = processor.Books()
    with limits.threadpool_limits(2, user_api="blas"):
        matrix @ matrix  # starts them
        books.begin()
        before, end = time.process_time(), time.process_time() + 4 * COMPUTED_SECONDS
        own = time.thread_time()
        while time.process_time() < end:
            matrix @ matrix
        helped = books.away().helped_seconds
        everything, own = time.process_time() - before, time.thread_time() - own
    if everything - own < COMPUTED_SECONDS:
        pytest.skip("BLAS has one thread here")
    assert helped == pytest.approx(everything - own, abs=0.1)


def test_what_another_thread_of_python_computes_is_no_help():
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, check=True)
    beside, helped = sorted(map(float, done.stdout.split()), reverse=True)
    assert beside >= COMPUTED_SECONDS
    assert helped < beside / 4


def test_what_is_no_thread_of_this_process_any_more_has_no_clock():
    assert processor._thread_seconds(os.getppid()) == 0.0


def test_the_clock_of_a_thread_tells_what_it_computed():
    assert processor._thread_seconds(threading.get_native_id()) == pytest.approx(time.thread_time(), abs=0.01)


def test_what_was_looked_at_anew_is_not_counted_again():
    books = processor.Books()
    books.begin()
    books.away(anew=True)
    began = books._began
    books.begin(every_seconds=3600.0)
    assert books._began is began
