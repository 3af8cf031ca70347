"""A worker dies: its item is lost, with the reason; nothing else is."""

import functools
import os
import signal
import threading

import pytest

import allcores as ac

from . import deeds, witness


def run(function, items, **options):
    return ac.map(function, items, **{"engine": "processes", "n_jobs": 2, **options})


def assert_only_lost(results, bad, expected=deeds.double):
    """Exactly these items are lost, all others are there."""
    lost = [each.index for each in results if type(each) is ac.Failure]
    assert lost == sorted(bad)
    assert all(type(results[x].error) is ac.WorkerLost and results[x].error.index == x for x in bad)
    assert all(results[x] == expected(x) for x in range(len(results)) if x not in bad)


@pytest.mark.parametrize("death", deeds.DEATHS)
def test_the_error_names_item_and_cause(start, death):
    _, number, code = deeds.DEATHS[death]
    with pytest.raises(ac.WorkerLost) as caught:
        run(functools.partial(deeds.die_at, {5}, death), range(20))
    error = caught.value
    assert (error.index, error.signal, error.exitcode) == (5, number, code)
    assert "item 5" in str(error)
    assert (signal.Signals(number).name if number else "exit code 3") in str(error)
    assert str(error).endswith("to try again, retries=1.")
    finished = ac.partial(error)
    assert set(finished) >= set(range(5))
    assert finished == {x: 2 * x for x in finished}
    assert run(deeds.double, range(20)) == [2 * x for x in range(20)]


@pytest.mark.parametrize("death", deeds.DEATHS)
def test_only_that_item_is_lost(start, death):
    results = run(functools.partial(deeds.die_at, {5, 17}, death), range(40), on_error="return")
    assert_only_lost(results, {5, 17})
    _, number, code = deeds.DEATHS[death]
    assert {(results[x].error.signal, results[x].error.exitcode) for x in (5, 17)} == {(number, code)}
    assert [results[x].item for x in (5, 17)] == [5, 17]


def test_a_poisonous_item_costs_itself_alone_of_a_thousand(start, tmp_path):
    directory = tmp_path / "tries"
    directory.mkdir()
    function = functools.partial(deeds.die_and_count, str(directory), {500})
    results = run(function, range(1000), on_error="return")
    assert_only_lost(results, {500})
    assert results[500].error.signal == signal.SIGKILL
    assert deeds.tries(directory)[500] == 1


def test_a_poisonous_item_is_tried_as_often_as_asked(start, tmp_path):
    directory = tmp_path / "tries"
    directory.mkdir()
    function = functools.partial(deeds.die_and_count, str(directory), {500})
    results = run(function, range(1000), on_error="return", retries=2)
    assert_only_lost(results, {500})
    assert deeds.tries(directory)[500] == 3


def test_a_lost_worker_is_a_failed_attempt(start, tmp_path):
    directory = tmp_path / "tries"
    directory.mkdir()
    bad = {0, 7, 19}
    assert run(functools.partial(deeds.die_first_time, str(directory), bad), range(20), retries=1) == [
        2 * x for x in range(20)
    ]


def test_a_lost_worker_is_not_tried_again_where_retry_on_leaves_it_out(start, tmp_path):
    directory = tmp_path / "tries"
    directory.mkdir()
    function = functools.partial(deeds.die_first_time, str(directory), {3})
    with pytest.raises(ac.WorkerLost):
        run(function, range(8), retries=3, retry_on=ValueError)


@pytest.mark.parametrize(
    "bad", [{0}, {59}, set(range(0, 60, 7)), set(range(10, 20))], ids=["first", "last", "some", "run"]
)
def test_it_does_not_matter_which_items_kill(start, bad):
    results = run(functools.partial(deeds.die_at, bad, "SIGKILL"), range(60), on_error="return", chunksize=8)
    assert_only_lost(results, bad)


def test_every_item_may_kill_its_worker(start):
    results = run(functools.partial(deeds.die_at, set(range(30)), "SIGKILL"), range(30), on_error="return")
    assert_only_lost(results, set(range(30)))


def test_a_single_worker_is_replaced(start):
    results = run(functools.partial(deeds.die_at, {3, 4}, "os._exit"), range(10), n_jobs=1, on_error="return")
    assert_only_lost(results, {3, 4})


def test_a_stream_goes_on_behind_a_lost_item(start):
    stream = ac.par(range(40), engine="processes", n_jobs=2, on_error="return")
    assert_only_lost(list(stream.map(functools.partial(deeds.die_at, {5}, "SIGKILL"))), {5})


