"""What to do where the system refuses what workers need: in words, by the error's number."""

from __future__ import annotations

import errno

REMEDIES = {
    errno.EMFILE: "Close files, or raise `ulimit -n`",
    errno.ENFILE: "Close files: the whole system has no descriptor left",
    errno.ENOMEM: "Free memory, or raise the limit on it (`ulimit -v`, or the container's)",
    errno.EFBIG: "Raise `ulimit -f`: it limits the memory that is shared with workers, too",
    errno.ENOSPC: "Free memory: there is no room for what is shared with workers",
    errno.EAGAIN: "End other processes, or raise `ulimit -u`",
}


def refusal(error: OSError, otherwise: str) -> str:
    """What a StartError says about this error; ``otherwise`` is what may do in the place of a remedy.

    >>> refusal(OSError(errno.EFBIG, "File too large"), "use engine='threads'").partition("] ")[2]
    "File too large. Raise `ulimit -f`: it limits the memory that is shared with workers, too; or use engine='threads'."
    """
    remedy = REMEDIES.get(error.errno or 0, "See what the system refuses")
    return f"workers cannot be started: {error}. {remedy}; or {otherwise}."
