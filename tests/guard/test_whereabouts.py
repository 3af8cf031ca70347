"""Where a function may run: what threads share, and what differs in another interpreter."""

import contextlib
import functools
import http.client
import importlib
import io
import itertools
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import unittest.mock
import warnings
from os import environ
from sys import stderr

import numpy as np
import numpy.random  # which NumPy loads when it is first asked for, and the guard runs no code
import pytest

from allcores.guard import other_interpreter, process_wide
from allcores.guard.verdict import verdict
from allcores.tasks.task import Task

MISSING = object()
CLASS = type("Plain", (), {})
LOCAL = threading.local()
connection = sqlite3.connect(":memory:")
client = http.client.HTTPConnection("nowhere.invalid")
program = None
reader = io.StringIO("a\nb\n")
numbers = (n for n in range(10))
counter = itertools.count()


def look(function, sample=3, kind="map"):
    return verdict(Task(((kind, function),)), sample)


def in_the_directory(directory):
    before = os.getcwd()
    os.chdir(directory)
    try:
        return os.listdir(".")
    finally:
        os.chdir(before)


def without_warnings(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x


def with_output(x):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        print(x)
    return output.getvalue()


def patched(x):
    with unittest.mock.patch.object(os, "getpid", return_value=x):
        return os.getpid()


def patched_by_name(x):
    with unittest.mock.patch("os.getpid"):
        return os.getpid()


@unittest.mock.patch("os.getpid")
def decorated(x, getpid):
    return getpid()


def in_the_environment(x):
    os.environ["ALLCORES_TEST"] = str(x)
    return os.getenv("ALLCORES_TEST")


def in_the_environment_by_name(x):
    environ.update(ALLCORES_TEST=str(x))


def with_stdout_put_aside(x):
    sys.stdout, before = io.StringIO(), sys.stdout
    print(x)
    sys.stdout = before


def on_the_path(x):
    sys.path.append(str(x))


def deep(x):
    return deeper(x)


def deeper(x):
    return in_the_directory(x)


def insert(x):
    return connection.execute("select ?", (x,)).fetchall()


class Store:
    def __init__(self):
        self.connection = connection

    def insert(self, x):
        return self.connection.execute("select ?", (x,)).fetchall()


STORE = Store()


def through_a_global_store(x):
    return STORE.insert(x)


def handed_on(x):
    return json.load(reader)


def ask(x):
    client.request("GET", f"/{x}")
    return client.getresponse().read()


def captured_process():
    process = subprocess.Popen.__new__(subprocess.Popen)
    process.returncode = 0
    return lambda x: process.communicate(x)


@contextlib.contextmanager
def inside(directory):
    before = os.getcwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def in_a_manager_of_the_users(x):
    with inside(x):
        return os.listdir(".")


def imported_here(x):
    import os.path
    from contextlib import redirect_stderr as aside

    with aside(None):
        return os.path.join("a", x)


def seeded(x):
    random.seed(x)
    return random.random()


NOT_IN_THREADS = {
    "chdir": (in_the_directory, "os.chdir sets the working directory"),
    "umask": (lambda x: os.umask(x), "the mask of new files"),
    "chdir in a partial": (functools.partial(os.chdir), "the working directory"),
    "file in a partial": (functools.partial(json.load, reader), "is a io.StringIO"),
    "chdir itself": (os.chdir, "the working directory"),
    "catch_warnings": (without_warnings, "warnings.catch_warnings sets the warnings filters"),
    "redirect_stdout": (with_output, "sys.stdout"),
    "patch.object": (patched, "what it patches"),
    "patch": (patched_by_name, "what it patches"),
    "decorated with patch": (decorated, "what it patches"),
    "environment": (in_the_environment, "it writes to os.environ"),
    "environment by name": (in_the_environment_by_name, "it writes to environ"),
    "sys.stdout": (with_stdout_put_aside, "it writes to sys.stdout"),
    "sys.path": (on_the_path, "it writes to sys.path"),
    "signal": (lambda x: signal.signal(signal.SIGALRM, signal.SIG_DFL), "the signals"),
    "default timeout": (lambda x: socket.setdefaulttimeout(x), "timeout of sockets"),
    "seed": (seeded, "the generator that all draw from"),
    "seed of numpy": (lambda x: np.random.seed(x), "the generator that all draw from"),
    "far away": (deep, "the working directory"),
    "connection": (insert, "'connection' is a sqlite3.Connection, which one thread at a time may use"),
    "connection of self": (STORE.insert, "'self.connection' is a sqlite3.Connection"),
    "connection of a global": (through_a_global_store, "is a sqlite3.Connection"),
    "connection in a partial": (
        functools.partial(lambda c, x: c.execute(x), connection),
        "sqlite3.Connection",
    ),
    "method of a connection": (connection.execute, "sqlite3.Connection"),
    "file handed on": (handed_on, "'reader' is a io.StringIO"),
    "client": (ask, "'client' is a http.client.HTTPConnection"),
    "process": (captured_process(), "'process' is a subprocess.Popen"),
    "manager of the user's": (in_a_manager_of_the_users, "the working directory"),
    "imported in the function": (imported_here, "contextlib.redirect_stderr sets sys.stderr"),
    "generator": (lambda x: next(numbers), "'numbers' is a builtins.generator"),
}


def read_a_file(path):
    with open(path) as file:
        return file.read()


def own_connection(x):
    connection = sqlite3.connect(":memory:")
    return connection.execute("select ?", (x,)).fetchall()


def to_standard_error(x):
    print(x, file=stderr)
    sys.stderr.write("")


def thread_local(x):
    LOCAL.value = x
    return LOCAL.value


def read_the_environment(x):
    return os.environ.get("HOME"), os.getcwd(), warnings.warn("x", stacklevel=1)


class Session:
    def get(self, x):
        return x


SESSION = Session()
IN_THREADS = {
    "sleep": time.sleep,
    "file of its own": read_a_file,
    "connection of its own": own_connection,
    "standard error": to_standard_error,
    "thread local": thread_local,
    "reading the environment": read_the_environment,
    "session": lambda x: SESSION.get(x),
    "random": lambda x: random.random() + np.random.rand(),
    "item that is a file": lambda file: file.read(),
}


@pytest.mark.parametrize("name", NOT_IN_THREADS)
def test_what_all_threads_share_is_named(name):
    function, reason = NOT_IN_THREADS[name]
    assert reason in (look(function).not_in_threads or "nothing")


@pytest.mark.parametrize("name", IN_THREADS)
def test_what_each_thread_has_for_itself_is_not(name):
    assert look(IN_THREADS[name]).not_in_threads is None


def test_an_item_that_is_a_file_is_its_own():
    assert look(lambda file: file.read(), io.StringIO("a")).not_in_threads is None


@pytest.mark.parametrize("name", process_wide.CALLS)
def test_every_call_in_the_table_exists_and_is_known_by_that_name(name):
    module, _, function = name.rpartition(".")
    if module.partition(".")[0] == "torch":
        pytest.importorskip("torch")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError):
        assert sys.platform == "win32", name
        return
    assert process_wide.set_by(found)


