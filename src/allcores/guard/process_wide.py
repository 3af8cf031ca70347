"""What the threads of a process share although each item wants its own.

Calls that set something for the whole process: while one thread has set it, every other thread sees it. And objects
that one thread at a time may use: a position that moves, a conversation whose answers come in order. A function that
has either in its reach is not run in threads by ``engine="auto"``, also where its items only wait.
"""

from __future__ import annotations

from allcores.guard.mutators import full_name, full_type_name, type_name
from allcores.guard.things import (
    ITEM_ROOT,
    MODULE,
    UNKNOWN,
    Thing,
    immutable,
    is_standard_stream,
    is_users_class,
    is_users_module,
    lookup,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# What is set, and by which calls; modules as they call themselves, without a leading underscore.
_BY_WHAT = {
    "the working directory": ("os.chdir", "os.fchdir", "os.chroot", "contextlib.chdir"),
    "the mask of new files": ("os.umask",),
    "the environment": ("os.putenv", "os.unsetenv"),
    "the open descriptors": ("os.dup2",),
    "sys.stdout": ("contextlib.redirect_stdout",),
    "sys.stderr": ("contextlib.redirect_stderr",),
    "what it patches": tuple(
        f"unittest.mock.{name}" for name in ("patch", "_patch_object", "_patch_dict", "_patch_multiple")
    ),
    "the signals": tuple(f"signal.{name}" for name in ("signal", "alarm", "setitimer", "set_wakeup_fd")),
    "the locale": ("locale.setlocale",),
    "the time zone": ("time.tzset",),
    "the warnings filters": tuple(
        f"warnings.{name}" for name in ("catch_warnings", "simplefilter", "filterwarnings", "resetwarnings")
    ),
    "the default timeout of sockets": ("socket.setdefaulttimeout",),
    "the opener of URLs": ("urllib.request.install_opener",),
    "the generator that all draw from": (
        *("random.seed", "random.setstate", "numpy.random.seed", "numpy.random.set_state"),
        *("torch.random.manual_seed", "torch.random.set_rng_state"),
    ),
    "the interpreter's limits": ("sys.setrecursionlimit", "sys.setswitchinterval", "resource.setrlimit"),
    "the garbage collector": ("gc.disable", "gc.enable", "gc.freeze", "gc.unfreeze"),
    "the loggers": ("logging.basicConfig", "logging.disable", "logging.captureWarnings"),
    "the loaded modules": ("importlib.reload",),
}
CALLS = {name: what for what, names in _BY_WHAT.items() for name in names}
# Modules all of whose functions do.
MODULES = {"matplotlib.pyplot": "the current figure"}

# Types of which, and of whose subclasses, an object is for one thread at a time.
ONE_AT_A_TIME = frozenset(
    (
        *("io._IOBase", "tempfile._TemporaryFileWrapper", "codecs.StreamReaderWriter", "tarfile.TarFile"),
        *("csv.writer", "csv.DictWriter", "zipfile.ZipFile", "shelve.Shelf", "gdbm.gdbm", "dbm.dbm"),
        *("dbm.dumb._Database", "dbm.sqlite3._Database", "mmap.mmap"),
        *("socket.socket", "ssl.SSLObject", "multiprocessing.connection._ConnectionBase", "subprocess.Popen"),
        *("sqlite3.Connection", "sqlite3.Cursor", "sqlite3.Blob"),
        *("http.client.HTTPConnection", "ftplib.FTP", "smtplib.SMTP", "imaplib.IMAP4", "poplib.POP3"),
        *("telnetlib.Telnet", "nntplib.NNTP", "xmlrpc.client.ServerProxy"),
    )
)
# By this attribute a function says itself what it sets.
PROCESS_WIDE = "__allcores_process_wide__"
ENVIRONMENT = "os._Environ"
OF_THE_THREAD = frozenset(("thread._local", "threading.local", "contextvars.ContextVar"))


def set_by(function: Any) -> str | None:
    """Why threads may not call this function at the same time, if it sets what all of them share.

    Example:
        >>> import os
        >>> set_by(os.chdir), set_by(os.getcwd)
        ('os.chdir sets the working directory, which all threads share', None)
    """
    if type(function).__name__ == "function" and "patchings" in function.__dict__:  # by unittest.mock.patch
        return "a patch that decorates it sets what it patches, which all threads share"
    name = full_name(function)
    if isinstance(says := getattr(function, PROCESS_WIDE, None), str):
        return f"{name} sets {says}, which all threads share"
    what = CALLS.get(name) or MODULES.get(name.rpartition(".")[0])
    return f"{name} sets {what}, which all threads share" if what else None


def moved_by_use(thing: Thing) -> str | None:
    """Why threads may not use this object at the same time, if it is one that all of them would reach.

    Example:
        >>> moved_by_use(Thing("the global", "rows", iter([1])))
        "the global 'rows' is a builtins.list_iterator, which one thread at a time may use"
    """
    known = thing.known
    if thing.root is None or thing.root == ITEM_ROOT or known is UNKNOWN or is_standard_stream(known):
        return None
    kind = type(known)
    alone = lookup(kind, "__next__") is not UNKNOWN and not is_users_class(kind)
    if not alone and not any(full_type_name(each) in ONE_AT_A_TIME for each in kind.__mro__):
        return None
    what = full_type_name(kind)
    return f"{thing.root} {thing.path!r} is a {what}, which one thread at a time may use"


def set_by_writing(thing: Thing, attribute: str = "") -> str | None:
    """Why threads may not write to this at the same time, if it belongs to a library, and so to the whole process.

    Example:
        >>> import os, sys
        >>> set_by_writing(Thing(None, "os.environ", os.environ))
        'it writes to os.environ, which all threads share'
        >>> set_by_writing(Thing("the global", "sys", sys), "stdout")
        'it writes to sys.stdout, which all threads share'
        >>> set_by_writing(Thing("the global", "rows", [])) is None
        True
    """
    known = thing.known
    if known is UNKNOWN or immutable(known) or is_standard_stream(known):
        return None
    if attribute:
        librarys = type(known) is MODULE and not is_users_module(known)
    else:
        librarys = (thing.root is None and bool(thing.path)) or type_name(type(known)) == ENVIRONMENT
        librarys = librarys and type_name(type(known)) not in OF_THE_THREAD
    place = f"{thing.path}.{attribute}" if attribute else thing.path
    return f"it writes to {place}, which all threads share" if librarys else None
