"""One budget of cores: nested calls, threads that call at once, other people's pools, and BLAS threads."""

import concurrent.futures
import importlib.util
import multiprocessing
import multiprocessing.resource_tracker
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

import allcores as ac
from allcores.runtime import budget
from allcores.tasks import inner_threads

from . import functions as on

pytest.importorskip("numpy")


@pytest.fixture
def four_cores(monkeypatch):
    """A machine with four cores, as far as this process can see."""
    monkeypatch.setattr(budget, "cpu_count", lambda: 4)


def library_threads(_):
    import numpy
    import threadpoolctl

    numpy.dot(numpy.ones((2, 2)), numpy.ones((2, 2)))
    return max(each["num_threads"] for each in threadpoolctl.threadpool_info())


def cores_left(_):
    """What a call inside this item may count on, and what its plan is for what needs no workers."""
    return budget.Seats().free(), ac.explain(abs, [1]).engine


def hold(directory, x):
    """Runs until it may end; says how many run."""
    on.touch(directory, f"{x}-{os.getpid()}")
    on.poll(lambda: os.path.exists(os.path.join(directory, "end")))
    return os.getpid()


# -- inside our workers -------------------------------------------------------------------------------------


def test_a_worker_has_its_share_of_the_cores(parallel, four_cores):
    assert {cores for cores, _ in parallel.map(cores_left, range(6), n_jobs=2)} == {2}


def test_where_workers_fill_the_cores_a_nested_call_stays_inline(parallel, four_cores):
    assert set(parallel.map(cores_left, range(8), n_jobs=4)) == {(1, "inline")}


def test_more_workers_than_cores_leave_one_to_each(parallel, four_cores):
    assert set(parallel.map(cores_left, range(8), n_jobs=6)) == {(1, "inline")}


def test_warm_workers_learn_their_new_share(four_cores):
    for n_jobs, share in ((2, 2), (4, 1), (1, 4)):
        results = ac.map(cores_left, range(6), engine="processes", n_jobs=n_jobs)
        assert {cores for cores, _ in results} == {share}


def test_an_explicit_number_of_workers_is_obeyed_in_a_worker(parallel, tmp_path):
    def outer(x):
        directory = tmp_path / str(x)
        directory.mkdir()
        inner = lambda y: on.meet(str(directory), 3, y)
        return ac.map(inner, range(3), engine="threads", n_jobs=3, chunksize=1)

    assert parallel.map(outer, range(2), n_jobs=2) == [[True] * 3] * 2


def test_three_levels_share_what_is_left(four_cores):
    outer = lambda x: ac.map(cores_left, [x] * 2, engine="threads", n_jobs=2)
    assert ac.map(outer, range(2), engine="threads", n_jobs=2) == [[(1, "inline")] * 2] * 2


# -- calls at the same time ---------------------------------------------------------------------------------


def test_calls_that_run_at_once_share_the_cores(tmp_path, four_cores):
    directory = str(tmp_path)

    def call():
        ac.map(lambda x: hold(directory, x), range(8), engine="processes", chunksize=1)

    first = threading.Thread(target=call)
    first.start()
    assert on.poll(lambda: len(os.listdir(directory)) == 4)
    assert budget.Seats().free() == 1
    second = threading.Thread(target=call)
    second.start()
    assert on.poll(lambda: len(os.listdir(directory)) == 5)
    assert budget._taken == 5
    on.touch(directory, "end")
    first.join(30)
    second.join(30)
    assert budget.Seats().free() == 4


def test_an_explicit_number_is_obeyed_beside_other_calls(four_cores):
    others = budget.Seats()
    others.take(4, firm=False)
    mine = budget.Seats()
    assert mine.take(3, firm=True) == 3
    third = budget.Seats()
    assert third.take(5, firm=False) == 1
    for each in (others, mine, third, third):
        each.give_back()
    assert budget._taken == 0


def test_a_call_s_own_workers_do_not_stand_in_its_way(four_cores):
    mine = budget.Seats()
    assert mine.take(3, firm=False) == 3
    assert (mine.free(), budget.Seats().free()) == (4, 1)
    mine.give_back()


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_cores_are_given_back_after_an_error(engine, four_cores):
    with pytest.raises(ZeroDivisionError):
        ac.map(lambda x: 1 / x, [1, 0], engine=engine)
    stream = iter(ac.par(range(100), engine=engine, window=4).map(on.double))
    next(stream)
    assert budget.Seats().free() < 4
    stream.close()
    assert budget.Seats().free() == 4


def test_cores_are_given_back_by_a_function_that_cannot_travel(four_cores):
    lock = threading.Lock()
    with pytest.raises(ac.Unpicklable):
        ac.map(lambda x: lock, range(3), engine="processes")
    assert budget.Seats().free() == 4


# -- inside other people's workers --------------------------------------------------------------------------


def in_somebody_s_worker(x):
    """What a call finds there: whose worker this is, the cores, the plan, and the right answer."""
    seats = budget.Seats()
    plan = ac.explain(on.burn, range(1000))
    return (
        seats.worker_of,
        seats.free(),
        plan.engine,
        ac.map(on.double, range(x)) == [2 * y for y in range(x)],
    )


