"""Functions that the tests map; workers import this module, so it imports next to nothing."""

import functools
import os
import time

PATIENCE_SECONDS = 20.0


def double(x):
    return 2 * x


def add(x, y=10, z=100):
    return x + y + z


def is_even(x):
    return x % 2 == 0


def up_to(n):
    return range(n)


def append(items):
    """Changes its argument, and says what it saw."""
    items.append(0)
    return len(items)


def pid(_):
    return os.getpid()


def burn(x, seconds=0.003):
    """Computes for a while."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
    return x * x


def nap(x, seconds=0.003):
    """Waits for a while, as for a network."""
    time.sleep(seconds)
    return x * x


def hang(x):
    if x == 3:
        time.sleep(1000)
    return x


def fail_at(bad, x):
    if x in bad:
        raise ValueError(f"bad {x}")
    return 2 * x


class CustomError(Exception):
    """Has an attribute, and two arguments."""

    def __init__(self, message, code):
        super().__init__(message, code)
        self.code = code


class StubbornError(Exception):
    """Cannot be rebuilt the way it says."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")

    def __reduce__(self):
        return StubbornError, self.args


def raise_custom_from(x):
    if x == 5:
        try:
            {}["missing"]
        except KeyError as error:
            raise CustomError("five", 42) from error
    return x


def raise_stubborn(x):
    if x == 5:
        raise StubbornError("salt", "pepper")
    return x


def leave(x):
    if x == 4:
        raise SystemExit(7)
    return x


def poll(condition):
    """Whether a condition came true in time."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        if condition():
            return True
        time.sleep(0.001)
    return False


def meet(directory, count, x):
    """Waits until ``count`` items run at the same time; says whether they did."""
    touch(directory, x)
    return poll(lambda: len(os.listdir(directory)) >= count)


def touch(directory, name):
    with open(os.path.join(directory, str(name)), "a"):
        pass


def count_running(directory, x):
    """How many items run now: each has a file while it runs."""
    path = os.path.join(directory, str(x))
    with open(path, "x"):
        pass
    burn(x, 0.002)
    running = len(os.listdir(directory))
    os.unlink(path)
    return running


def fail_late(directory, wait, x):
    """Item 3 fails after a later item has; every later one fails at once."""
    if x < 3:
        return x
    if x > 3:
        touch(directory, "failed")
        raise KeyError(x)
    if wait:
        poll(lambda: os.path.exists(os.path.join(directory, "failed")))
    raise ValueError(x)


def after_the_consumer(directory, x):
    """Item 0 ends after the consumer has taken the result of another one."""
    if x == 0:
        poll(lambda: os.path.exists(os.path.join(directory, "taken")))
    return x


def attempt(directory, successes_after, error, x):
    """Fails until it was called so often; each call leaves a byte in the item's file."""
    path = os.path.join(directory, str(x))
    with open(path, "ab") as file:
        file.write(b".")
    if os.path.getsize(path) <= successes_after:
        raise error(f"attempt at {x}")
    return x


def attempts(directory):
    """How often each item was tried, by item."""
    return {int(name): os.path.getsize(os.path.join(directory, name)) for name in os.listdir(directory)}


class Scaler:
    """An object with a method, and callable itself."""

    def __init__(self, factor):
        self.factor = factor

    def scale(self, x):
        return self.factor * x

    def __call__(self, x):
        return self.factor * x

    @classmethod
    def make(cls, x):
        return cls(x).factor

    @staticmethod
    def halve(x):
        return x / 2


class Slotted:
    """An item with slots and equality."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Slotted) and self.value == other.value

    def __hash__(self):
        return hash(self.value)

    def doubled(self):
        return Slotted(2 * self.value)


@functools.cache
def cached(x):
    return x + 1


def nested_sum(n):
    """Calls allcores inside a worker."""
    import allcores as ac

    return sum(ac.map(double, range(n)))


def nested_stream(n):
    import allcores as ac

    return ac.par(range(n)).map(double).filter(is_even).sum()


def nested_processes(n):
    import allcores as ac

    return ac.map(double, range(n), engine="processes", n_jobs=2)


def nested_failure(x):
    import allcores as ac

    return ac.map(functools.partial(fail_at, {x}), range(5))
