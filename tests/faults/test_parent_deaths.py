"""The processes that workers come from are killed: their workers end, and the next call starts new ones."""

import functools
import threading

import pytest

import allcores as ac

from . import deeds, witness

PARENTS = {"zygote": witness.zygote, "template": witness.template}


@pytest.fixture(autouse=True)
def forks(monkeypatch):
    monkeypatch.delenv("ALLCORES_START", raising=False)


@pytest.fixture(params=PARENTS)
def parent(request):
    """Finds the process that is killed."""
    return PARENTS[request.param]


def run(function, items, **options):
    return ac.map(function, items, **{"engine": "processes", "n_jobs": 2, **options})


def killed_during(parent, directory, call):
    """What a call gives while, after its fifth item, a parent of its workers is killed."""

    def strike():
        if witness.wait_for(lambda: len(list(directory.iterdir())) >= 5):
            witness.strike(parent())

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        return call()
    finally:
        thread.join()


def test_running_items_are_lost_and_the_cause_is_named(parent, tmp_path):
    directory = tmp_path / "begun"
    directory.mkdir()
    function = functools.partial(deeds.begin_and_nap, str(directory))
    results = killed_during(parent, directory, lambda: run(function, range(60), on_error="return"))
    lost = [each for each in results if type(each) is ac.Failure]
    assert 1 <= len(lost) <= 2
    for each in lost:
        assert type(each.error) is ac.WorkerLost
        assert (each.error.index, each.error.signal, each.error.exitcode) == (each.index, None, None)
        assert "killed" in str(each.error)
    places = {each.index for each in lost}
    assert all(results[x] == 2 * x for x in range(60) if x not in places)


def test_with_retries_nothing_is_lost(parent, tmp_path):
    directory = tmp_path / "begun"
    directory.mkdir()
    function = functools.partial(deeds.begin_and_nap, str(directory))
    results = killed_during(parent, directory, lambda: run(function, range(60), retries=1))
    assert results == [2 * x for x in range(60)]


def test_a_stream_goes_on(parent, tmp_path):
    directory = tmp_path / "begun"
    directory.mkdir()
    function = functools.partial(deeds.begin_and_nap, str(directory))
    stream = ac.par(range(60), engine="processes", n_jobs=2, retries=1).map(function)
    assert killed_during(parent, directory, lambda: list(stream)) == [2 * x for x in range(60)]


def test_killed_while_idle_the_next_call_starts_anew(parent):
    for _ in range(3):
        assert run(deeds.nap, range(6)) == [2 * x for x in range(6)]
        witness.strike_dead([parent()], witness.workers("forks"))
    assert run(deeds.nap, range(6)) == [2 * x for x in range(6)]
    assert run(deeds.double, range(6)) == [2 * x for x in range(6)]


def test_killed_while_idle_another_function_works(parent):
    assert run(deeds.nap, range(6)) == [2 * x for x in range(6)]
    witness.strike_dead([parent()], witness.workers("forks"))
    assert run(deeds.double, range(6)) == [2 * x for x in range(6)]
    assert run(lambda x: x + 1, range(6)) == [x + 1 for x in range(6)]


def test_its_workers_end_with_it(parent):
    assert run(deeds.nap, range(6)) == [2 * x for x in range(6)]
    found = witness.workers("forks")
    assert found
    witness.strike_dead([parent()], found)
