"""Bad options are refused at the door, in words that say what to write, before anything of the user's is touched."""

import pytest

import allcores as ac
from allcores.options import checked
from allcores.testing import SimEngine


class Untouchable:
    """An iterable that must not be asked for anything."""

    def __iter__(self):
        raise AssertionError("the iterator was touched")


def untouched(*arguments):
    raise AssertionError("the function was called")


BAD = [
    ({"n_job": 2}, TypeError, "'n_job' is not an option.*write one of: n_jobs, engine"),
    ({"verbose": True}, TypeError, "constant arguments of your function go into kwargs="),
    ({"n_jobs": 0}, ValueError, "write n_jobs=1 for the caller alone, n_jobs=-1 for every core"),
    ({"n_jobs": 1.5}, TypeError, "n_jobs must be a whole number, not 1.5"),
    ({"n_jobs": "all"}, TypeError, "n_jobs must be a whole number"),
    ({"n_jobs": True}, TypeError, "n_jobs must be a whole number"),
    ({"n_jobs": "3"}, TypeError, "not '3'; write n_jobs=3, without quotes"),
    ({"n_jobs": 10**30}, ValueError, "more than any machine can run; write -1 for every core"),
    ({"engine": "process"}, ValueError, "write one of: auto, inline, threads, asyncio, processes"),
    ({"engine": None}, TypeError, "engine must be one of auto, inline, threads, asyncio, processes"),
    ({"engine": 3}, TypeError, "engine must be one of auto, inline, threads, asyncio, processes"),
    ({"ordered": 1}, TypeError, "ordered must be True or False"),
    ({"chunksize": 0}, ValueError, "chunksize must be at least 1"),
    ({"chunksize": "large"}, TypeError, "chunksize must be a whole number, not .large.; write chunksize=2"),
    ({"chunksize": 2.0}, TypeError, "chunksize must be a whole number"),
    ({"chunksize": None}, TypeError, "chunksize must be a whole number, not None; write chunksize=2"),
    ({"window": 0}, ValueError, "window must be at least 1"),
    ({"window": "auto"}, TypeError, "window must be a whole number, not .auto.; write window=2"),
    ({"window_bytes": 0}, ValueError, "window_bytes must be at least 1"),
    ({"progress": 3}, TypeError, "progress must be True or a label"),
    ({"timeout": 0}, ValueError, "timeout is in seconds and must be more than 0"),
    ({"timeout": -1}, ValueError, "timeout is in seconds and must be more than 0"),
    ({"timeout": float("nan")}, ValueError, "timeout is in seconds"),
    ({"timeout": "1s"}, TypeError, "timeout must be a number of seconds"),
    ({"timeout": True}, TypeError, "timeout must be a number of seconds"),
    ({"timeout": 1, "engine": "threads"}, ValueError, "write engine='processes' or leave engine out"),
    ({"timeout": 1, "engine": "inline"}, ValueError, "write engine='processes' or leave engine out"),
    ({"deadline": 0}, ValueError, "deadline is in seconds and must be more than 0"),
    ({"deadline": []}, TypeError, "deadline must be a number of seconds"),
    ({"retries": -1}, ValueError, "retries must be at least 0"),
    ({"retries": True}, TypeError, "retries must be a whole number"),
    ({"retries": None}, TypeError, "retries must be a whole number, not None; write retries=2"),
    ({"retry_on": "ValueError"}, TypeError, "retry_on must be a class of exceptions or a tuple of such"),
    ({"retry_on": (ValueError, 3)}, TypeError, "retry_on must be a class of exceptions or a tuple of such"),
    ({"retry_on": [ValueError]}, TypeError, "retry_on must be a class of exceptions or a tuple of such"),
    ({"retry_wait_seconds": -0.5}, ValueError, "retry_wait_seconds must be from 0 to"),
    ({"retry_wait_seconds": None}, TypeError, "retry_wait_seconds must be a number of seconds"),
    ({"on_error": "ignore"}, ValueError, "write 'raise' or 'return'"),
    ({"on_error": None}, ValueError, "write 'raise' or 'return'"),
    ({"inner_threads": 10**30}, ValueError, "more than any machine can run; leave it out for a share"),
    ({"seed": {1: 2}}, TypeError, "seed must be a whole number or a sequence of them"),
    ({"seed": {1, 2}}, TypeError, "seed must be a whole number or a sequence of them"),
    ({"njobs": 2}, TypeError, "did you mean 'n_jobs'"),
    ({"max_workers": 2}, TypeError, "did you mean 'n_jobs'"),
    ({"chunk_size": 2}, TypeError, "did you mean 'chunksize'"),
    ({"backend": "loky"}, TypeError, "did you mean 'engine'"),
    ({"engine": "loky"}, ValueError, "did you mean 'processes'"),
    ({"engine": "Thread"}, ValueError, "did you mean 'threads'"),
    ({"timeout": "5"}, TypeError, "write timeout=5, without quotes"),
    ({"window_bytes": 0}, ValueError, "write window_bytes=64_000_000"),
    ({"retry_on": [OSError]}, TypeError, r"write retry_on=\(OSError, TimeoutError\)"),
]


@pytest.mark.parametrize(("options", "error", "words"), BAD, ids=[str(options) for options, _, _ in BAD])
def test_a_bad_option_says_what_to_write_before_anything_is_touched(options, error, words):
    with pytest.raises(error, match=words):
        ac.map(untouched, Untouchable(), **options)
    with pytest.raises(error, match=words):
        ac.starmap(untouched, Untouchable(), **options)
    with pytest.raises(error, match=words):
        ac.par([1], **options)


