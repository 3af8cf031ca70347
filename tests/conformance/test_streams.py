"""Stages and endings of streams, by their laws against plain Python."""

import contextlib
import functools
import gc
import itertools
import operator

import pytest

import allcores as ac

from . import functions as on


class Tap:
    """Endless numbers that count how many were pulled."""

    def __init__(self, source=None):
        self.pulled = 0
        self._source = itertools.count() if source is None else iter(source)

    def __iter__(self):
        return self

    def __next__(self):
        value = next(self._source)
        self.pulled += 1
        return value


def test_nothing_runs_before_an_ending(way):
    tap = Tap()
    way.par(tap).map(on.double).filter(on.is_even)
    assert tap.pulled == 0


def test_a_stream_without_stages_gives_its_items(way):
    assert way.par(range(10)).collect() == list(range(10))


def test_map_maps(way):
    assert way.par(range(50)).map(on.double).collect() == [2 * x for x in range(50)]


def test_maps_compose(way):
    assert way.par(range(50)).map(on.double).map(str).map(len).collect() == [
        len(str(2 * x)) for x in range(50)
    ]


def test_starmap_spreads_a_value(way):
    pairs = [(x, x + 1) for x in range(20)]
    assert way.par(pairs).starmap(operator.mul).collect() == list(itertools.starmap(operator.mul, pairs))


def test_filter_filters(way):
    assert way.par(range(50)).filter(on.is_even).collect() == list(filter(on.is_even, range(50)))


def test_a_filter_may_leave_nothing(way):
    assert way.par(range(50)).filter(lambda x: False).collect() == []


def test_flat_map_flattens_in_order(way):
    assert way.par(range(10)).flat_map(on.up_to).collect() == [y for x in range(10) for y in range(x)]


def test_a_flat_map_may_give_any_iterable(way):
    assert way.par(["a b", "", "c"]).flat_map(lambda text: (word for word in text.split())).collect() == [
        "a",
        "b",
        "c",
    ]


def test_stages_run_in_their_order(way):
    stream = (
        way.par(range(30))
        .map(on.double)
        .filter(lambda x: x % 3)
        .flat_map(on.up_to)
        .map(str)
        .filter(lambda s: "1" in s)
    )
    expected = [str(y) for x in range(30) if 2 * x % 3 for y in range(2 * x) if "1" in str(y)]
    assert stream.collect() == expected


@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_batches_come_in_lists_and_the_last_may_be_shorter(way, size):
    expected = [list(range(10))[start : start + size] for start in range(0, 10, size)]
    assert way.par(range(10)).batch(size).collect() == expected
    assert way.par(iter(range(10))).batch(size).collect() == expected


def test_a_batch_is_an_item_of_its_own(way):
    assert way.par(range(10)).batch(4).map(sum).collect() == [6, 22, 17]


def test_a_stream_can_be_run_again_where_its_items_can(way):
    stream = way.par(range(10)).map(on.double)
    assert stream.collect() == stream.collect() == list(stream)


def test_a_stage_makes_a_new_stream_and_leaves_the_old_one(way):
    doubled = way.par(range(5)).map(on.double)
    assert doubled.map(str).collect() == ["0", "2", "4", "6", "8"]
    assert doubled.collect() == [0, 2, 4, 6, 8]


# -- endings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("items", [[], [5], list(range(1, 40))], ids=len)
def test_iterating_collect_and_map_agree(way, items):
    stream = way.par(items).map(on.double)
    assert list(stream) == stream.collect() == way.map(on.double, items) == [2 * x for x in items]


@pytest.mark.parametrize("items", [[], [5], list(range(1, 40))], ids=len)
def test_sum_and_count_are_those_of_the_loop(way, items):
    stream = way.par(items).map(on.double)
    assert stream.sum() == sum(2 * x for x in items)
    assert stream.count() == len(items)


@pytest.mark.parametrize("items", [[5], [3, 1, 2, 1, 3], list(range(40, 0, -1))], ids=len)
def test_min_and_max_are_those_of_the_loop(way, items):
    stream = way.par(items)
    assert (stream.min(), stream.max()) == (min(items), max(items))


def test_min_and_max_take_the_first_of_equal_ones(way):
    items = [(x % 3, x) for x in range(30)]
    stream = way.par(items)
    key = operator.itemgetter(0)
    assert stream.min(key=key) == min(items, key=key) == (0, 0)
    assert stream.max(key=key) == max(items, key=key) == (2, 2)


def test_extremes_of_nothing_are_refused_or_the_default(way):
    assert way.par([]).min(default=7) == 7
    assert way.par([]).max(default=None) is None
    with pytest.raises(ValueError, match="default="):
        way.par([]).min()


def test_reduce_is_functools_reduce_where_the_operation_is_associative(way):
    words = [chr(97 + x % 26) for x in range(700)]
    assert way.par(words).reduce(operator.add) == functools.reduce(operator.add, words)


