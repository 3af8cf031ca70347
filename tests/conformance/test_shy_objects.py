"""Items, results and exceptions that do not let themselves be looked at, or touched: the loop minds none of it."""

import pytest

import allcores as ac


class Unbound:
    """Like a proxy that stands for nothing yet."""

    @property
    def __class__(self):
        raise RuntimeError("not bound")

    def __reduce_ex__(self, protocol):
        return Unbound, ()


class Closed:
    """Nothing can be asked of it, not even how to pickle it."""

    def __getattribute__(self, name):
        raise ValueError(f"closed: {name}")


class LengthFails(list):
    def __len__(self):
        raise RuntimeError("no length")


class LengthIsNegative(list):
    def __len__(self):
        return -1


class LengthIsWrong(list):
    def __len__(self):
        return 2


class Stiff(Exception):
    def __setattr__(self, name, value):
        raise TypeError("nothing can be set")


class Mute(Exception):
    def __getattribute__(self, name):
        raise RuntimeError("nothing can be read")


def kind(x):
    return type(x).__name__


def fail_stiffly(x):
    if x == 1:
        raise Stiff(x)
    return x


def fail_mutely(x):
    if x == 1:
        raise Mute(x)
    return x


def fail_with_odd_notes(x, notes):
    error = ValueError(x)
    error.__notes__ = notes[:] if isinstance(notes, list) else notes
    raise error


@pytest.mark.parametrize("make", [list, iter], ids=["list", "iterator"])
def test_items_whose_class_cannot_be_asked_for_are_items_like_others(way, make):
    last = Unbound() if way.moves else Closed()
    assert way.map(kind, make([Unbound(), Unbound(), last])) == ["Unbound", "Unbound", type(last).__name__]


def test_results_whose_class_cannot_be_asked_for_are_results_like_others(staying):
    assert [type(x) for x in staying.map(lambda x: Unbound() if x else Closed(), [0, 1])] == [Closed, Unbound]


def test_what_resists_pickling_by_any_error_cannot_travel_and_is_named(moving):
    with pytest.raises(
        ac.Unpicklable, match=r"item 1 .*it is a .*Closed, which cannot be pickled \(ValueError"
    ):
        moving.map(kind, [0, Closed()])
    with pytest.raises(ac.Unpicklable, match=r"`item\['a'\]` is a .*Closed"):
        moving.map(kind, [{"a": Closed()}])
    with pytest.raises(ac.Unpicklable, match=r"result of item 0 .*Closed"):
        moving.map(lambda x: Closed(), [0])


@pytest.mark.parametrize("items", [LengthFails, LengthIsNegative, LengthIsWrong])
def test_what_a_loop_walks_over_needs_no_length(way, items):
    assert way.map(abs, items([1, -2, 3])) == [1, 2, 3]
    assert way.par(items([1, -2, 3])).batch(2).map(len).collect() == [2, 1]


def test_an_exception_that_nothing_can_be_set_on_is_raised_and_returned(way):
    results = way.map(fail_stiffly, range(3), on_error="return")
    assert (results[0], results[2]) == (0, 2)
    assert (type(results[1].error), results[1].error.args) == (Stiff, (1,))
    with pytest.raises(Stiff):
        way.map(fail_stiffly, range(3))


def test_an_exception_that_nothing_can_be_read_from_costs_its_item_alone(way):
    results = way.map(fail_mutely, range(3), on_error="return")
    assert (results[0], results[2]) == (0, 2)
    assert type(results[1].error) is (ac.RemoteError if way.moves else Mute)
    assert way.map(fail_mutely, [0, 2], retries=1) == [0, 2]


@pytest.mark.parametrize("notes", [5, None, ("a", "b"), [5, "a"]], ids=repr)
def test_notes_may_be_anything(way, notes):
    failure = way.map(fail_with_odd_notes, [7], kwargs={"notes": notes}, on_error="return")[0]
    assert (type(failure.error), failure.error.args) == (ValueError, (7,))
    kept = failure.error.__notes__
    assert kept == notes if type(notes) is not list else kept[:2] == notes
