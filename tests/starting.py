"""Which way worker processes start: what the suites of several folders are run on."""

import contextlib
import os
import sys
from collections.abc import Iterator

import pytest

import allcores as ac

STARTS = ("forks", "portable")


@contextlib.contextmanager
def workers_start_by(start: str | None) -> Iterator[None]:
    """While the block lasts; no warm worker of another start is reused in it, and none of it behind it."""
    if start == "forks" and not sys.platform.startswith("linux"):
        pytest.skip("forks are for Linux")
    before = os.environ.pop("ALLCORES_START", None)
    ac.shutdown()
    if start == "portable":
        os.environ["ALLCORES_START"] = start
    try:
        yield
    finally:
        ac.shutdown()
        os.environ.pop("ALLCORES_START", None)
        if before is not None:
            os.environ["ALLCORES_START"] = before
