"""The switch interval is short while something urgent goes on, and as it was afterwards."""

import sys

import pytest

from allcores.runtime.urgency import SHORT_SECONDS, urgent

pytestmark = pytest.mark.usefixtures("interval")


@pytest.fixture
def interval():
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


def test_it_is_short_inside_and_as_before_afterwards():
    with urgent:
        assert sys.getswitchinterval() == pytest.approx(SHORT_SECONDS)
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_the_last_one_to_leave_restores_it():
    with urgent:
        with urgent:
            pass
        assert sys.getswitchinterval() == pytest.approx(SHORT_SECONDS)
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_an_error_restores_it_too():
    with pytest.raises(KeyError), urgent:
        raise KeyError
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_what_the_user_sets_meanwhile_stays():
    with urgent:
        sys.setswitchinterval(0.002)
    assert sys.getswitchinterval() == pytest.approx(0.002)


def test_a_still_shorter_one_of_the_users_stays():
    sys.setswitchinterval(1e-5)
    with urgent:
        assert sys.getswitchinterval() == pytest.approx(1e-5)
    assert sys.getswitchinterval() == pytest.approx(1e-5)
