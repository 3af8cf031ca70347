"""Warnings are held back by thread, let out at the end, and shown again by the filters of that moment."""

import threading
import warnings

import pytest

from allcores.sklearn.sharing.lease import GivenUp
from allcores.sklearn.sharing.warned import held


def test_what_is_held_back_is_let_out_at_the_end_or_when_the_work_fails():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with held() as log:
            warnings.warn("one", stacklevel=1)
            assert (len(log), len(shown)) == (1, 0)
        assert [str(each.message) for each in shown] == ["one"]
        with pytest.raises(ValueError), held():
            warnings.warn("two", stacklevel=1)
            raise ValueError
        assert [str(each.message) for each in shown] == ["one", "two"]


def test_what_is_given_up_is_not_let_out():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with pytest.raises(GivenUp), held(), held():
            warnings.warn("one", stacklevel=1)
            raise GivenUp
    assert shown == []
    assert warnings.showwarning.__module__ == "warnings"


def test_inner_work_hands_to_outer_work():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with held() as outer:
            with held():
                warnings.warn("one", stacklevel=1)
            assert len(outer) == 1
        assert len(shown) == 1


def test_filters_decide_again_when_a_warning_is_shown_again():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with held() as log:
            warnings.warn("one", stacklevel=1)
        (warning,) = log
        warning.again()
        assert len(shown) == 2
        assert (shown[0].filename, shown[0].lineno) == (shown[1].filename, shown[1].lineno)
        warnings.filterwarnings("error", module=__name__)
        with pytest.raises(UserWarning, match="one"):
            warning.again()
        warnings.simplefilter("ignore")
        warning.again()
        assert len(shown) == 2


def test_threads_do_not_take_each_others_warnings():
    entered, warned = threading.Barrier(2), threading.Barrier(2)
    logs = {}

    def work(name):
        with held() as log:
            entered.wait(10)
            warnings.warn(name, stacklevel=1)
            warned.wait(10)
            logs[name] = [str(each.message) for each in log]

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert logs == {"a": ["a"], "b": ["b"]}
    assert sorted(str(each.message) for each in shown) == ["a", "b"]
