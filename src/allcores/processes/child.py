"""What zygote, templates and workers share: how a child process behaves towards its family."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys

from allcores.processes.wire import Decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from allcores.processes.wire import Frame

CHANNEL = 3  # the descriptor under which the zygote is given its end
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
IS_CHILD = False  # whether this process is a template or a worker
IS_LOADING = False  # whether it is importing the function's module at this moment
MOST_DESCRIPTORS = 32  # that arrive with one read


def quiet_signals() -> None:
    """Lets Ctrl-C pass: the caller decides what it ends.

    A handler that does nothing, and not SIG_IGN: programs that a user's function starts get the default back.
    """
    _signal.signal(_signal.SIGINT, _do_nothing)
    if hasattr(_signal, "SIGCHLD"):
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    if hasattr(_signal, "pthread_sigmask"):
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _do_nothing(number: int, frame: object) -> None:
    pass


def prctl(option: int, value: int) -> None:
    """The system call, by the shortest way there is; nothing happens where it is missing."""
    try:
        import _ctypes

        program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
        address = _ctypes.dlsym(program, "prctl")
        _ctypes.call_function(address, (option, value, 0, 0, 0))
    except (ImportError, OSError, AttributeError):
        pass  # then end of file on our channel must do


def write_c_output_at_once() -> None:
    """What C code prints does not stay in a buffer of its own, which nobody would empty before the process ends."""
    try:
        import _ctypes

        class Pointer(_ctypes._SimpleCData):  # type: ignore[type-arg]
            _type_ = "P"

        program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
        stdout = Pointer.from_address(_ctypes.dlsym(program, "stdout"))
        unbuffered = 2
        _ctypes.call_function(_ctypes.dlsym(program, "setvbuf"), (stdout, None, unbuffered, 0))
    except (ImportError, OSError, AttributeError):
        pass  # then it comes when the buffer is full


def die_with(parent: int) -> None:
    """From now on the kernel ends this process with its parent, at whatever it is doing."""
    prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def thread_count() -> int:
    """The number of threads that the operating system sees in this process."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def watch(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends, where the kernel has such a thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def flush_output() -> None:
    """Writes out what was printed; never fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass  # closed, broken, replaced: then it is not ours to repair


def live(life: Callable[[], None]) -> None:
    """Runs a forked process from here to its end: it must never return into its parent's code."""
    code = 0
    try:
        life()
    except BaseException as error:
        code = 70
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        flush_output()
        os._exit(code)


def channel(descriptor: int) -> _socket.socket:
    """A descriptor that is one end of a socketpair."""
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, descriptor)


def send(
    sock: _socket.socket,
    data: bytes,
    descriptor: int | None = None,
    before_end: Callable[[], None] | None = None,
) -> None:
    """Sends a whole frame, waiting while the other side does not read. Ends this process if nobody is there."""
    try:
        if descriptor is not None:
            rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptor.to_bytes(4, sys.byteorder))
            count = sock.sendmsg([data], [rights])
            data = data[count:]
        if data:
            sock.sendall(data)
    except OSError:
        if before_end is not None:
            before_end()
        flush_output()
        os._exit(0)


class Inbox:
    """Frames, and the descriptors that came with them, from a socket on which reading may wait."""

    __slots__ = ("_decoder", "descriptors", "socket")

    def __init__(self, sock: _socket.socket) -> None:
        self.socket = sock
        self.descriptors: list[int] = []
        self._decoder = Decoder()

    def read(self) -> list[Frame] | None:
        """What one read brings, maybe nothing; None at the end."""
        try:
            count, messages, _, _ = self.socket.recvmsg_into(
                [self._decoder.room()],
                _socket.CMSG_SPACE(4 * MOST_DESCRIPTORS),
                _socket.MSG_CMSG_CLOEXEC,
            )
        except ConnectionError:
            return None
        for level, kind, data in messages:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                for start in range(0, len(data) - 3, 4):
                    self.descriptors.append(int.from_bytes(data[start : start + 4], sys.byteorder))
        return self._decoder.filled(count) if count else None

    def take_descriptor(self) -> int:
        """The next descriptor that came."""
        return self.descriptors.pop(0)

    def close(self) -> None:
        """Closes the socket and whatever came and was not taken."""
        self.socket.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()