def test_reduce_of_nothing_says_what_to_write(way):
    with pytest.raises(TypeError, match="fold"):
        way.par([]).reduce(operator.add)
    with pytest.raises(TypeError, match="fold"):
        way.par(range(600)).filter(lambda x: False).reduce(operator.add)


def test_fold_keeps_the_order_of_the_items(way):
    items = list(range(700))
    assert way.par(items).fold(list, lambda seen, x: [*seen, x], operator.add) == items
    assert way.par([]).fold(list, lambda seen, x: [*seen, x], operator.add) == []


def test_fold_by_keeps_keys_in_order_of_first_appearance(way):
    items = [(7 * x) % 10 for x in range(600)]
    counts = {}
    for x in items:
        counts[x] = counts.get(x, 0) + 1
    result = way.par(items).fold_by(lambda x: x, int, lambda n, x: n + 1, operator.add)
    assert list(result.items()) == list(counts.items())
    assert way.par([]).fold_by(lambda x: x, int, lambda n, x: n + 1, operator.add) == {}


def test_the_initial_value_of_a_fold_is_made_by_a_function(way):
    with pytest.raises(TypeError, match="init=lambda"):
        way.par([1]).fold(0, operator.add, operator.add)
    with pytest.raises(TypeError, match="init=lambda"):
        way.par([1]).fold_by(str, 0, operator.add, operator.add)


def test_endings_come_after_filter_and_flat_map(way):
    values = [y for x in range(60) if x % 2 for y in range(x)]
    stream = way.par(range(60)).filter(lambda x: x % 2).flat_map(on.up_to)
    assert stream.sum() == sum(values)
    assert stream.count() == len(values)
    assert stream.max() == max(values)
    assert stream.reduce(operator.add) == sum(values)
    assert stream.fold(list, lambda seen, x: [*seen, x], operator.add) == values
    assert stream.first(lambda y: y > 5) == 6


def test_for_each_runs_all_and_gives_nothing(way, tmp_path):
    directory = str(tmp_path)
    assert way.par(range(40)).map(on.double).for_each(functools.partial(on.touch, directory)) is None
    assert set(on.attempts(directory)) == {2 * x for x in range(40)}


def test_first_is_the_first_in_order(way):
    assert way.par(range(1000)).map(on.double).first() == 0
    assert way.par(range(1000)).first(lambda x: x > 700) == 701
    assert way.par(range(10)).first(lambda x: x > 700, default="none") == "none"
    with pytest.raises(ValueError, match="default="):
        way.par(range(10)).first(lambda x: x > 700)


def test_first_may_be_false_or_none(way):
    assert way.par([0, 1]).first() == 0
    assert way.par([1, 0]).map({}.get).first() is None


def test_first_ends_on_endless_input(way):
    tap = Tap()
    assert way.par(tap).first(lambda x: x >= 300) == 300
    assert tap.pulled < 1_000_000


def test_any_and_all_are_those_of_the_loop(way):
    for items in ([], [0, 0], [0, 1], [1, 1], [1, 0]):
        assert way.par(items).any() is any(items)
        assert way.par(items).all() is all(items)
    assert way.par(itertools.count()).any(lambda x: x > 50) is True
    assert way.par(itertools.count()).all(lambda x: x < 50) is False


def test_an_earlier_exception_wins_over_a_later_hit(way):
    stream = way.par(range(100)).map(functools.partial(on.fail_at, {3}))
    for ending in (lambda: stream.first(lambda y: y == 8), lambda: stream.any(lambda y: y == 8)):
        with pytest.raises(ValueError, match="bad 3"):
            ending()


def test_a_hit_wins_over_a_later_exception(way):
    stream = way.par(range(100)).map(functools.partial(on.fail_at, {3, 50}))
    assert stream.first(lambda y: y == 4) == 4
    assert stream.any(lambda y: y == 4) is True


def test_a_folding_function_that_raises_raises_its_own_error(way):
    def step(total, x):
        if x == 40:
            raise KeyError("step")
        return total + x

    with pytest.raises(KeyError, match="step"):
        way.par(range(600)).fold(int, step, operator.add)


def test_a_merging_function_that_raises_raises_its_own_error(way):
    def merge(left, right):
        raise ArithmeticError("merge")

    with pytest.raises(ArithmeticError, match="merge"):
        way.par(range(600)).reduce(merge)


# -- streaming ----------------------------------------------------------------------------------------


def test_endless_input_is_pulled_within_the_window(way):
    tap, window = Tap(), 16
    results = iter(way.par(tap, window=window).map(on.double))
    for taken in range(1, 300):
        assert next(results) == 2 * (taken - 1)
        assert tap.pulled <= taken + 2 * window
    results.close()


def test_without_a_window_pulling_is_bounded_too(way):
    tap = Tap()
    results = iter(way.par(tap).map(on.nap))
    for _ in range(5):
        next(results)
    assert tap.pulled <= 5 + 2000
    results.close()


