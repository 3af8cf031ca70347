"""What worker processes do in these tests."""

import os
import resource
import signal
import subprocess
import sys
import time


def kill_oneself():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def exit_at_once():
    os._exit(3)


def crash():
    import ctypes

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


def abort():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()


def terminate_oneself():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


# name: what is done, the signal and the exit code that are reported
DEATHS = {
    "SIGKILL": (kill_oneself, signal.SIGKILL, None),
    "os._exit": (exit_at_once, None, 3),
    "segfault": (crash, signal.SIGSEGV, None),
    "abort": (abort, signal.SIGABRT, None),
    "SIGTERM": (terminate_oneself, signal.SIGTERM, None),
}


def die_at(bad, death, x):
    if x in bad:
        DEATHS[death][0]()
    return 2 * x


def die_and_count(directory, bad, x):
    with open(os.path.join(directory, str(x)), "ab") as file:
        file.write(b".")
    if x in bad:
        kill_oneself()
    return 2 * x


def die_first_time(directory, bad, x):
    path = os.path.join(directory, str(x))
    if x in bad and not os.path.exists(path):
        open(path, "w").close()
        kill_oneself()
    return 2 * x


def tries(directory):
    return {int(name): os.path.getsize(os.path.join(directory, name)) for name in os.listdir(directory)}


def double(x):
    return 2 * x


def nap(x):
    time.sleep(0.01)
    return 2 * x


def begin_and_nap(directory, x):
    open(os.path.join(directory, str(x)), "w").close()
    time.sleep(0.01)
    return 2 * x


def sockets():
    """The descriptors of this process's sockets: a worker has one, its channel."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.append(int(name))
        except OSError:
            pass
    return found


def cut_frame(bad, length, x):
    """Writes the beginning of a message into the channel, and dies."""
    if x == bad:
        from allcores.processes import wire

        message = wire.frame(wire.DONE, 0, bytes(1 << 16))
        for each in sockets():
            os.write(each, message[:length])
        kill_oneself()
    return 2 * x


def babble(bad, x):
    """Writes what is no message into the channel, and goes on."""
    if x == bad:
        for each in sockets():
            os.write(each, b"print('hello from a library that prints into any descriptor')\n" * 5)
    return 2 * x


def large_result(directory, bad, x):
    if x == bad:
        open(os.path.join(directory, str(os.getpid())), "w").close()
    return bytes(40_000_000 if x == bad else 10)


def note_grandchild(directory, pid):
    open(os.path.join(directory, str(pid)), "w").close()


def let_everything_be_inherited():
    for name in os.listdir("/proc/self/fd"):
        try:
            os.set_inheritable(int(name), True)
        except OSError:
            pass


def leave_program(directory):
    """A program that goes on and holds all our descriptors."""
    let_everything_be_inherited()
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], close_fds=False)
    note_grandchild(directory, child.pid)
    child.returncode = 0  # nobody waits for it


def leave_fork(directory):
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    note_grandchild(directory, pid)


def leave_multiprocessing(directory):
    import multiprocessing

    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    note_grandchild(directory, child.pid)


def leave_bare_fork(directory):
    """A fork that bypasses Python, and so every hook of ours; it holds all our descriptors."""
    import ctypes

    libc = ctypes.CDLL(None)
    pid = libc.fork()
    if pid == 0:
        libc.sleep(600)
        libc._exit(0)
    note_grandchild(directory, pid)


GRANDCHILDREN = {
    "program": leave_program,
    "fork": leave_fork,
    "multiprocessing": leave_multiprocessing,
    "fork in C": leave_bare_fork,
}


def leave_grandchild(directory, kind, bad, dies, x):
    if x == bad:
        GRANDCHILDREN[kind](directory)
        if dies:
            kill_oneself()
    return 2 * x
