"""The examples are whole programs: each runs, prints what its last comment says, and leaves nothing behind."""

import ast
import functools
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

import allcores as ac
from faults.witness import wait_for

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
PRINTS = "# prints:\n"


def libraries(path):
    """The packages that an example imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]


def expected(path):
    _, _, printed = path.read_text(encoding="utf-8").partition(PRINTS)
    return "".join(line.removeprefix("# ") for line in printed.splitlines(keepends=True))


def of_session(session):
    found = []
    for each in psutil.process_iter():
        try:
            if os.getsid(each.pid) == session and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
        except (OSError, psutil.Error):
            pass
    return found


@pytest.mark.parametrize("start", ["forks", "portable"])
@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_prints_what_it_says(path, start, tmp_path):
    missing = [name for name in libraries(path) if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    environ = {name: value for name, value in os.environ.items() if name != "ALLCORES_START"}
    if start == "portable":
        environ["ALLCORES_START"] = start
    program = subprocess.Popen(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    out, err = program.communicate(timeout=50)
    assert (program.returncode, out, err) == (0, expected(path), "")
    assert wait_for(lambda: not of_session(program.pid)), "processes stay"


@pytest.mark.parametrize("engine", ["auto", "processes"])
def test_map_may_be_called_thousands_of_times_by_a_library(engine):
    """As optimizers and samplers do: each time with a wrapper object and a few items, and all in one loop."""
    calls = {"auto": 3000, "processes": 300}[engine]
    wrapper = functools.partial(scaled, factor=2)
    workers = functools.partial(ac.map, engine=engine, n_jobs=2 if engine == "processes" else None)
    workers(wrapper, range(4))
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(calls):
        assert workers(wrapper, iter(range(4))) == [0, 2, 4, 6]
    assert wait_for(lambda: (len(os.listdir("/proc/self/fd")), threading.active_count()) <= before)
    ac.shutdown()


def scaled(x, factor):
    return x * factor


def test_there_are_examples():
    assert len(EXAMPLES) >= 9
    assert all(expected(path) for path in EXAMPLES)
