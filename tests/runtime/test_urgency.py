"""The switch interval is short while something urgent goes on, and as it was afterwards."""

import os
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # 3.12: of threads beside a fork
def test_a_fork_has_the_usual_interval_and_can_be_urgent_itself():
    with urgent:
        pid = os.fork()
        if pid == 0:
            usual = sys.getswitchinterval()
            with urgent:
                short = sys.getswitchinterval()
            os._exit(0 if short < usual == sys.getswitchinterval() else 1)
    assert os.waitpid(pid, 0)[1] == 0
