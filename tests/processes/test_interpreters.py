"""How interpreters are started: by a caller without standard files, and by items themselves."""

import functools
import itertools
import os
import subprocess
import sys
import textwrap

import pytest

from allcores.processes import interpreter
from allcores.tasks.task import Task
from starting import STARTS

COMPUTES = """
    import allcores as ac
    def f(x):
        sum(range(1_000_000))
        return x
    from allcores.processes.start import Start
    from allcores.tasks.task import Task
    Start(Task((("map", f),))).begin()  # in the background, as the rent is paid
    assert ac.map(f, range(30)) == list(range(30))
    assert ac.map(f, range(9), engine="processes", n_jobs=2) == list(range(9))
"""


def run(tmp_path, start, text, *flags, closed=()):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text))
    environ = {name: value for name, value in os.environ.items() if name != "ALLCORES_START"}
    if start == "portable":
        environ["ALLCORES_START"] = start
    redirections = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    command = ["sh", "-c", f'"$@" {redirections}', "sh", sys.executable, *flags, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, env=environ)


@pytest.mark.skipif(os.name != "posix", reason="the shell closes them")
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("closed", [each for n in (1, 2, 3) for each in itertools.combinations(range(3), n)])
def test_a_program_whose_standard_files_are_closed_has_its_workers_and_says_nothing(tmp_path, start, closed):
    done = run(tmp_path, start, COMPUTES, closed=closed)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("flags", [(), ("-O", "-W", "ignore::UserWarning", "-X", "int_max_str_digits=5000")])
def test_items_start_interpreters_as_the_loop_would(tmp_path, start, flags):
    program = """
        import subprocess, sys
        import allcores as ac
        def seen(_):
            own = subprocess._args_from_interpreter_flags()
            told = subprocess.run([sys.executable, *own, "-c", "import sys; print(sys.flags, sys.path[1:])"],
                                  capture_output=True, text=True)
            flags = tuple(sys.flags), sys.flags.no_site, sys.flags.optimize
            return flags, sys.warnoptions, sys._xoptions, own, told.stdout
        assert ac.map(seen, [0, 0], engine="processes", n_jobs=2) == [seen(0), seen(0)]
    """
    done = run(tmp_path, start, program, *flags)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("start", STARTS)
def test_joblib_and_multiprocessing_start_processes_inside_an_item(tmp_path, start):
    program = """
        import multiprocessing
        import allcores as ac
        from joblib import Parallel, delayed
        def by_joblib(x):
            return sum(Parallel(n_jobs=2)(delayed(abs)(y) for y in range(4)))
        def by_multiprocessing(x):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                return pool.map(abs, [-x])
        if __name__ == "__main__":
            print(ac.map(by_joblib, range(2), engine="processes", n_jobs=2))
            print(ac.map(by_multiprocessing, range(2), engine="processes", n_jobs=2))
    """
    pytest.importorskip("joblib")
    done = run(tmp_path, start, program)
    assert (done.stdout, done.stderr) == ("[6, 6]\n[[0], [1]]\n", "")


def test_modules_of_what_a_partial_holds_are_imported_in_advance():
    """Of an estimator, say, so that not every new function has to import them again."""
    import numpy.linalg

    assert "numpy.linalg" not in interpreter.wanted_imports(Task((("map", len),)))
    held = functools.partial(len, (numpy.linalg.LinAlgError, [1]))
    assert "numpy.linalg" in interpreter.wanted_imports(Task((("map", held),)))


def test_who_looks_for_imports_comes_to_an_end_with_an_object_that_has_every_attribute():
    class Everything:
        def __getattr__(self, name):
            return Everything()

        def __call__(self, item):
            return item

    assert isinstance(interpreter.wanted_imports(Task((("map", Everything()),))), list)