def evaluated(text):
    return eval(text)


def evaluated_with_names(text):
    return eval(text, {"x": 3}), exec(text, {})


def named(name):
    return globals()[name]


def hashed(x):
    return hash(x) % 10


def sorted_by_hash(x):
    return sorted(x, key=hash)


def is_missing(x):
    return x is MISSING


def part_is_missing(row):
    return row["a"] is not MISSING


def or_missing(x):
    return x if x else MISSING


def captured_sentinel():
    nothing = object()
    return lambda x: x is nothing


NOT_IN_PROCESSES = {
    "eval": (evaluated, "eval finds other names"),
    "eval itself": (eval, "eval finds other names"),
    "eval in a map": (lambda x: list(map(eval, x)), "eval finds other names"),
    "exec": (lambda x: exec(x), "exec finds other names"),
    "globals": (named, "globals finds other names"),
    "far away": (lambda x: evaluated(x), "eval finds other names"),
    "sentinel": (is_missing, "an item that is 'MISSING' arrives"),
    "part": (part_is_missing, "an item that is 'MISSING' arrives"),
    "captured sentinel": (captured_sentinel(), "an item that is 'nothing' arrives"),
    "returned sentinel": (or_missing, "'MISSING', which it may return"),
}


def given(row, key, default=MISSING):
    if default is MISSING:
        return row[key]
    return row.get(key, default)


