"""Functions and methods that the caller has patched run as they are now, not as an import gives them."""

import importlib
import itertools
import textwrap

import pytest

SHOP = """
    class Shop:
        RATE = 1

        def price(self, x):
            return "own"

        @classmethod
        def rate(cls, x):
            return cls.RATE

        def __secret(self, x):
            return "secret"

        def secret(self):
            return self.__secret

    def other(self, x):
        return "other"

    def price(self, x):
        return "of the module"

    def attribute(x):
        return getattr(attribute, "set", None)

    def code(x):
        return "own"

    def another_code(x):
        return "another"

    def both(x):
        return attribute(x), code(x)
"""
_numbers = itertools.count()


def of_the_test(self, x):
    return "of the test"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    name = f"shop_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(SHOP))
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module(name)


def test_a_patched_method_is_mapped(way, shop):
    for patch in (lambda self, x: "a lambda", of_the_test, shop.other, shop.price):
        shop.Shop.price = patch
        expected = [patch(None, 0)]
        assert way.map(shop.Shop().price, [1]) == expected
        assert way.map(lambda x: shop.Shop().price(x), [1]) == expected


def test_a_method_of_the_main_script_that_has_the_name_of_the_one_it_replaces_is_mapped(way, shop):
    def price(self, x):
        return "of the script"

    price.__module__ = "__main__"
    shop.Shop.price = price
    assert way.map(shop.Shop().price, [1]) == ["of the script"]


def test_methods_as_they_were_written_go_by_name(way, shop):
    assert way.map(shop.Shop().price, [1]) == ["own"]
    assert way.map(shop.Shop.rate, [1]) == [1]
    assert way.map(shop.Shop().secret(), [1]) == ["secret"]


def test_attributes_of_functions_travel(way, shop):
    for value in (5, "six", None):
        shop.attribute.set = value
        assert way.map(shop.attribute, [1]) == [value]
        assert way.map(shop.both, [1]) == [(value, "own")]
    del shop.attribute.set
    assert way.map(shop.both, [1]) == [(None, "own")]


def test_code_that_was_put_into_a_function_runs(way, shop):
    own = shop.code.__code__
    for code, expected in (
        (shop.another_code.__code__, "another"),
        ((lambda x: "a lambda").__code__, "a lambda"),
        (own, "own"),
    ):
        shop.code.__code__ = code
        assert way.map(shop.code, [1]) == [expected]
        assert way.map(shop.both, [1]) == [(None, expected)]
