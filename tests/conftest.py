"""What holds for all tests."""

import os
import signal
import sys
import types

import pytest

# The tests are the caller, wherever they run: a worker of pytest-xdist would count as one core.
os.environ.pop("PYTEST_XDIST_WORKER", None)

# Where this run was started in the background, Ctrl-C is ignored here and, inherited, in every program of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def main(monkeypatch):
    """A ``__main__`` of its own."""
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)

    def define(source):
        exec(source, module.__dict__)
        return module

    return define