def test_a_reduction_raises_and_one_with_retries_does_not(start, tmp_path):
    directory = tmp_path / "tries"
    directory.mkdir()
    stream = ac.par(range(600), engine="processes", n_jobs=2)
    with pytest.raises(ac.WorkerLost) as caught:
        stream.map(functools.partial(deeds.die_at, {300}, "SIGKILL")).sum()
    assert caught.value.index == 300
    again = ac.par(range(600), engine="processes", n_jobs=2, retries=1)
    assert again.map(functools.partial(deeds.die_first_time, str(directory), {300})).sum() == sum(
        range(0, 1200, 2)
    )


def test_the_engine_that_chooses_survives_where_a_timeout_makes_it_choose_processes(start):
    results = ac.map(
        functools.partial(deeds.die_at, {5}, "SIGKILL"), range(20), timeout=30, on_error="return"
    )
    assert_only_lost(results, {5})


def test_workers_killed_while_idle_are_replaced(start):
    for _ in range(3):
        assert run(deeds.nap, range(8)) == [2 * x for x in range(8)]
        found = witness.workers(start)
        assert found
        witness.strike_dead(found)
    assert run(deeds.nap, range(8)) == [2 * x for x in range(8)]


def test_one_of_two_idle_workers_killed_is_replaced(start):
    assert run(deeds.nap, range(8)) == [2 * x for x in range(8)]
    witness.strike_dead(witness.workers(start)[:1])
    assert run(deeds.nap, range(8)) == [2 * x for x in range(8)]


@pytest.mark.parametrize("length", [1, 7, 24, 1000])
def test_half_a_message_is_the_loss_of_its_item(start, length):
    results = run(functools.partial(deeds.cut_frame, 5, length), range(20), on_error="return")
    assert_only_lost(results, {5})


def test_nonsense_in_a_channel_ends_its_worker_and_hangs_nothing(start):
    results = run(functools.partial(deeds.babble, 5), range(20), on_error="return", chunksize=1)
    lost = {each.index for each in results if type(each) is ac.Failure}
    assert len(lost) <= 1
    assert all(results[x] == 2 * x for x in range(20) if x not in lost)
    assert run(deeds.double, range(20)) == [2 * x for x in range(20)]


def test_a_worker_killed_while_it_sends_a_large_result(start, tmp_path):
    directory = tmp_path / "sending"
    directory.mkdir()
    for _ in range(5):
        for each in directory.iterdir():
            each.unlink()
        over = threading.Event()

        def kill_the_sender(over=over):
            witness.wait_for(lambda: list(directory.iterdir()) or over.is_set())
            for each in directory.iterdir():
                witness.strike(int(each.name))

        thread = threading.Thread(target=kill_the_sender)
        thread.start()
        results = run(functools.partial(deeds.large_result, str(directory), 3), range(8), on_error="return")
        over.set()
        thread.join()
        assert all(len(results[x]) == 10 for x in range(8) if x != 3)
        if type(results[3]) is ac.Failure:
            assert (results[3].error.index, results[3].error.signal) == (3, signal.SIGKILL)
        else:
            assert len(results[3]) == 40_000_000


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("dies", [True, False], ids=["and dies", "and goes on"])
@pytest.mark.parametrize("kind", deeds.GRANDCHILDREN)
def test_a_worker_leaves_a_grandchild(start, kind, dies, tmp_path):
    directory = tmp_path / "grandchildren"
    directory.mkdir()
    try:
        function = functools.partial(deeds.leave_grandchild, str(directory), kind, 5, dies)
        results = run(function, range(20), on_error="return")
        assert_only_lost(results, {5} if dies else set())
        if dies:
            assert results[5].error.signal == signal.SIGKILL
        assert run(deeds.double, range(20)) == [2 * x for x in range(20)]
        ac.shutdown()
    finally:
        for each in directory.iterdir():
            witness.strike(int(each.name))


def test_a_worker_stopped_for_its_timeout_leaves_nothing(start, tmp_path):
    with pytest.raises(ac.TaskTimeout):
        run(_sleep_long, range(4), timeout=0.2)
    assert run(deeds.double, range(20)) == [2 * x for x in range(20)]


def _sleep_long(x):
    if x == 2:
        threading.Event().wait(600)
    return x


def test_a_worker_killed_by_hand_while_it_waits_for_its_first_item(start):
    """Killed as soon as it exists, again and again, for as long as the call lasts."""
    over = threading.Event()
    kills = []

    def strike():
        while not over.is_set() and len(kills) < 5:
            try:
                for pid in witness.workers(start)[:1]:
                    witness.strike(pid)
                    kills.append(pid)
            except ValueError:
                pass  # no zygote or template yet
            over.wait(0.005)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        results = run(deeds.nap, range(40), retries=10)
    finally:
        over.set()
        thread.join()
    assert results == [2 * x for x in range(40)]
    assert os.getpid() not in kills
