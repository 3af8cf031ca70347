"""What a piece of news is of, as numbers: also for worker processes, which import nothing else from here."""

VALUES = 0  # one body for each item of [start, stop)
NODE = 1  # one reduced value for all of [start, stop)
ERROR = 2  # the item `start` failed; the body is its exception
STRANDED = 5  # these items, or what they left, cannot travel; the body is the exception that says why

LOGGED = 3  # besides descriptors 1 and 2, what an item says may be a log record
WARNED = 4  # or a warning
