"""Whatever can be called can be mapped."""

import functools
import math
import operator

import pytest

from . import functions as on


class Inherited(on.Scaler):
    def scale(self, x):
        return super().scale(x) + 1


def test_a_lambda(way):
    assert way.map(lambda x: x + 1, range(10)) == list(range(1, 11))


def test_a_lambda_that_uses_a_module(way):
    assert way.map(lambda x: math.floor(x / 2), range(10)) == [x // 2 for x in range(10)]


def test_a_closure(way):
    factor = {"value": 3}

    def scale(x):
        return factor["value"] * x

    assert way.map(scale, range(10)) == [3 * x for x in range(10)]


def test_a_recursive_lambda(way):
    factorial = lambda n: 1 if n < 2 else n * factorial(n - 1)
    assert way.map(factorial, range(15)) == [math.factorial(n) for n in range(15)]


def test_mutually_recursive_closures(way):
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert way.map(even, range(10)) == [n % 2 == 0 for n in range(10)]


def test_a_bound_method(way):
    assert way.map(on.Scaler(3).scale, range(10)) == [3 * x for x in range(10)]


def test_a_method_that_calls_super(way):
    assert way.map(Inherited(3).scale, range(10)) == [3 * x + 1 for x in range(10)]


def test_a_class_method_and_a_static_method(way):
    assert way.map(on.Scaler.make, range(5)) == list(range(5))
    assert way.map(on.Scaler.halve, range(5)) == [x / 2 for x in range(5)]


def test_a_callable_object(way):
    assert way.map(on.Scaler(3), range(10)) == [3 * x for x in range(10)]


def test_a_class(way):
    assert [each.factor for each in way.map(on.Scaler, range(5))] == list(range(5))


def test_a_partial(way):
    assert way.map(functools.partial(on.add, z=0, y=1), range(5)) == [x + 1 for x in range(5)]


def test_a_partial_of_a_lambda(way):
    assert way.map(functools.partial(lambda x, y: x - y, 10), range(5)) == [10 - x for x in range(5)]


def test_builtins_and_their_methods(way):
    assert way.map(len, ["a", "bb"]) == [1, 2]
    assert way.map(str.upper, ["a", "b"]) == ["A", "B"]
    assert way.map("abc".find, ["a", "c", "x"]) == [0, 2, -1]
    assert way.map({1: "one"}.get, [1, 2]) == ["one", None]


def test_operators(way):
    assert way.map(operator.itemgetter(1), [(1, 2), (3, 4)]) == [2, 4]
    assert way.map(operator.attrgetter("real"), [1, 2j]) == [1, 0.0]
    assert way.map(operator.mul, [1, 2], [3, 4]) == [3, 8]


def test_a_cached_function(way):
    assert way.map(on.cached, [1, 1, 2]) == [2, 2, 3]


def test_a_function_with_defaults_and_keywords(way):
    def function(x, y=[5], *rest, z, **more):  # noqa: B006
        return x + y[0] + z + sum(rest) + sum(more.values())

    assert way.map(function, [1, 2], kwargs={"z": 100, "w": 1000}) == [1106, 1107]


def test_a_decorated_function(way):
    def twice(function):
        @functools.wraps(function)
        def wrapper(x):
            return function(function(x))

        return wrapper

    @twice
    def increment(x):
        return x + 1

    assert way.map(increment, range(5)) == [x + 2 for x in range(5)]


def test_a_function_made_by_exec(way):
    namespace = {"__name__": "nowhere"}
    exec("offset = 7\ndef shift(x):\n    return x + offset", namespace)
    assert way.map(namespace["shift"], range(5)) == [x + 7 for x in range(5)]


def test_a_numpy_function(way):
    numpy = pytest.importorskip("numpy")
    assert [float(y) for y in way.map(numpy.sqrt, [1.0, 4.0, 9.0])] == [1.0, 2.0, 3.0]


def test_a_function_that_returns_a_function(way):
    adders = way.map(lambda x: lambda y: x + y, range(3))
    assert [adder(10) for adder in adders] == [10, 11, 12]


def test_the_function_captured_in_a_large_object(way):
    table = list(range(200_000))
    assert way.map(lambda x: table[x], range(0, 200_000, 20_000)) == list(range(0, 200_000, 20_000))
