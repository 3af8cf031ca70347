"""What stays behind: processes, descriptors, memory, files. And programs that are watched while they die."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import NamedTuple

import psutil

PATIENCE_SECONDS = 20.0
GONE_SECONDS = 1.0


def wait_for(condition, seconds=PATIENCE_SECONDS):
    """Whether a condition came true in time."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.002)
    return True


class Traces(NamedTuple):
    """What this process has at a moment."""

    processes: frozenset
    descriptors: int
    memory: int
    shared: frozenset
    files: frozenset


def named_memory():
    """Memory with a name that is ours: there should never be any."""
    names = os.listdir("/dev/shm") if os.path.isdir("/dev/shm") else []
    return frozenset(name for name in names if "allcores" in name)


def traces(directory):
    with open("/proc/self/maps") as maps:
        memory = sum("memfd:" in line or "/dev/shm/" in line for line in maps)
    return Traces(
        frozenset(each.pid for each in psutil.Process().children(recursive=True)),
        len(os.listdir("/proc/self/fd")),
        memory,
        named_memory(),
        frozenset(os.listdir(directory)),
    )


def children(pid):
    """The processes of ours that this one has started and that live; other libraries may have some here, too."""
    try:
        found = psutil.Process(pid).children()
    except psutil.Error:
        return []
    return [each.pid for each in found if lives(each) and is_ours(each)]


def is_ours(process):
    """Whether this is a process of ours, and not of another library's; one that has just vanished is nobody's."""
    try:
        return any("allcores.processes" in argument for argument in process.cmdline())
    except psutil.Error:
        return False


def command_of(pid):
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return [f"{pid}, which has ended meanwhile"]


def zygote():
    """The root of this process's workers."""
    (found,) = children(os.getpid())
    return found


def template():
    (found,) = children(zygote())
    return found


def workers(start):
    """The processes that run items."""
    return children(os.getpid()) if start == "portable" else children(template())


def strike(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def strike_dead(pids, also=()):
    """Kills processes and waits until they, and those who die with them, are dead."""
    family = [psutil.Process(pid) for pid in (*pids, *also)]
    for pid in pids:
        strike(pid)
    assert wait_for(lambda: not any(map(lives, family)), GONE_SECONDS)


class Program:
    """A Python program of its own session, whose family is watched."""

    def __init__(self, text, directory, start="forks", arguments=()):
        self.home = directory / "home"
        self.busy = directory / "busy"
        self.files = directory / "files"
        for each in (self.home, self.busy, self.files):
            each.mkdir(exist_ok=True)
        path = self.home / "program.py"
        path.write_text(PREAMBLE + textwrap.dedent(text))
        environ = {**os.environ, "TMPDIR": str(self.files), "PYTHONDONTWRITEBYTECODE": "1"}
        environ.pop("ALLCORES_START", None)
        if start == "portable":
            environ["ALLCORES_START"] = "portable"
        self.shared = named_memory()
        self.process = subprocess.Popen(
            [sys.executable, str(path), str(self.busy), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            start_new_session=True,
        )
        self.family = {}

    def wait_until_busy(self, items):
        """Until so many items have begun; remembers everybody who lives then."""
        assert wait_for(lambda: len(os.listdir(self.busy)) >= items or self.process.poll() is not None)
        self.note_family()

    def note_family(self):
        try:
            for each in psutil.Process(self.process.pid).children(recursive=True):
                self.family[each.pid] = each
        except psutil.Error:
            pass
        return self.family

    def end(self, seconds=40):
        """Exit status, output and errors; the program must end by itself."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.note_family()
            self.kill_all()
            out, err = self.process.communicate()
            raise AssertionError(f"the program hangs; it said {out!r} and {err!r}") from None
        return self.process.returncode, out, err

    def kill_all(self):
        strike(self.process.pid)
        for each in self.family.values():
            if each.is_running():
                strike(each.pid)

    def left(self):
        """Those of the family, and of the session, that live."""
        found = {each.pid for each in self.family.values() if lives(each)}
        for each in psutil.process_iter():
            try:
                if os.getsid(each.pid) == self.process.pid and lives(each):
                    found.add(each.pid)
            except OSError:
                pass
        return found - {self.process.pid}

    def assert_nothing_stays(self, seconds=GONE_SECONDS):
        """No process, no file, no shared memory."""
        if not wait_for(lambda: not self.left(), seconds):
            stayed = [command_of(pid) for pid in self.left()]
            self.kill_all()
            for pid in self.left():
                strike(pid)
            raise AssertionError(f"processes stay: {stayed}")
        assert os.listdir(self.files) == []
        assert named_memory() <= self.shared


PREAMBLE = '''\
import itertools, os, signal, sys, threading, time
import allcores as ac

BUSY = sys.argv[1]

def busy(x, seconds=0.0):
    """Says that it has begun, and computes for ever or for a while."""
    open(os.path.join(BUSY, str(x)), "w").close()
    until = time.monotonic() + (seconds or 600)
    while time.monotonic() < until:
        pass
    return x

def quick(x):
    return 2 * x

def begun():
    return len(os.listdir(BUSY))

def wait_for_items(count):
    give_up = time.monotonic() + 20
    while begun() < count and time.monotonic() < give_up:
        time.sleep(0.002)

'''


def lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