def test_large_values_bound_the_window_by_their_bytes(moving):
    tap = Tap()
    results = iter(moving.par(tap).map(lambda x: bytes(8 << 20)))
    for _ in range(3):
        next(results)
    assert tap.pulled <= 64
    results.close()


@pytest.mark.parametrize("window_bytes", [1, 1 << 20])
def test_any_window_in_bytes_gives_the_same_answer(way, window_bytes):
    stream = way.par(range(50), window_bytes=window_bytes).map(lambda x: bytes(x * 1000))
    assert [len(value) for value in stream] == [x * 1000 for x in range(50)]


def test_closing_a_stream_stops_pulling(way):
    tap = Tap()
    stream = way.par(tap, window=8).map(on.double)
    results = iter(stream)
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    stream.close()
    pulled = tap.pulled
    assert list(results) == []
    assert tap.pulled == pulled


def test_closing_an_iterator_cancels_its_work(way, tmp_path):
    directory = str(tmp_path)
    results = iter(
        way.par(itertools.count(), window=8).map(functools.partial(on.attempt, directory, 0, ValueError))
    )
    for _ in range(3):
        next(results)
    results.close()
    started = on.attempts(directory)
    assert way.map(on.double, range(20)) == [2 * x for x in range(20)]
    assert on.attempts(directory) == started


def test_a_stream_left_half_way_leaves_the_next_call_alone(way):
    for value in way.par(itertools.count()).map(on.double):
        if value == 20:
            break
    assert way.map(on.double, range(20)) == [2 * x for x in range(20)]


def test_a_stream_can_be_closed_twice_and_before_it_runs(way):
    stream = way.par(range(5)).map(on.double)
    stream.close()
    stream.close()
    assert stream.collect() == [0, 2, 4, 6, 8]


def test_two_iterations_over_one_stream_do_not_mix(way):
    stream = way.par(range(30)).map(on.double)
    assert list(zip(stream, stream, strict=True)) == [(2 * x, 2 * x) for x in range(30)]


def test_the_consumer_may_call_allcores_too(way):
    results = [way.map(on.double, [value]) for value in way.par(range(5)).map(on.double)]
    assert results == [[4 * x] for x in range(5)]


def test_unordered_results_are_the_same_ones(way):
    stream = way.par(range(200), ordered=False).map(on.double)
    assert sorted(stream) == [2 * x for x in range(200)]


def test_unordered_results_come_as_they_finish(parallel, tmp_path):
    function = functools.partial(on.after_the_consumer, str(tmp_path))
    results = []
    for value in parallel.par(range(20), ordered=False, chunksize=1).map(function):
        results.append(value)
        on.touch(str(tmp_path), "taken")
    assert sorted(results) == list(range(20))
    assert results[0] != 0


def test_reductions_do_not_care_about_ordered(way):
    words = [chr(97 + x % 26) for x in range(700)]
    assert way.par(words, ordered=False).reduce(operator.add) == "".join(words)
    assert way.par(range(100), ordered=False).first(lambda x: x > 5) == 6


def test_slow_consumers_get_everything(way):
    results = []
    for value in way.par(range(30)).map(on.double):
        on.burn(0, 0.001)
        results.append(value)
    assert results == [2 * x for x in range(30)]


def test_par_refuses_what_is_not_iterable():
    with pytest.raises(TypeError, match="iterable"):
        ac.par(5)


def test_batch_comes_first_and_has_a_size():
    with pytest.raises(ValueError, match="first"):
        ac.par([1]).map(on.double).batch(2)
    for size in (0, -1):
        with pytest.raises(ValueError, match="at least 1"):
            ac.par([1]).batch(size)
    for size in (1.5, True, "3"):
        with pytest.raises(TypeError, match="whole number"):
            ac.par([1]).batch(size)


def left_by(way, rows, how):
    """Leaves a loop over a stream of rows."""
    for value in way.par(rows).map(on.double):
        if value >= 6:
            if how == "break":
                break
            if how == "return":
                return
            raise ValueError("the consumer's own")


@pytest.mark.parametrize("how", ["break", "return", "raise"])
def test_a_generator_is_closed_as_soon_as_the_loop_over_it_is_left(way, how):
    told = []

    def rows():
        try:
            yield from itertools.count()
        finally:
            told.append("closed")

    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            left_by(way, rows(), how)
        assert told == ["closed"]
        with contextlib.suppress(ZeroDivisionError):
            for _ in way.par(rows()).map(lambda x: 1 / (9 - x)):
                pass
        assert told == ["closed"] * 2
        assert way.par(rows()).first(lambda x: x > 9) == 10
        assert told == ["closed"] * 3
    finally:
        gc.enable()


def test_a_generator_that_somebody_else_has_stays_open(way):
    rows = (x for x in itertools.count())
    left_by(way, rows, "break")
    assert next(rows) > 3
