"""With a seed, item i draws the same numbers whatever runs it."""

import functools
import os
import random
import threading
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import allcores as ac

from . import functions as on
from .conftest import WAYS

numpy = pytest.importorskip("numpy")


def draw(x, rng):
    return x, int(rng.integers(10**9)), int(rng.integers(10**9))


def draw_from_globals(x):
    return random.random(), numpy.random.rand()


def draw_and_fail_first(directory, x, *, rng):
    number = int(rng.integers(10**9))
    on.attempt(directory, 1, ValueError, x)
    return number


def draw_from_globals_and_fail_first(directory, x):
    numbers = draw_from_globals(x)
    on.attempt(directory, 1, ValueError, x)
    return numbers


def expected(seed, count):
    numbers = [ac.rng(seed, i).integers(10**9, size=2) for i in range(count)]
    return [(i, int(first), int(second)) for i, (first, second) in enumerate(numbers)]


def shares(way):
    return way.name in ("threads", "asyncio")


def test_each_item_draws_from_its_own_generator(way):
    assert way.map(draw, range(40), seed=5) == expected(5, 40)


def test_the_generator_is_numpy_s_default_one_of_seed_and_index():
    assert ac.rng(5, 3).random() == numpy.random.default_rng((5, 3)).random()
    assert ac.rng((5, 6), 3).random() == numpy.random.default_rng((5, 6, 3)).random()


@pytest.mark.parametrize("seed", [(1, 2), [1, 2], numpy.array([1, 2]), range(1, 3)], ids=repr)
def test_a_seed_may_be_a_sequence(way, seed):
    assert way.map(draw, range(3), seed=seed) == expected((1, 2), 3)


def test_another_seed_gives_other_numbers(way):
    assert way.map(draw, range(3), seed=5) != way.map(draw, range(3), seed=6)


def test_the_generators_of_the_process_are_seeded_for_each_item(way):
    if shares(way):
        pytest.skip("threads share them: refused, see below")
    results = way.map(draw_from_globals, range(40), seed=5)
    assert results == ac.map(draw_from_globals, range(40), seed=5, engine="inline")
    assert len(set(results)) == 40