@pytest.fixture(autouse=True, scope="module")
def nobody_is_left():
    """What multiprocessing keeps until the end of a program would look like ours elsewhere."""
    yield
    multiprocessing.resource_tracker._resource_tracker._stop()
    assert psutil.Process().children(recursive=True) == []


LOKY = """
import joblib
from conformance.test_budget import in_somebody_s_worker
with joblib.parallel_config(backend="loky"):
    results = joblib.Parallel(n_jobs=2)(joblib.delayed(in_somebody_s_worker)(x) for x in range(4))
print(*set(results))
"""


def test_a_worker_of_joblib_s_loky_stays_inline():
    pytest.importorskip("joblib")
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-c", LOKY], env=environment, capture_output=True, text=True, timeout=50
    )
    assert done.stdout == "('loky or concurrent.futures', 1, 'inline', True)\n", done.stderr


def test_a_daemonic_process_of_multiprocessing_stays_inline():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(in_somebody_s_worker, [3]) == [("multiprocessing", 1, "inline", True)]


def test_a_worker_of_concurrent_futures_stays_inline():
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        assert list(executor.map(in_somebody_s_worker, [3])) == [
            ("loky or concurrent.futures", 1, "inline", True)
        ]


def ask_and_tell(queue):
    queue.put(in_somebody_s_worker(3)[0])


def test_a_process_of_the_user_s_own_has_all_cores():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=ask_and_tell, args=(queue,))
    process.start()
    assert queue.get(timeout=30) is None
    process.join(30)
    queue.close()


def test_explicit_processes_run_in_a_daemonic_process():
    """multiprocessing itself refuses children to its daemons."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(on.nested_processes, [4]) == [[0, 2, 4, 6]]


def test_a_worker_of_pytest_xdist_counts_one_core():
    code = "from allcores.runtime.budget import Seats; seats = Seats(); print(seats.worker_of, seats.free())"
    environment = {**os.environ, "PYTEST_XDIST_WORKER": "gw0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "pytest-xdist 1\n"


IN_DASK = """
import allcores as ac
from allcores.runtime.budget import Seats
from distributed import Client, LocalCluster

def inside(n):
    seats = Seats()
    doubled = ac.map(lambda x: 2 * x, range(n), engine="processes", n_jobs=2)
    return seats.worker_of, seats.free(), ac.map(abs, range(-n, 0)), doubled

if __name__ == "__main__":
    size = {"n_workers": 1, "threads_per_worker": 2}
    with LocalCluster(**size, processes=PROCESSES, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            print(client.submit(inside, 3).result())
"""


@pytest.mark.parametrize("processes", [False, True], ids=["threads of one process", "worker processes"])
def test_a_task_on_a_dask_cluster_counts_one_core_and_may_ask_for_more(tmp_path, processes):
    if (
        importlib.util.find_spec("distributed") is None
    ):  # to import it here would change how exceptions are pickled
        pytest.skip("distributed is not installed")
    script = tmp_path / "script.py"
    script.write_text(IN_DASK.replace("PROCESSES", str(processes)))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=50)
    assert done.stdout == "('Dask', 1, [3, 2, 1], [0, 2, 4])\n", done.stderr


def test_a_fork_of_a_process_with_workers_has_all_cores(four_cores):
    mine = budget.Seats()
    mine.take(3, firm=False)
    pid = os.fork()
    if not pid:
        os._exit(budget.Seats().free())
    _, status = os.waitpid(pid, 0)
    mine.give_back()
    assert os.waitstatus_to_exitcode(status) == 4


# -- threads of libraries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_libraries_start_as_many_threads_as_were_asked_for(way, threads):
    before = library_threads(None)
    assert set(way.map(library_threads, range(4), inner_threads=threads)) == {threads}
    assert library_threads(None) == before


def test_a_worker_process_gets_its_share(moving, four_cores):
    for n_jobs, threads in ((4, 1), (2, 2), (1, 4), (8, 1)):
        assert set(moving.map(library_threads, range(6), n_jobs=n_jobs)) == {threads}


def test_the_user_s_own_variable_can_only_make_it_less(moving, four_cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert set(moving.map(library_threads, range(4), n_jobs=2)) == {1}
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert set(moving.map(library_threads, range(4), n_jobs=2)) == {2}
    assert set(moving.map(library_threads, range(4), n_jobs=2, inner_threads=3)) == {3}


def test_the_environment_that_a_function_sees_is_the_caller_s(moving, monkeypatch):
    for name in inner_threads.THREAD_LIMITS:
        monkeypatch.delenv(name, raising=False)
    seen = moving.map(lambda x: [os.environ.get(name) for name in inner_threads.THREAD_LIMITS], range(2))
    assert seen == [[None] * len(inner_threads.THREAD_LIMITS)] * 2


def test_libraries_that_are_loaded_later_find_the_limit(moving, four_cores):
    def program(_):
        return subprocess.check_output(["sh", "-c", "echo $OMP_NUM_THREADS $OPENBLAS_NUM_THREADS"], text=True)

    assert set(moving.map(program, range(2), n_jobs=2)) == {"2 2\n"}


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_what_is_no_number_of_inner_threads_is_refused(value, error):
    with pytest.raises(error, match="inner_threads must be"):
        ac.map(on.double, [1], inner_threads=value)
