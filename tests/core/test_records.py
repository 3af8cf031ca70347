"""Our named tuples are those of ``typing``, as far as anybody could tell, and are made in less time."""

import copy
import inspect
import pickle
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allcores.core.records import NamedTuple


class Ours(NamedTuple):
    """A place."""

    x: int
    y: int = 2
    label: str = ""

    @property
    def total(self):
        return self.x + self.y


class Theirs(typing.NamedTuple):
    """A place."""

    x: int
    y: int = 2
    label: str = ""

    @property
    def total(self):
        return self.x + self.y


class Empty(NamedTuple):
    """Has no fields."""


CALLS = [
    lambda kind: kind(1),
    lambda kind: kind(1, label="here"),
    lambda kind: kind(x=3, y=4),
    lambda kind: kind(1).total,
    lambda kind: kind(1)._replace(y=7, label="there"),
    lambda kind: kind._make([1, 2, "a"]),
    lambda kind: kind(1)._asdict(),
    lambda kind: kind(1) == (1, 2, ""),
    lambda kind: hash(kind(1)),
    lambda kind: kind(1)[1:],
    lambda kind: (*kind(1),),
    lambda kind: kind(2) > kind(1),
    lambda kind: copy.deepcopy(kind(1, label="b")),
    lambda kind: pickle.loads(pickle.dumps(kind(1, label="b"))),
    lambda kind: kind._fields,
    lambda kind: kind._field_defaults,
    lambda kind: kind.__match_args__,
    lambda kind: kind.__doc__,
    lambda kind: kind.__module__,
    lambda kind: [(each.name, each.default) for each in inspect.signature(kind).parameters.values()],
    lambda kind: hasattr(kind(1), "__dict__"),
]
MISTAKES = [
    lambda kind: kind(),
    lambda kind: kind(1, 2, "", 4),
    lambda kind: kind(1, z=2),
    lambda kind: kind._make([1]),
    lambda kind: setattr(kind(1), "x", 2),
    lambda kind: setattr(kind(1), "z", 2),
]


def told(value):
    return repr(value).replace("Theirs", "Ours")


@pytest.mark.parametrize("call", CALLS)
def test_they_do_the_same(call):
    assert told(call(Ours)) == told(call(Theirs))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_they_refuse_the_same_in_the_same_words(mistake):
    with pytest.raises(Exception) as theirs:
        mistake(Theirs)
    with pytest.raises(type(theirs.value)) as ours:
        mistake(Ours)
    assert str(ours.value) == str(theirs.value).replace("Theirs", "Ours")


def test_a_field_that_is_not_there_cannot_be_replaced():  # Python 3.13 raises TypeError too, 3.12 ValueError
    with pytest.raises(TypeError, match="unexpected field names: \\['z'\\]"):
        Ours(1)._replace(z=2)


def test_one_without_fields():
    assert Empty() == ()
    assert repr(Empty()) == "Empty()"


@given(st.integers(), st.integers(), st.text())
def test_they_hold_the_same(x, y, label):
    assert Ours(x, y, label) == Theirs(x, y, label)
    assert told(Ours(x, y, label)) == told(Theirs(x, y, label))


def test_classes_of_as_many_fields_share_one_constructor_with_names_of_their_own():
    class Other(NamedTuple):
        first: int
        second: int
        third: int

    assert Other(1, third=3, second=2) == (1, 2, 3)
    assert Other.__new__.__code__.co_code == Ours.__new__.__code__.co_code
    with pytest.raises(TypeError, match=r"Other.__new__\(\) missing 1 required positional argument: 'third'"):
        Other(1, 2)