def test_map_is_always_in_order_and_says_who_is_not():
    with pytest.raises(ValueError, match=r"write allcores.par\(items, ordered=False\).map\(f\)"):
        ac.map(untouched, Untouchable(), ordered=False)


def test_map_without_items_or_without_a_function_says_what_is_missing():
    with pytest.raises(TypeError, match=r"write allcores.map\(function, items\)"):
        ac.map(untouched)
    with pytest.raises(TypeError, match="the first argument must be a function, not list"):
        ac.map([1], Untouchable())
    for call, words in [
        (
            lambda: ac.map(1, Untouchable()),
            r"write allcores.map\(function, items\), and the function without calling",
        ),
        (lambda: ac.starmap(1, Untouchable()), r"write allcores.starmap\(function, tuples\)"),
        (lambda: ac.explain(1, [1]), r"write allcores.explain\(function, items\)"),
        (lambda: ac.warmup(1), r"write allcores.warmup\(function\)"),
        (
            lambda: ac.map(untouched, Untouchable(), kwargs={1: 1}),
            "kwargs must be a dict of constant keyword",
        ),
    ]:
        with pytest.raises(TypeError, match=words):
            call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda stream: stream.map(untouched, n_jobs=2),
            r"'n_jobs'; .* write allcores.par\(items, n_jobs=2\)",
        ),
        (lambda stream: stream.map(untouched, [1]), r"write allcores.par\(items, n_jobs=2\).map\(function\)"),
        (lambda stream: stream.reduce(max, 0), r"write op\(value, stream.reduce\(op\)\)"),
        (lambda stream: stream.reduce(0), "reduce needs a function for op, not int"),
        (lambda stream: stream.sum([]), r"write value \+ stream.sum\(\)"),
        (lambda stream: stream.filter(None), r"write filter\(bool\)"),
        (lambda stream: ac.par(untouched, stream), r"write allcores.par\(items\).map\(function\)"),
        (lambda stream: ac.starmap(untouched, [1], [2]), r"write allcores.starmap\(function, zip\(a, b\)\)"),
        (lambda stream: ac.Executor(n_jobs=2), r"write allcores.Executor\(max_workers=2\)"),
        (lambda stream: ac.Executor(1, initializer=untouched, initargs=5), r"for example \(1, 2\), not 5"),
    ],
)
def test_a_call_that_does_not_fit_says_what_to_write(call, words):
    with pytest.raises(TypeError, match=words):
        call(ac.par([1]))


def test_a_type_error_of_the_users_own_is_left_as_it_is():
    def fails(x, y):
        """It is never given ``y``."""

    with pytest.raises(
        TypeError,
        match=r"'y'\nallcores: item 0; where items are tuples of arguments write starmap instead of map$",
    ):
        ac.par([1]).for_each(fails)
    with pytest.raises(TypeError, match=r"not iterable|must be an iterable"):
        ac.starmap(pow, [1, 2], engine="inline")


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
@pytest.mark.parametrize(("name", "option"), [("rng", "seed=1"), ("state", "setup=")])
def test_a_function_that_misses_what_an_option_gives_is_told_so(engine, name, option):
    function = {"rng": lambda x, rng: x, "state": lambda x, state: x}[name]
    with pytest.raises(TypeError, match=f"'{name}'") as caught:
        ac.map(function, [1], engine=engine, n_jobs=1)
    assert option in caught.value.__notes__[0]


@pytest.mark.parametrize("n_jobs", [-1, -2, -1000])
def test_negative_n_jobs_count_from_the_number_of_cores(n_jobs):
    assert checked({"n_jobs": n_jobs}).n_jobs == max(1, ac.cpu_count() + 1 + n_jobs)


def test_whatever_is_a_whole_number_or_a_number_of_seconds_will_do():
    numpy = pytest.importorskip("numpy")
    options = checked({"n_jobs": numpy.int64(3), "timeout": numpy.float32(2), "deadline": 5})
    assert (options.n_jobs, options.timeout, options.deadline) == (3, 2.0, 5.0)


def test_values_of_numpy_are_refused_in_words_too():
    numpy = pytest.importorskip("numpy")
    for options, error, words in (
        ({"on_error": numpy.array([1, 2])}, ValueError, "write 'raise' or 'return'"),
        ({"writes": numpy.array([1, 2])}, ValueError, "write 'warn', 'allow' or 'error'"),
        ({"seed": numpy.array(2.5)}, TypeError, "seed must be a whole number or a sequence of them"),
        ({"timeout": numpy.True_}, TypeError, "timeout must be a number of seconds, not .*True"),
        ({"deadline": numpy.array(True)}, TypeError, "deadline must be a number of seconds"),
        ({"retry_wait_seconds": numpy.True_}, TypeError, "retry_wait_seconds must be a number of seconds"),
    ):
        with pytest.raises(error, match=words):
            checked(options)
    assert checked({"seed": numpy.array(5)}).seed == (5,)


def test_an_executor_has_no_more_workers_than_a_call():
    for engine in ("threads", "processes"):
        with pytest.raises(ValueError, match=r"max_workers=.* more than any machine can run"):
            ac.Executor(10**30, engine=engine)


def test_an_engine_of_ones_own_is_an_engine():
    engine = SimEngine()
    assert checked({"engine": engine, "timeout": 1}).engine is engine
