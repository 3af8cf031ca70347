"""A reduction's result depends on the items alone: the same bits wherever and however it ran."""

import functools
import math
import operator
import random
import struct

import pytest

import allcores as ac

from . import functions as on

LENGTH = 2_503  # leaves of 1 to 8 items


def floats(length=LENGTH):
    draw = random.Random(7)
    return [draw.uniform(-1, 1) * 10.0 ** draw.randint(-12, 12) for _ in range(length)]


VALUES = floats()


def halves(x):
    return [x, x / 3] if x > 0 else []


def positive(x):
    return x > 0


def last_digit(x):
    return int(abs(x)) % 7


ENDINGS = {
    "sum": lambda stream: stream.sum(),
    "reduce": lambda stream: stream.reduce(operator.add),
    "fold": lambda stream: stream.fold(float, operator.add, operator.add),
    "fold_by": lambda stream: tuple(stream.fold_by(last_digit, float, operator.add, operator.add).items()),
    "filter": lambda stream: stream.filter(positive).sum(),
    "flat_map": lambda stream: stream.flat_map(halves).sum(),
    "both": lambda stream: stream.filter(positive).flat_map(halves).map(math.sqrt).reduce(operator.add),
}


def bits(result):
    if isinstance(result, tuple):
        return [(key, bits(value)) for key, value in result]
    return struct.pack("d", result)


@functools.cache
def expected(ending):
    return bits(ENDINGS[ending](ac.par(VALUES, engine="inline", n_jobs=1)))


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 7])
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_bits_do_not_depend_on_the_number_of_workers(way, ending, n_jobs):
    assert bits(ENDINGS[ending](way.par(VALUES, n_jobs=n_jobs))) == expected(ending)


@pytest.mark.parametrize("chunksize", [1, 13, 400, 100_000])
@pytest.mark.parametrize("ending", ["sum", "fold_by", "flat_map"])
def test_the_bits_do_not_depend_on_the_chunks(way, ending, chunksize):
    if chunksize == 1 and way.moves:
        values, reference = VALUES[:700], None
    else:
        values, reference = VALUES, expected(ending)
    reference = reference or bits(ENDINGS[ending](ac.par(values, engine="inline", n_jobs=1)))
    assert bits(ENDINGS[ending](way.par(values, chunksize=chunksize))) == reference


def test_the_bits_do_not_depend_on_the_kind_of_input(way):
    assert bits(way.par(iter(VALUES)).sum()) == expected("sum")
    assert bits(way.par(tuple(VALUES), window=50).sum()) == expected("sum")


def test_the_result_is_close_to_the_exact_one():
    error = abs(struct.unpack("d", expected("sum"))[0] - math.fsum(VALUES))
    assert error <= 1e-9 * math.fsum(map(abs, VALUES))


@pytest.mark.parametrize("length", [1, 2, 3, 511, 512, 513, 1023, 1024, 1025, 2049])
def test_exact_operations_equal_the_loop_at_every_length(way, length):
    assert way.par(range(length)).sum() == sum(range(length))
    assert way.par(range(length)).map(str).reduce(operator.add) == "".join(map(str, range(length)))


def test_items_that_were_filtered_out_leave_no_trace(way):
    words = [str(x) for x in range(2000)]
    assert way.par(words).filter(lambda word: "7" in word).reduce(operator.add) == "".join(
        word for word in words if "7" in word
    )


def test_one_slow_item_changes_nothing(way):
    def slow(x):
        return on.burn(x, 0.02) if x == 100 else x

    assert way.par(range(1000)).map(slow).sum() == sum(range(1000)) - 100 + 100 * 100
