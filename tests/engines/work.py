"""What the tests of the process engine send to workers; imports next to nothing, since workers import it too."""

import os


def square(x):
    return x * x


class Point:
    def __init__(self, x):
        self.x = x

    def plus(self, y):
        return self.x + y

    def __eq__(self, other):
        return type(other) is Point and other.x == self.x

    __hash__ = None


class NeedsTwo(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")

    def __reduce__(self):
        return NeedsTwo, self.args


class Raises(Exception):
    def __reduce__(self):
        return _never, ()


def _never():
    raise RuntimeError("not in this life")


class NotBack:
    def __reduce__(self):
        return _never_back, (os.getpid(),)


def _never_back(pid):
    if pid != os.getpid():
        raise RuntimeError("only at home")
    return NotBack()