def test_numpy_that_is_imported_by_the_first_item_is_seeded_too():
    """In a fresh interpreter, so that nobody has imported it before."""
    import subprocess
    import sys

    code = (
        "import allcores as ac\n"
        "def f(x):\n    import numpy\n    return numpy.random.rand()\n"
        "assert ac.map(f, range(4), seed=1, engine='inline') == "
        "ac.map(f, range(4), seed=1, engine='processes', n_jobs=2, chunksize=1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_callers_own_generators_go_on_where_they_were(way):
    random.seed(1)
    numpy.random.seed(1)
    before = random.random(), numpy.random.rand()
    random.seed(1)
    numpy.random.seed(1)
    way.map(draw, range(5), seed=5)
    assert (random.random(), numpy.random.rand()) == before


def test_they_go_on_after_an_item_that_fails(staying):
    random.seed(1)
    state = random.getstate()
    with pytest.raises(ValueError, match="bad"):
        staying.map(lambda x, rng: on.fail_at({x}, x), range(5), seed=5)
    assert random.getstate() == state


def test_a_retry_draws_the_same_numbers(way, tmp_path):
    function = functools.partial(draw_and_fail_first, str(tmp_path))
    assert way.map(function, range(6), seed=5, retries=1) == [
        int(ac.rng(5, i).integers(10**9)) for i in range(6)
    ]


def test_a_retry_draws_the_same_numbers_from_the_generators_of_the_process(way, tmp_path):
    if shares(way):
        pytest.skip("threads share them")
    function = functools.partial(draw_from_globals_and_fail_first, str(tmp_path))
    assert way.map(function, range(6), seed=5, retries=1) == ac.map(
        draw_from_globals, range(6), seed=5, engine="inline"
    )


def test_items_behind_a_failure_keep_their_numbers(way):
    def function(x, rng):
        if x % 3 == 0:
            raise ValueError(x)
        return int(rng.integers(10**9))

    results = way.map(function, range(10), seed=5, on_error="return")
    assert [each for each in results if not isinstance(each, ac.Failure)] == [
        int(ac.rng(5, i).integers(10**9)) for i in range(10) if i % 3
    ]


def test_the_stages_of_a_stream_share_the_items_generator(way):
    def keep(x, rng):
        return rng.random() < 0.5

    def spread(x, *, rng):
        return [x + rng.random() for _ in range(3)]

    def loop():
        for i in range(20):
            rng = ac.rng(5, i)
            if keep(i, rng):
                yield from [value * rng.random() for value in spread(i, rng=rng)]

    stream = way.par(range(20), seed=5).filter(keep).flat_map(spread).map(lambda x, rng: x * rng.random())
    assert stream.collect() == list(loop())


def test_a_stage_that_draws_nothing_stands_beside_one_that_does(way):
    assert way.par(range(10), seed=5).map(draw).starmap(lambda i, a, b: a).collect() == [
        a for _, a, _ in expected(5, 10)
    ]


def test_a_reduction_draws_the_same_numbers(way):
    stream = way.par(range(300), seed=5).map(lambda x, rng: float(rng.random()))
    total = stream.sum()
    assert total == ac.par(range(300), seed=5, engine="inline").map(lambda x, rng: float(rng.random())).sum()


def test_starmap_and_keyword_arguments_go_with_a_generator(way):
    def function(a, b, *, c, rng):
        return a + b + c, int(rng.integers(100))

    assert way.starmap(function, [(1, 2), (3, 4)], kwargs={"c": 10}, seed=5) == [
        (13, int(ac.rng(5, 0).integers(100))),
        (17, int(ac.rng(5, 1).integers(100))),
    ]


def test_a_method_may_draw(way):
    class Model:
        def sample(self, x, rng):
            return int(rng.integers(10**9))

    assert way.map(Model().sample, range(3), seed=5) == [int(ac.rng(5, i).integers(10**9)) for i in range(3)]


def test_a_first_parameter_that_is_called_rng_is_the_item(way):
    assert way.par([1, 2], seed=5).map(lambda rng: rng).map(lambda x, rng: x).collect() == [1, 2]


def test_any_keyword_is_no_generator(way):
    def function(x, **others):
        return sorted(others)

    assert way.par([1, 2], seed=5).map(function).map(lambda x, rng: x).collect() == [[], []]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n_jobs=st.integers(1, 3),
    chunksize=st.one_of(st.just("auto"), st.integers(1, 12)),
    count=st.integers(0, 30),
    seed=st.integers(0, 2**70),
    name=st.sampled_from([each.name for each in WAYS if each.name != "portable"]),
)
def test_no_engine_no_number_of_workers_and_no_chunk_changes_a_number(n_jobs, chunksize, count, seed, name):
    way = next(each for each in WAYS if each.name == name)
    assert way.map(draw, range(count), seed=seed, n_jobs=n_jobs, chunksize=chunksize) == expected(seed, count)


def test_threads_without_a_generator_of_their_own_are_refused():
    with pytest.raises(ValueError, match=r"threads share .*def f\(x, rng\).*engine='processes'"):
        ac.map(draw_from_globals, range(3), seed=1, engine="threads")


def test_auto_avoids_threads_for_them():
    plan = ac.explain(functools.partial(on.nap, seconds=0.02), range(1000), seed=1)
    assert plan.seconds["threads"] is None
    assert ac.explain(lambda x, rng: on.nap(x, 0.02), range(1000), seed=1).engine == "threads"


def test_a_generator_that_is_given_twice_is_refused():
    with pytest.raises(ValueError, match="rng is given twice: by seed= and by kwargs"):
        ac.map(draw, range(3), kwargs={"rng": numpy.random.default_rng(1)}, seed=1)


@pytest.mark.parametrize(
    ("seed", "error", "words"),
    [
        (-1, ValueError, "seed must be at least 0.*write seed=1"),
        (1.5, TypeError, "seed must be a whole number or a sequence of them, for example seed=1"),
        (True, TypeError, "seed must be a whole number"),
        ("1", TypeError, "seed must be a whole number"),
        ((1, "2"), TypeError, "seed must be a whole number"),
        ((), ValueError, "seed has no numbers; write seed=1"),
        (numpy.random.default_rng(1), TypeError, "seed must be a whole number"),
    ],
    ids=lambda each: type(each).__name__ if hasattr(each, "random") else repr(each),
)
def test_what_is_no_seed_is_refused(seed, error, words):
    with pytest.raises(error, match=words):
        ac.map(draw, range(3), seed=seed)
    with pytest.raises(error, match=words):
        ac.rng(seed, 0)