def shadowed():
    def eval(text):
        return text

    return lambda x: eval(x)


def looked_up(row):
    found = row.get("a", MISSING)
    return 0 if found is MISSING else found


def is_nothing(x):
    return x is None or x is CLASS or x is True


IN_PROCESSES = {
    "names that are given": evaluated_with_names,
    "own function": shadowed(),
    "default": lambda row: given(row, "a"),
    "looked up": looked_up,
    "nothing": is_nothing,
    "locals": lambda x: locals()["x"],
    "a method": lambda x: x.eval("a + b"),
}


@pytest.mark.parametrize("name", NOT_IN_PROCESSES)
def test_what_another_interpreter_would_see_otherwise_is_named(name):
    function, reason = NOT_IN_PROCESSES[name]
    assert reason in (look(function).not_in_processes or "nothing")


@pytest.mark.parametrize("name", IN_PROCESSES)
def test_what_is_the_same_in_every_interpreter_is_not(name):
    assert look(IN_PROCESSES[name]).not_in_processes is None


@pytest.mark.parametrize("function", [hashed, sorted_by_hash, hash])
def test_hash_is_named_where_interpreters_hash_otherwise(monkeypatch, function):
    monkeypatch.setattr(other_interpreter, "hashes_differ", lambda: True)
    assert "PYTHONHASHSEED" in (look(function).not_in_processes or "nothing")
    monkeypatch.setattr(other_interpreter, "hashes_differ", lambda: False)
    assert look(function).not_in_processes is None


@pytest.mark.parametrize(
    ("seed", "flags", "differ"),
    [("0", [], False), ("7", [], False), ("random", [], True), ("", [], True), ("7", ["-E"], True)],
)
def test_whether_interpreters_hash_alike_is_what_they_say(seed, flags, differ):
    program = "from allcores.guard.other_interpreter import hashes_differ; print(hashes_differ(), hash('a'))"
    place = os.path.dirname(os.path.dirname(os.path.dirname(other_interpreter.__file__)))
    program = f"import sys; sys.path.insert(0, {place!r}); {program}"
    surroundings = {**os.environ, "PYTHONHASHSEED": seed}
    said = {
        subprocess.run(
            [sys.executable, *flags, "-c", program],
            env=surroundings,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    }
    assert {each.split()[0] for each in said} == {str(differ)}
    assert (len(said) == 2) == differ


def test_a_sentinel_that_a_later_stage_takes_out_never_arrives():
    stages = (("map", lambda x: MISSING if x > 3 else 2 * x), ("filter", lambda x: x is not MISSING))
    assert verdict(Task(stages), 3).not_in_processes is None


def test_every_function_of_pyplot_sets_the_current_figure():
    def savefig(path): ...

    savefig.__module__ = "matplotlib.pyplot"
    assert "the current figure" in (process_wide.set_by(savefig) or "nothing")
    savefig.__module__ = "matplotlib.figure"
    assert process_wide.set_by(savefig) is None


def test_a_function_may_say_itself_that_it_sets_something_for_all_threads():
    def sets(x):
        return x

    assert verdict(Task((("map", sets),)), 1).not_in_threads is None
    sets.__allcores_process_wide__ = "the display"
    assert "sets the display, which all threads share" in str(process_wide.set_by(sets))
    caller = functools.partial(lambda f, x: f(x), sets)
    assert "sets the display" in str(verdict(Task((("map", caller),)), 1).not_in_threads)
