"""The options of a call, checked at the door: before any worker starts."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence, Set

from allcores.core.records import NamedTuple
from allcores.defaults import with_defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


MOST_JOBS = 65_536
MOST_WAIT_SECONDS = 604_800.0
ENGINES = ("auto", "inline", "threads", "asyncio", "processes")
SURELY = 0.75  # how alike two names are of which one was meant
OF_OTHERS = {  # what other libraries call it
    **dict.fromkeys(
        ("max_workers", "workers", "n_workers", "processes", "num_workers", "num_proc"), "n_jobs"
    ),
    **dict.fromkeys(("backend", "executor", "scheduler", "prefer", "require"), "engine"),
    **dict.fromkeys(("pre_dispatch", "buffersize"), "window"),
    **dict.fromkeys(("return_exceptions", "error_callback"), "on_error"),
    **dict.fromkeys(("batch_size", "chunk"), "chunksize"),
    **dict.fromkeys(("random_state", "rng"), "seed"),
    **dict.fromkeys(("initializer", "initargs", "state"), "setup"),
    **dict.fromkeys(("desc", "verbose", "progress_bar", "tqdm"), "progress"),
    "max_nbytes": "window_bytes",
    **dict.fromkeys(("thread", "threading", "multithreading"), "threads"),
    **dict.fromkeys(("process", "loky", "multiprocessing", "dask"), "processes"),
    **dict.fromkeys(("serial", "sequential", "sync", "single"), "inline"),
    **dict.fromkeys(("async", "coroutines"), "asyncio"),
}


class Options(NamedTuple):
    """What the user asked for. ``docs`` and ``allcores.map`` say what each option means."""

    n_jobs: int | None = None
    engine: Any = "auto"
    ordered: bool = True
    chunksize: int | str = "auto"
    window: int | None = None
    timeout: float | None = None
    deadline: float | None = None
    retries: int = 0
    retry_on: Any = Exception
    retry_wait_seconds: float = 0.0
    on_error: str = "raise"
    seed: Any = None
    setup: Any = None
    inner_threads: int | None = None
    writes: str = "warn"
    window_bytes: int | None = None
    progress: bool | str | None = None
    cost: Any = None

    @property
    def retry_classes(self) -> tuple[type[BaseException], ...]:
        """Classes of exceptions after which an item is tried again."""
        return self.retry_on if isinstance(self.retry_on, tuple) else (self.retry_on,)


def checked(given: dict[str, Any]) -> Options:
    """Options from the user's keyword arguments, and from the defaults that hold (see ``config``).

    Raises:
        TypeError: an unknown option, or a value of the wrong type.
        ValueError: a value that means nothing, or options that contradict each other.

    Example:
        >>> checked({"n_jobs": 0})
        Traceback (most recent call last):
        ...
        ValueError: n_jobs=0 means no worker at all; write n_jobs=1 for the caller alone, n_jobs=-1 for every core
    """
    unknown = [name for name in given if name not in Options._fields]
    if unknown:
        raise TypeError(
            f"{unknown[0]!r} is not an option of allcores; {_likely(unknown[0], Options._fields)}"
            f"write one of: {', '.join(Options._fields)} (constant arguments of your function go into kwargs={{...}})"
        )
    options = Options(**with_defaults(given))
    options = options._replace(
        n_jobs=_n_jobs(options.n_jobs),
        chunksize=options.chunksize
        if isinstance(options.chunksize, str) and options.chunksize == "auto"
        else positive("chunksize", options.chunksize),
        window=None if options.window is None else positive("window", options.window),
        timeout=_seconds("timeout", options.timeout, least=0.0),
        deadline=_seconds("deadline", options.deadline, least=0.0),
        retries=whole("retries", options.retries, least=0),
        retry_wait_seconds=_wait_seconds(options.retry_wait_seconds),
        seed=None if options.seed is None else seed_numbers(options.seed),
        inner_threads=None
        if options.inner_threads is None
        else possible_seats("inner_threads", options.inner_threads, "leave it out for a share of the cores"),
        window_bytes=None
        if options.window_bytes is None
        else positive("window_bytes", options.window_bytes, example="64_000_000"),
    )
    _check_names(options)
    _check_retry_on(options.retry_on)
    _check_together(options)
    return options


def _check_names(options: Options) -> None:
    if isinstance(options.engine, str):
        if options.engine not in ENGINES:
            likely = _likely(options.engine, ENGINES)
            raise ValueError(
                f"engine={options.engine!r} is not known; {likely}write one of: {', '.join(ENGINES)}"
            )
    elif not hasattr(options.engine, "engine_for"):
        raise TypeError(f"engine must be one of {', '.join(ENGINES)}, not {type(options.engine).__name__}")
    if not isinstance(options.on_error, str) or options.on_error not in ("raise", "return"):
        raise ValueError(f"on_error={options.on_error!r} is not known; write 'raise' or 'return'")
    if not isinstance(options.writes, str) or options.writes not in ("warn", "allow", "error"):
        raise ValueError(f"writes={options.writes!r} is not known; write 'warn', 'allow' or 'error'")
    if not isinstance(options.ordered, bool):
        raise TypeError(f"ordered must be True or False, not {options.ordered!r}")
    if options.setup is not None and not callable(options.setup):
        raise TypeError(
            "setup must be a function without arguments, whose value reaches f as keyword `state`, "
            f"for example setup=load_model, not {options.setup!r}"
        )
    if options.cost is not None and not callable(options.cost):
        raise TypeError(
            "cost must be a function that says of an item how long it takes beside the others, "
            f"for example cost=len or cost=os.path.getsize, not {options.cost!r}"
        )
    if not isinstance(options.progress, bool | str | None):
        raise TypeError(f"progress must be True or a label for the bar, not {options.progress!r}")


def _likely(name: str, known: Sequence[str]) -> str:
    """What was meant, as the beginning of an advice; empty where nobody can tell."""
    from difflib import get_close_matches

    other = OF_OTHERS.get(name.lower())
    found = [other] if other in known else get_close_matches(name, known, n=1, cutoff=SURELY)
    return f"did you mean {found[0]!r}? Else " if found else ""


def _check_retry_on(retry_on: Any) -> None:
    classes = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    for each in classes:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise TypeError(
                "retry_on must be a class of exceptions or a tuple of such, not "
                f"{each!r}; write retry_on=(OSError, TimeoutError), for example"
            )


def _check_together(options: Options) -> None:
    if options.timeout is not None and options.engine in ("inline", "threads"):
        raise ValueError(
            f"timeout cannot be kept with engine={options.engine!r}: a running item cannot be stopped there; "
            "write engine='processes' or leave engine out (it may come from config or ALLCORES_ENGINE, too)"
        )


def _n_jobs(value: Any) -> int | None:
    if value is None:
        return None
    number = whole("n_jobs", value, example="-1 for every core or n_jobs=4")
    if number == 0:
        raise ValueError(
            "n_jobs=0 means no worker at all; write n_jobs=1 for the caller alone, n_jobs=-1 for every core"
        )
    if number < 0:
        from allcores.runtime.machine import cpu_count

        return max(1, cpu_count() + 1 + number)
    return possible_seats("n_jobs", number, "write -1 for every core")


def whole(name: str, value: Any, least: int | None = None, example: str = "2") -> int:
    """A whole number, at least ``least``. Raises TypeError or ValueError that names the option."""
    if not isinstance(value, bool):
        try:
            number = operator.index(value)
        except TypeError:
            pass
        else:
            if least is not None and number < least:
                raise ValueError(
                    f"{name} must be at least {least}, not {number}; write {name}={example}, for example"
                )
            return number
    is_quoted = isinstance(value, str) and value.strip().removeprefix("-").isdecimal()
    advice = (
        f"write {name}={value.strip()}, without quotes"
        if is_quoted
        else f"write {name}={example}, for example"
    )
    raise TypeError(f"{name} must be a whole number, not {value!r}; {advice}")


def positive(name: str, value: Any, example: str = "2") -> int:
    """A whole number of at least 1. Raises TypeError or ValueError that names the option."""
    return whole(name, value, least=1, example=example)


def possible_seats(name: str, value: Any, advice: str) -> int:
    """A number of workers or threads. Raises TypeError or ValueError that names the option."""
    number = positive(name, value)
    if number > MOST_JOBS:
        raise ValueError(f"{name}={number} is more than any machine can run; {advice}")
    return number


def seed_numbers(value: Any) -> tuple[int, ...]:
    """The numbers of a seed. Raises TypeError or ValueError that says what to write."""
    is_one = isinstance(value, (str, bytes, bytearray)) or getattr(value, "ndim", None) == 0
    if is_one or not isinstance(value, Iterable) or isinstance(value, (Mapping, Set)):
        numbers = [value]
    else:
        numbers = list(value)
        if not numbers:
            raise ValueError("seed has no numbers; write seed=1, for example, or seed=(2024, 1)")
    return tuple(_seed_number(each, value) for each in numbers)


def _seed_number(number: Any, value: Any) -> int:
    try:
        if isinstance(number, bool):
            raise TypeError
        whole = operator.index(number)
    except TypeError:
        raise TypeError(
            f"seed must be a whole number or a sequence of them, for example seed=1 or seed=(2024, 1), not {value!r}"
        ) from None
    if whole < 0:
        raise ValueError(f"seed must be at least 0, not {value!r}; write seed={abs(whole)}, for example")
    return whole


def _seconds(name: str, value: Any, least: float) -> float | None:
    if value is None:
        return None
    seconds = _number(name, value)
    if not seconds > least:
        raise ValueError(
            f"{name} is in seconds and must be more than {least:g}, not {value!r}; leave it out for no limit"
        )
    return seconds


def _wait_seconds(value: Any) -> float:
    seconds = _number("retry_wait_seconds", value)
    if not 0 <= seconds <= MOST_WAIT_SECONDS:
        raise ValueError(
            f"retry_wait_seconds must be from 0 to {MOST_WAIT_SECONDS:g} (a week), not {value!r}"
        )
    return seconds


def _number(name: str, value: Any) -> float:
    is_truth = isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b"
    if is_truth or isinstance(value, (str, bytes)):
        quoted = isinstance(value, str) and value.strip().replace(".", "", 1).isdecimal()
        example = f"{value.strip()}, without quotes" if quoted else "2.5, for example"
        raise TypeError(f"{name} must be a number of seconds, not {value!r}; write {name}={example}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(
            f"{name} is too large to be a number of seconds; leave it out for no limit"
        ) from None
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number of seconds, for example 2.5, not {value!r}") from None