@pytest.mark.parametrize(("index", "error"), [(-1, ValueError), (0.5, TypeError), (None, TypeError)])
def test_what_is_no_index_is_refused(index, error):
    with pytest.raises(error, match="index must be"):
        ac.rng(1, index)


def test_without_numpy_the_module_random_is_seeded_and_rng_is_refused():
    import subprocess
    import sys

    code = (
        "import sys, random; sys.modules['numpy'] = None\n"
        "import allcores as ac\n"
        "f = lambda x: random.random()\n"
        "a = ac.map(f, range(3), seed=1)\n"
        "assert a == ac.map(f, range(3), seed=1, engine='inline'), a\n"
        "try:\n    ac.map(lambda x, rng: x, range(3), seed=1)\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "NumPy is not installed" in done.stdout


# -- without a seed -----------------------------------------------------------------------------------------


class Sampler:
    """Holds a generator of its own."""

    def __init__(self):
        self.source = random.Random(3)

    def sample(self, _):
        return self.source.random()


def warned(call):
    """The warnings of a call, which are about random numbers only."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert {each.category for each in caught} <= {ac.RandomStateWarning}
    return [str(each.message) for each in caught]


@pytest.mark.parametrize(
    "function", [lambda x: random.random(), lambda x: numpy.random.rand()], ids=["random", "numpy"]
)
def test_a_call_whose_items_drew_from_unseeded_generators_says_so_once(parallel, function):
    for _ in range(2):  # on warm workers too
        (message,) = warned(lambda: parallel.map(function, range(30)))
        assert "the results differ from the loop's" in message
        assert "write seed=1" in message


def test_a_stream_and_a_reduction_say_so_too(parallel):
    stream = parallel.par(range(30)).map(lambda x: random.random())
    for ending in (stream.sum, stream.collect):
        assert len(warned(ending)) == 1
    assert len(warned(lambda: list(stream))) == (parallel.name != "threads")


@pytest.mark.parametrize(
    "function", [lambda x: random.random(), lambda x: numpy.random.rand()], ids=["random", "numpy"]
)
def test_one_number_drawn_in_another_process_is_seen(moving, function):
    """A freshly seeded generator and one that has given a single number are told apart."""
    with pytest.warns(ac.RandomStateWarning, match="drew from the generators"):
        moving.map(function, [0], n_jobs=1)


def test_a_seed_that_is_drawn_and_not_used_is_no_reason_to_warn(parallel):
    """SVC draws one at every fit, for probabilities that nobody asked for."""
    svm = pytest.importorskip("sklearn.svm")
    points, labels = numpy.arange(40.0).reshape(20, 2), numpy.arange(20) % 2

    def score(x):
        return svm.SVC().fit(points, labels).score(points, labels) + x

    assert warned(lambda: parallel.map(score, range(4))) == []


def test_numbers_that_the_caller_draws_meanwhile_are_his_own(parallel):
    items = (random.random() for _ in range(30))
    assert warned(lambda: parallel.map(on.double, items)) == []
    stream = parallel.par(range(30)).map(on.double)
    assert warned(lambda: [random.random() for _ in stream]) == []


def test_the_warning_points_at_the_user_s_own_line():
    for call in (
        lambda function: ac.map(function, range(4), engine="processes", n_jobs=2),
        lambda function: list(ac.par(range(4), engine="processes", n_jobs=2).map(function)),
    ):
        with pytest.warns(ac.RandomStateWarning) as caught:
            call(lambda x: random.random())
        assert [each.filename for each in caught] == [__file__]


def test_auto_says_so_where_items_have_moved():
    ran_in = set()

    def function(x):
        random.random()
        on.burn(x, 0.01)
        return os.getpid(), threading.get_ident()

    complaints = warned(lambda: ran_in.update(ac.map(function, range(100), n_jobs=2)))
    assert len(complaints) == (len(ran_in) > 1)  # a machine that is too busy to start workers moves nothing


def test_what_draws_nothing_says_nothing(way):
    assert warned(lambda: way.map(on.double, range(30))) == []


def test_what_is_seeded_says_nothing(moving):
    assert warned(lambda: moving.map(draw_from_globals, range(30), seed=1)) == []


def test_what_runs_inline_says_nothing():
    """It is the loop's own numbers."""
    random.seed(1)
    loop = [random.random() for _ in range(20)]
    random.seed(1)
    assert ac.map(lambda x: random.random(), range(20)) == loop
    random.seed(1)
    assert ac.map(lambda x: random.random(), range(20), engine="inline") == loop


module_generator = numpy.random.default_rng(1)


def holding_functions():
    captured = numpy.random.RandomState(1)
    listed = [random.Random(1)]
    return {
        "closure": (lambda x: captured.rand(), "captured"),
        "global": (lambda x: module_generator.random(), "module_generator"),
        "container": (lambda x: listed[0].random(), r"listed\[0\]"),
        "method": (Sampler().sample, "source"),
        "partial": (functools.partial(draw, rng=numpy.random.default_rng(1)), "'rng'"),
        "default": (lambda x, source=captured: source.rand(), r"\[0\]"),
        "generator's own": (numpy.random.default_rng(1).normal, "normal"),
    }


@pytest.mark.parametrize("kind", list(holding_functions()))
def test_a_generator_that_the_function_holds_is_named(moving, kind):
    function, name = holding_functions()[kind]
    with pytest.warns(
        ac.RandomStateWarning, match=f"`.*{name}.*` is a random generator that the function holds"
    ):
        moving.map(function, range(4))


def test_threads_share_what_the_function_holds():
    assert warned(lambda: ac.map(Sampler().sample, range(4), engine="threads", n_jobs=2)) == []


def test_what_libraries_keep_for_themselves_is_not_meant(moving):
    from tempfile import mkdtemp  # draws names from a generator of its module

    assert warned(lambda: moving.map(lambda x: x or mkdtemp(), [1, 2])) == []


@pytest.mark.parametrize(
    "function", [random.random, random.choice, numpy.random.rand], ids=["random", "choice", "rand"]
)
def test_methods_of_the_process_s_own_generators_travel_by_name(moving, function, tmp_path):
    """Their state does not: workers would all draw the same."""
    argument = {"choice": (range(10**9),)}.get(function.__name__, ())

    def directly(x):
        on.meet(str(tmp_path), 2, x)
        return float(function(*argument))

    with pytest.warns(ac.RandomStateWarning, match="drew from the generators"):
        assert len(set(moving.map(directly, range(2), chunksize=1))) == 2
    with pytest.warns(ac.RandomStateWarning, match="drew from the generators"):
        assert len(set(moving.starmap(function, [argument] * 20, chunksize=1))) == 20


def test_a_warning_that_is_an_error_leaves_the_pool_usable(moving):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ac.RandomStateWarning):
            moving.map(lambda x: random.random(), range(4))
        assert moving.map(on.double, range(4)) == [0, 2, 4, 6]


def pulled(count, pulls):
    """An iterator that draws from the generators of the process, as people do who make items up."""
    for _ in range(count):
        pulls.append((random.random(), numpy.random.rand()))
        yield pulls[-1]


def test_the_iterator_draws_from_the_callers_own_numbers_whenever_it_is_pulled(way):
    """And what follows draws as it would behind a loop."""
    random.seed(2)
    numpy.random.seed(2)
    loop = list(pulled(12, []))
    behind = random.random(), numpy.random.rand()
    random.seed(2)
    numpy.random.seed(2)
    pulls = []
    assert way.map(lambda x, rng: x, pulled(12, pulls), seed=4) == loop == pulls
    assert (random.random(), numpy.random.rand()) == behind


def test_items_between_pulls_that_draw_keep_their_own_numbers(way):
    if shares(way):
        pytest.skip("threads share them")
    assert way.map(lambda x: draw_from_globals(0), pulled(12, []), seed=5) == way.map(
        draw_from_globals, range(12), seed=5
    )


def test_the_callers_numbers_go_on_behind_an_iterator_that_fails(staying):
    def items():
        yield random.random()
        raise ValueError("the input")

    random.seed(2)
    behind = [random.random(), random.random()][1]
    random.seed(2)
    with pytest.raises(ValueError, match="the input"):
        staying.map(lambda x, rng: x, items(), seed=5)
    assert random.random() == behind
